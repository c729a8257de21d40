# SPDX-License-Identifier: Apache-2.0
"""Are the losses that are called certain ones, and where they are said to be?"""
import collections
from collections.abc import Iterator, Mapping
from typing import Any

from ..packets import Packet, Place
from .truth import Finding, Truth, certain, is_recorded_drop, of_packets, place


def judge(truth: Truth, summary: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is false about losses."""
    claimed = certain(summary)
    yield from _counts(truth, of_packets(claimed))
    yield from _drops(truth, [loss for loss in claimed if loss["kind"] == "drop"])
    yield from _vanished(truth, [loss for loss in of_packets(claimed) if loss["kind"] != "drop"])
    yield from _copies(truth, [loss for loss in summary["copies"] if loss["certainty"] == "certain"])
    yield from _zero(truth, summary)


def _counts(truth: Truth, claimed: list[Mapping[str, Any]]) -> Iterator[Finding]:
    """No more packets are lost for certain than were."""
    said: collections.Counter[str] = collections.Counter()
    for loss in claimed:
        said[loss["flow"]] += loss["wire_packets"]
    for key, count in said.items():
        true = sum(truth.lost(packet, key) for packet in truth.by_key[key])
        if count > true:
            kinds = "; ".join("%d %s %s" % (loss["wire_packets"], loss["kind"], where(loss))
                              for loss in claimed if loss["flow"] == key)
            yield Finding("loss-count", "%s: %d certain losses, %d packets were lost (%s)" % (key, count, true, kinds))
    total = sum(max([truth.lost(packet, key) for key in packet.keys] or [0]) for packet in truth.world.packets)
    if sum(said.values()) > total:
        yield Finding("loss-count", "in all %d certain losses, %d packets were lost" % (sum(said.values()), total))


def where(loss: Mapping[str, Any]) -> str:
    """Return the place of a loss in words."""
    if loss["kind"] == "drop":
        return "%s %s %s" % (loss["host"], loss["device"], loss["function"])
    return " > ".join("%(host)s %(device)s %(point)s" % end for end in loss["between"])


def _drops(truth: Truth, claimed: list[Mapping[str, Any]]) -> Iterator[Finding]:
    """What is said to be dropped, packets or copies of them, was dropped there, and that was recorded."""
    said: collections.Counter[tuple[str, str, str, str]] = collections.Counter()
    for loss in claimed:
        said[loss["flow"], loss["host"], loss["device"], loss["function"]] += loss["wire_packets"]
    for (key, host, device, function), count in said.items():
        true = sum(sight.place == (host, device, "skb.drop") and sight.extra["function"] == function
                   and sight.recorded for packet in truth.by_key[key] for sight in truth.sights(packet))
        if count > true:
            yield Finding("loss-place", "%s: %d drops at %s %s in %s, there were %d" % (
                key, count, host, device, function, true))


def _copies(truth: Truth, claimed: list[Mapping[str, Any]]) -> Iterator[Finding]:
    """What is said to be no loss, as only copies were dropped, was not dropped of packets themselves."""
    said: collections.Counter[tuple[str, str, str, str]] = collections.Counter()
    for loss in claimed:
        said[loss["flow"], loss["host"], loss["device"], loss["function"]] += loss["wire_packets"]
    for (key, host, device, function), count in said.items():
        true = sum(sight.place == (host, device, "skb.drop") and sight.extra["function"] == function and sight.recorded
                   and not truth.is_its_end(packet, sight)
                   for packet in truth.by_key[key] for sight in truth.sights(packet))
        if count > true:
            yield Finding("copies", "%s: %d drops of copies at %s %s in %s, there were %d (%s)" % (
                key, count, host, device, function, true, truth.words(key)))


def _vanished(truth: Truth, claimed: list[Mapping[str, Any]]) -> Iterator[Finding]:
    """What is said to have vanished between two places was lost between them."""
    said: collections.Counter[tuple[str, Place, Place]] = collections.Counter()
    for loss in claimed:
        one, two = (place(end) for end in loss["between"])
        said[loss["flow"], one, two] += loss["wire_packets"]
    for (key, one, two), count in said.items():
        here = [packet for packet in truth.by_key[key] if truth.lost(packet, key) and truth.missing(packet, one, two)]
        right = [packet for packet in here if _between_hosts(truth, packet, one, two)]
        exact = [packet for packet in right if _between_devices(truth, packet, one, two)]
        words = "%s: %d vanished between %s and %s, " % (key, count, " ".join(one), " ".join(two))
        if count > sum(truth.lost(packet, key) for packet in right):
            yield Finding("loss-place", "%s%d packets were lost there (%s)" % (words, len(right), truth.words(key)))
        elif count > sum(truth.lost(packet, key) for packet in exact):
            yield Finding("loss-device", "%s%d packets were lost between these devices" % (words, len(exact)))


def _between_hosts(truth: Truth, packet: Packet, one: Place, two: Place) -> bool:
    """Whether a packet was lost between the hosts of two places, or on a host that nobody looked at."""
    return any(loss.hosts <= {one[0], two[0]} or loss.hosts - truth.observed for loss in packet.gone)


def _between_devices(truth: Truth, packet: Packet, one: Place, two: Place) -> bool:
    """Whether it was lost on the way to the device of the second place, as far as that can be said."""
    return one[0] == two[0] or any(loss.kind != "wire" or loss.then == two[:2] or loss.hosts - truth.observed
                                   for loss in packet.gone)


def _zero(truth: Truth, summary: Mapping[str, Any]) -> Iterator[Finding]:
    """It is not said that nothing was lost while drops of packets were recorded."""
    if not any(text.startswith("No packet was lost") for text in summary["verdict"]):
        return
    dropped = [packet for packet in truth.world.packets if packet.lost and not packet.many
               and any(is_recorded_drop(loss) for loss in packet.gone)]
    if dropped:
        yield Finding("zero-loss", "%d packets were dropped for sure, first at %s %s" % (
            len(dropped), *dropped[0].gone[0].place))
