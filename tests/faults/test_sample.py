# SPDX-License-Identifier: Apache-2.0
"""One packet in a hundred, of TCP at full speed, datagrams and pings at once: the same ones at every place of both
hosts, and what the wire lost within the bounds that the verdict gives."""
from faults.capture import Capture
from faults.healthy import wait_for_silence
from faults.scene import PORT, Scene
from faults.table import HYPERVISORS
from faults.truth import losses, unknown
from faults.wire import A_TO_B, counted

ONE_IN = 100
TCP_PORT = 4433
TCP_BYTES = 100_000_000
DATAGRAMS, LOST_IN = 20000, 20
PINGS = 1000
LOSSY = f"""
table bridge known {{
  chain known {{
    type filter hook forward priority 0
    udp dport {PORT} numgen inc mod {LOST_IN} 3 counter drop
  }}
}}
"""
EVERY_PLACE = {("hv-a", "vnet0", "dev.rx"), ("hv-a", "eth0", "dev.tx"), ("hv-b", "eth0", "dev.rx"),
               ("hv-b", "vnet0", "dev.tx")}


def traffic(scene: Scene) -> int:
    """All three kinds; returns what the wire lost."""
    ping = ["ping", "-q", "-c", PINGS, "-i", "0.002", "-s", "24", scene.vm_b_address]
    with scene.vm_b.serve("tcp", scene.vm_b_address, TCP_PORT, count=1) as server, \
            scene.vm_b.serve("udp", scene.vm_b_address, PORT) as datagrams:
        pinging = scene.vm_a.popen(ping)
        scene.talk()
        assert scene.vm_a.send("tcp", scene.vm_b_address, TCP_PORT, bytes=TCP_BYTES)["received"] == TCP_BYTES
        assert server.wait()["bytes"] == TCP_BYTES
        scene.send(DATAGRAMS)
        output, _ = pinging.communicate(timeout=60)
        assert f"{PINGS} packets transmitted, {PINGS} received" in output
        wait_for_silence(scene)
        lost = counted(scene.wire)
        assert datagrams.stop()["distinct"] == DATAGRAMS - lost
    return lost


def test_the_same_packets_everywhere(lab, run) -> None:
    capture = Capture(run, HYPERVISORS, ["--src", "192.168.32.0/24", "--sample", ONE_IN])
    scene = Scene(lab, capture)
    with scene.wire.nft(LOSSY), scene.window():
        lost = traffic(scene)
    for host in HYPERVISORS:
        counters = capture.manifest(host)["counters"]
        assert counters["matched"] == sum(counters[name] for name in ("written", "cut", "shed", "lost", "sampled_out"))
        assert (counters["lost"], counters["shed"]) == (0, 0)
        assert counters["written"] < counters["matched"] / 20
    summary = capture.merge()
    sample = summary["sample"]
    packets = sample["packets"]["taken"]
    gone = sum(loss.packets for loss in losses(summary))
    assert {loss.between for loss in losses(summary)} == {A_TO_B}
    assert unknown(summary) == []
    assert not sample["likely"]["taken"]
    assert not any("did not record" in doubt for doubt in summary["doubts"])
    # each that was taken was taken at every place that it came to
    ways = {tuple((place["host"], place["device"], place["point"]) for place in path["places"]): path["packets"]
            for path in summary["paths"]}
    whole = sum(count for way, count in ways.items() if set(way) in (EVERY_PLACE, mirrored(EVERY_PLACE)))
    print(f"{packets} packets taken, {whole} whole, {gone} of {lost} lost: {sample}")
    assert whole >= 0.999 * (packets - gone)
    # of many runs, a few are outside of the bounds: none is far
    assert sample["lost"]["low"] / 2 <= lost <= 2 * sample["lost"]["high"]
    assert sample["lost"]["taken"] == gone > 0


def mirrored(places: set[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    """The same way in the other direction."""
    swapped = {"hv-a": "hv-b", "hv-b": "hv-a"}
    return {(swapped[host], device, point) for host, device, point in places}
