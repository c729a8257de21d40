# SPDX-License-Identifier: Apache-2.0
"""Do the numbers of each flow say what happened?"""
import collections
from collections.abc import Iterator, Mapping
from typing import Any

from ..headers import TCP
from ..packets import Packet
from .truth import Finding, Truth

INFLATED = "inflated"
OUTCOMES = ("arrived", "ended", "left", "dropped", "vanished", "unknown", "in_flight", "continued")


def judge(truth: Truth, summary: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is false about flows."""
    for doubt in summary["doubts"]:
        if "The sums do not agree" in doubt:
            yield Finding("sums", doubt)
    for flow in summary["flows"]:
        key, packets = flow["key"], truth.by_key[flow["key"]]
        became = {name: flow[name] for name in OUTCOMES}
        if sum(became.values()) != flow["packets"]:
            yield Finding("sums", "%s: %d packets, %s" % (key, flow["packets"], became))
        true = sum(_arrivals(packet, key) for packet in packets)
        if flow["arrived"] > true:
            yield Finding("arrived", "%s: %d arrived, truly %d of %d (%s)" % (key, flow["arrived"], true, len(packets),
                                                                             truth.words(key)))
        if flow["packets"] > sum(_outcomes(packet, key) for packet in packets):
            yield Finding(INFLATED, "%s: %d packets, %d were sent" % (key, flow["packets"], len(packets)))
        yield from _resent(truth, flow, packets)


def _arrivals(packet: Packet, key: str) -> int:
    """Return how often a packet arrived as far as hosts can see; one to everybody may at each receiver.

    A tap took it, and what became of it there was not seen: that is all that can be seen of arriving.
    """
    came = packet.arrived or packet.reached > 0 or any(
        loss.sight is not None and loss.function == "tun_net_xmit" and not loss.sight.recorded for loss in packet.gone)
    return max(came * packet.shown(key), packet.reached if packet.many else 0)


def _outcomes(packet: Packet, key: str) -> int:
    """Return how many outcomes a packet may have."""
    return max(packet.shown(key), packet.reached + len(packet.gone) if packet.many else 0)


def _resent(truth: Truth, flow: Mapping[str, Any], packets: list[Packet]) -> Iterator[Finding]:
    """The number of segments that were sent again is right, where the sender's host recorded everything."""
    if not packets or any(packet.proto != TCP for packet in packets):
        return
    sender = packets[0].flow.ends[packets[0].way]
    _, host, tap = sender.home[0]
    if sender.moves or not truth.complete(host):
        return
    seen = [packet for packet in packets if any(
        sight.place == (host.name, tap, "dev.rx") and flow["key"] in sight.keys for sight in packet.sights)]
    if not seen:   # the name of the flow somewhere else
        return
    have = collections.Counter((packet.seq, packet.size, packet.flags & 3) for packet in seen
                               if packet.size or packet.flags & 3)
    low, high = sum(have.values()) - len(have), sum(packet.resent for packet in seen)
    if not low <= flow["retransmitted"] <= high:
        yield Finding("resent", "%s: %d segments sent again, truly %d to %d" % (
            flow["key"], flow["retransmitted"], low, high))
