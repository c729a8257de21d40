# SPDX-License-Identifier: Apache-2.0
"""A packet that has matched is followed where it does not match any more: through NAT, into a tunnel, as a clone; and
nobody else is."""
import collections
import contextlib
import re
from collections.abc import Iterator

import pytest
from faults.capture import ALONE, Capture
from faults.frames import addressed, send
from faults.routing import GATEWAY_MAC
from faults.scene import COUNT, FAR, PORT, Scene, routed
from faults.truth import counted, drop, losses, unknown
from support.bundles import ipv4, udp

from skbtrace.capture import record

BOTH = {"datapath_tracing": ["--only-followed", "skb.drop"], "drop_monitor": []}
VM_A, STRANGER = "192.168.32.10", "192.168.32.77"
FROM_A = ["--follow", "--src", VM_A, "--protocol", "udp"]
FROM_A_IN_WORDS = ["--follow", "--filter", f"udp and src host {VM_A}"]
MASQUERADE = """
table ip known {
  chain after {
    type nat hook postrouting priority 100
    oifname "rt0" masquerade
  }
}
"""
MASQUERADE_AND_DROP = MASQUERADE + f"""
table netdev known {{
  chain known {{
    type filter hook egress device "rt0" priority 0
    udp dport {PORT} numgen inc mod 5 0 counter drop
  }}
}}
"""
MASQUERADE_AND_MIRROR = MASQUERADE + f"""
table netdev known {{
  chain known {{
    type filter hook egress device "rt0" priority 0
    udp dport {PORT} counter dup to "mirror0"
  }}
}}
"""
ON_HV_B = {("dev.rx", "eth0", 0): COUNT, ("dev.rx", "br0", 0): COUNT, ("dev.tx", "rt0", 1): COUNT}


def seen(capture: Capture, host: str, *more: str) -> collections.Counter:
    """How often a host recorded packets at each point and device, matching (0) or followed (1); `more`: further fields
    of a record that tell them apart."""
    found: collections.Counter = collections.Counter()
    for bundle in capture.bundles([host]):
        manifest = capture.manifest(host, bundle.name)
        points = {point["id"]: point["name"] for point in manifest["points"]["attached"]}
        devices = {(row["netns"], row["ifindex"]): row["name"] for row in manifest["devices"]}
        data = (bundle / "records.bin").read_bytes()
        for start in range(0, len(data), record.STRIDE):
            one = record.unpack(data, start + record.RING_HEADER)
            place = points[one.point], devices.get((one.netns, one.ifindex), "-"), one.followed
            found[place + tuple(getattr(one, name) for name in more)] += 1
    return found


def at_devices(found: collections.Counter) -> dict:
    """Frees aside: where they are seen is the kernel's business."""
    return {place: count for place, count in found.items() if place[0] != "skb.free"}


@pytest.mark.parametrize(("tracers", "words"), [(ALONE, FROM_A), (BOTH, FROM_A), (ALONE, FROM_A_IN_WORDS)],
                         ids=["alone", "both", "expression"])
def test_through_address_translation(lab, run, tracers, words) -> None:
    """hv-b gives its own address to what it routes. Where the filter's address is not to be seen, nobody is accused."""
    capture = Capture(run, ["hv-a", "hv-b", "far"], words, tracers=tracers)
    scene = Scene(lab, capture)
    with routed(scene) as far, scene.hv_b.nft(MASQUERADE), FAR.serve("udp", far, PORT, count=COUNT) as server, \
            scene.window():
        scene.send(to=far)
        assert server.wait()["distinct"] == COUNT
    assert at_devices(seen(capture, "hv-b")) == ON_HV_B
    assert at_devices(seen(capture, "far")) == {}
    assert capture.manifest("hv-b")["counters"]["forgotten"] == 0
    summary = capture.merge()
    assert (losses(summary), unknown(summary)) == ([], [])
    (flow,) = summary["flows"]
    assert (flow["key"].split()[0].split(":")[0], flow["packets"], flow["left"]) == (VM_A, COUNT, COUNT)
    lines = (run / "timeline.log").read_text().splitlines()
    assert sum(" followed " in line and " hv-b dev.tx rt0 " in line for line in lines) == COUNT


@pytest.mark.parametrize("tracers", [ALONE, BOTH], ids=["alone", "both"])
def test_dropped_after_address_translation(lab, run, tracers) -> None:
    """A drop monitor cannot know whom the other tracer follows: it is the other one that records these drops."""
    capture = Capture(run, ["hv-a", "hv-b"], FROM_A, tracers=tracers)
    scene = Scene(lab, capture)
    kept = COUNT - COUNT // 5
    with routed(scene) as far, scene.hv_b.nft(MASQUERADE_AND_DROP), FAR.serve("udp", far, PORT, count=kept) as server, \
            scene.window():
        scene.send(to=far)
        assert server.wait()["distinct"] == kept
        dropped = counted(scene.hv_b)
    assert dropped == COUNT - kept
    assert at_devices(seen(capture, "hv-b")) == {**ON_HV_B, ("dev.tx", "rt0", 1): kept, ("skb.drop", "rt0", 1): dropped}
    summary = capture.merge()
    assert losses(summary) == [drop("hv-b", "rt0", "nft_do_chain", "NETFILTER_DROP", dropped)]
    assert unknown(summary) == []


def test_as_a_clone(lab, run) -> None:
    """What is mirrored behind the translation has another skb, and the same bytes in memory."""
    capture = Capture(run, ["hv-a", "hv-b"], FROM_A)
    scene = Scene(lab, capture)
    with routed(scene) as far, scene.changed(
            scene.hv_b, "ip link add mirror0 type veth peer name mirror1 && ip link set mirror0 up && "
            "ip link set mirror1 up", "ip link del mirror0"), scene.hv_b.nft(MASQUERADE_AND_MIRROR), \
            FAR.serve("udp", far, PORT, count=COUNT) as server, scene.window():
        scene.send(to=far)
        assert server.wait()["distinct"] == COUNT
    found = seen(capture, "hv-b")
    # the copies are addressed to the far machine: hv-b throws them away, as it would any other's packets
    assert at_devices(found) == {**ON_HV_B, ("dev.tx", "mirror0", 1): COUNT, ("dev.rx", "mirror1", 1): COUNT,
                                 ("skb.drop", "mirror1", 1): COUNT}
    assert losses(capture.merge()) == []


@contextlib.contextmanager
def tunnelled(scene: Scene) -> Iterator[str]:
    """A VXLAN tunnel from hv-b to the far machine, on a port that no tracer takes for one; yields the address there."""
    far, options = "10.7.0.10", "type vxlan id 7 dstport 9999 local"
    with scene.changed(FAR, f"ip link add vx0 {options} 192.168.33.10 remote 192.168.33.1 && ip link set vx0 up && "
                       f"ip addr add {far}/24 dev vx0 && ip route add 192.168.32.0/24 via 10.7.0.1",
                       "ip link del vx0"), \
            scene.changed(scene.hv_b, f"ip link add vx0 {options} 192.168.33.1 remote 192.168.33.10 && "
                          "ip link set vx0 up && ip addr add 10.7.0.1/24 dev vx0", "ip link del vx0"), \
            scene.changed(scene.vm_a, "ip route add 10.7.0.0/24 via 192.168.32.254", "ip route del 10.7.0.0/24"):
        scene.vm_a.run(["ping", "-q", "-c", "1", "-W", "5", far])
        yield far


def test_into_a_tunnel(lab, run) -> None:
    """Wrapped up, the packet's own headers are where no filter looks."""
    capture = Capture(run, ["hv-a", "hv-b"], FROM_A)
    scene = Scene(lab, capture)
    with routed(scene), tunnelled(scene) as far, FAR.serve("udp", far, PORT, count=COUNT) as server, scene.window():
        scene.send(to=far)
        assert server.wait()["distinct"] == COUNT
    assert at_devices(seen(capture, "hv-b")) == {**ON_HV_B, ("dev.tx", "vx0", 0): COUNT}
    assert losses(capture.merge()) == []


@pytest.mark.parametrize(("options", "followed"), [
    (["--follow"], COUNT), (["--follow", "--exclude-point", "skb.free"], 0), ([], 0)],
    ids=["ends", "no-ends", "not-asked"])
def test_never_a_stranger(lab, run, options, followed) -> None:
    """Between the packets there are a stranger's, in skbs that have just become free: the same payload to the same
    port, without an IP id. Only their TTL tells them apart once both have hv-b's address. Where not every end of a
    packet is seen, nobody is followed who is so hard to tell from others."""
    capture = Capture(run, ["hv-b"], [*FROM_A[1:], *options])
    scene = Scene(lab, capture)
    with routed(scene) as far, scene.hv_b.nft(MASQUERADE), FAR.serve("udp", far, PORT), scene.window():
        before = scene.hv_b.counters("rt0")["tx_packets"]
        frames = [addressed(ipv4(source, far, udp(40000, PORT, 64), ttl=ttl), GATEWAY_MAC)
                  for source, ttl in ((VM_A, 64), (STRANGER, 40))]
        send(scene.vm_a, frames * COUNT)
        scene.until(lambda: scene.hv_b.counters("rt0")["tx_packets"] - before, 2 * COUNT, "packets that hv-b sent on")
    times = collections.Counter()
    for (point, device, mark, packet), count in seen(capture, "hv-b", "packet").items():
        if (point, device) == ("dev.tx", "rt0"):
            times[mark, packet[14 + 8]] += count
    assert times == ({(1, 63): followed} if followed else {})
    # of its own the stranger's address is never in a record
    assert not any(packet[26:30] == bytes(map(int, STRANGER.split("."))) or packet[22] in (39, 40)
                   for *_, packet in seen(capture, "hv-b", "packet"))
    assert re.search(r"(?m)^- No packet", (capture.merge() and run / "verdict.txt").read_text())
