# SPDX-License-Identifier: Apache-2.0
"""Every filter, alone and combined: all kinds of frames are sent, and exactly the matching ones are recorded.

A frame is recognised by its length, which no other has. Each passes two places: vnet0, where a VLAN tag is still in
the frame, and eth0, where the kernel keeps it beside the packet.
"""
import itertools
import json
import os
import pathlib
import signal
import subprocess
from collections import Counter

import pytest
from support.bundles import arp, ethernet, geneve, gre, icmp, ipv4, ipv6, tcp, udp, vxlan
from support.lab import PYTHON, Lab, wait_until
from support.tracers import COMMANDS, open_window, tracing, until

from skbtrace.capture import record
from skbtrace.show import headers

A4, B4, FAR4 = "192.168.32.10", "192.168.32.20", "10.9.9.9"
A6, B6, FAR6 = "fd00:32::10", "fd00:32::20", "fd00:99::9"
UNDERLAY = ("10.0.0.1", "10.0.0.2")
SHORTEST = 190  # bytes: longer than any frame here, so that padding can tell them apart
SEND = """
import json, socket, sys
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(("eth0", 0))
for frame in json.load(sys.stdin):
    link.send(bytes.fromhex(frame))
"""


def fragment_header(following: int, offset: int, more: bool) -> bytes:
    """An IPv6 fragment header."""
    return bytes([following, 0]) + (offset | int(more)).to_bytes(2, "big") + (7).to_bytes(4, "big")


def finished(frame: bytes, length: int) -> bytes:
    """The frame, padded to its length, with IP lengths and checksum right: a bridge with netfilter looks at them."""
    padded = bytearray(frame.ljust(length, b"\xee"))
    ip = 14
    while frame[ip - 2:ip] == b"\x81\x00":
        ip += 4
    if frame[ip - 2:ip] == b"\x86\xdd":
        padded[ip + 4:ip + 6] = (length - ip - 40).to_bytes(2, "big")
    if frame[ip - 2:ip] == b"\x08\x00":
        padded[ip + 2:ip + 4] = (length - ip).to_bytes(2, "big")
        end = ip + (frame[ip] & 15) * 4
        total = sum(int.from_bytes(padded[at:at + 2], "big") for at in range(ip, end, 2))
        padded[ip + 10:ip + 12] = (0xFFFF ^ (total % 0xFFFF)).to_bytes(2, "big")
    return bytes(padded)


FRAMES = {
    "tcp443": ethernet(ipv4(A4, B4, tcp(40000, 443), protocol=6)),
    "tcp443-answer": ethernet(ipv4(B4, A4, tcp(443, 40000), protocol=6)),
    "tcp8080": ethernet(ipv4(A4, B4, tcp(40001, 8080), protocol=6)),
    "tcp443-options": ethernet(ipv4(A4, B4, tcp(40000, 443), protocol=6, options=bytes([1] * 8))),
    "tcp443-far": ethernet(ipv4(A4, FAR4, tcp(40000, 443), protocol=6)),
    "udp53": ethernet(ipv4(A4, B4, udp(40000, 53))),
    "udp443": ethernet(ipv4(A4, B4, udp(40000, 443))),
    "udp53-first": ethernet(ipv4(A4, B4, udp(40000, 53), more=True)),
    "udp53-later": ethernet(ipv4(A4, B4, udp(40000, 53), fragment=1480)),
    "sctp443": ethernet(ipv4(A4, B4, udp(40000, 443), protocol=132)),
    "ping": ethernet(ipv4(A4, B4, icmp(8, 0, 7, 1), protocol=1)),
    "pong": ethernet(ipv4(B4, A4, icmp(0, 0, 7, 1), protocol=1)),
    "esp": ethernet(ipv4(A4, B4, bytes(16), protocol=50)),
    "arp": ethernet(arp(1, A4, B4), 0x0806),
    "arp-answer": ethernet(arp(2, B4, A4), 0x0806),
    "other": ethernet(bytes(40), 0x88B5),
    "tcp443v6": ethernet(ipv6(A6, B6, tcp(40000, 443), protocol=6), 0x86DD),
    "tcp443v6-answer": ethernet(ipv6(B6, A6, tcp(443, 40000), protocol=6), 0x86DD),
    "tcp443v6-far": ethernet(ipv6(A6, FAR6, tcp(40000, 443), protocol=6), 0x86DD),
    "udp53v6-extended": ethernet(ipv6(A6, B6, bytes([60] + [0] * 7) + bytes([17] + [0] * 7) + udp(40000, 53),
                                      protocol=0), 0x86DD),
    "udp53v6-first": ethernet(ipv6(A6, B6, fragment_header(17, 0, True) + udp(40000, 53), protocol=44), 0x86DD),
    "udp53v6-later": ethernet(ipv6(A6, B6, fragment_header(17, 1448, False) + udp(40000, 53), protocol=44), 0x86DD),
    "udp53v6-long": ethernet(ipv6(A6, B6, b"".join([
        bytes([43]) + bytes(7), bytes([60]) + bytes(7), bytes([51]) + bytes(7),
        bytes([60, 4]) + bytes(22), bytes([17]) + bytes(7), udp(40000, 53)]), protocol=0), 0x86DD),
    "udp53v6-too-long": ethernet(ipv6(A6, B6, (bytes([60]) + bytes(7)) * 6 + bytes([17]) + bytes(7) + udp(40000, 53),
                                      protocol=60), 0x86DD),
    "pingv6": ethernet(ipv6(A6, B6, icmp(128, 0, 7, 1), protocol=58), 0x86DD),
    "vlan100-tcp443": ethernet(ipv4(A4, B4, tcp(40000, 443), protocol=6), vlan=[100]),
    "vlan100-udp53v6": ethernet(ipv6(A6, B6, udp(40000, 53)), 0x86DD, vlan=[100]),
    "vlan200-tcp443": ethernet(ipv4(A4, B4, tcp(40000, 443), protocol=6), vlan=[200]),
    "vlan100-vlan7-tcp443": ethernet(ipv4(A4, B4, tcp(40000, 443), protocol=6), vlan=[100, 7]),
    "vlan7-vlan100-tcp443": ethernet(ipv4(A4, B4, tcp(40000, 443), protocol=6), vlan=[7, 100]),
    "vxlan-tcp443": ethernet(ipv4(*UNDERLAY, udp(50000, 4789, vxlan(7, ethernet(
        ipv4(A4, B4, tcp(40000, 443), protocol=6)))))),
    "vxlan-tcp443v6": ethernet(ipv4(*UNDERLAY, udp(50000, 4789, vxlan(7, ethernet(
        ipv6(A6, B6, tcp(40000, 443), protocol=6), 0x86DD))))),
    "geneve-ping": ethernet(ipv4(*UNDERLAY, udp(50000, 6081, geneve(7, ethernet(
        ipv4(A4, B4, icmp(8, 0, 7, 1), protocol=1)), options=bytes(8))))),
    "gre-udp53": ethernet(ipv4(*UNDERLAY, gre(ipv4(A4, B4, udp(40000, 53)), key=9), protocol=47)),
    "not-a-tunnel": ethernet(ipv4(*UNDERLAY, udp(50000, 4788, vxlan(7, ethernet(ipv4(A4, B4, tcp(40000, 443),
                                                                                protocol=6)))))),
}
NAMES = list(FRAMES)
V6 = {name for name in NAMES if "v6" in name}
NO_IP = {"arp", "arp-answer", "other"}
NEITHER_VM = {"not-a-tunnel"}
OUTER_UDP = {"vxlan-tcp443", "vxlan-tcp443v6", "geneve-ping", "not-a-tunnel"}
OUTER_V4 = OUTER_UDP | {"gre-udp53"}
V4 = set(NAMES) - V6 - NO_IP - NEITHER_VM
ANSWERS = {name for name in NAMES if "answer" in name} | {"pong"}
LATER = {"udp53-later", "udp53v6-later"}
TCP = {name for name in NAMES if "tcp" in name}
UDP = ({name for name in NAMES if "udp" in name} | OUTER_UDP) - {"udp53v6-too-long"}
TCP443_FORTH = {name for name in NAMES if "tcp443" in name} - ANSWERS
UDP53 = {name for name in UDP if "udp53" in name}
FAR = {"tcp443-far", "tcp443v6-far"}
PAIR4 = (V4 | {"arp", "arp-answer"}) - FAR
VLAN100 = {"vlan100-tcp443", "vlan100-udp53v6", "vlan100-vlan7-tcp443"}
UNREADABLE = {"udp53v6-too-long"}  # its protocol is behind more headers than anybody follows

CASES = [
    ([], set(NAMES)),
    (["--protocol", "all"], set(NAMES)),
    (["--src", A4], (V4 | {"arp"}) - ANSWERS),
    (["--src", A4, "--both-directions"], V4 | {"arp", "arp-answer"}),
    (["--dst", B4], (V4 | {"arp"}) - ANSWERS - FAR),
    (["--src", A4, "--dst", B4], PAIR4 - ANSWERS),
    (["--src", A4, "--dst", B4, "--both-directions"], PAIR4),
    (["--src", B4, "--dst", A4], PAIR4 & ANSWERS),
    (["--src", "192.168.32.0/24", "--dst", "192.168.32.0/24"], PAIR4),
    (["--dst", "10.0.0.0/8"], {"tcp443-far"} | OUTER_V4),
    (["--src", "0.0.0.0/0"], V4 | OUTER_V4 | {"arp", "arp-answer"}),
    (["--src", "10.0.0.1", "--dst", "10.0.0.2"], OUTER_V4),
    (["--protocol", "udp", "--dst-port", "4789"], {"vxlan-tcp443", "vxlan-tcp443v6"}),
    (["--protocol", "47"], {"gre-udp53"}),
    (["--src", "192.168.33.0/24"], set()),
    (["--src", A6], V6 - ANSWERS),
    (["--src", A6, "--dst", B6], V6 - ANSWERS - FAR),
    (["--src", A6, "--dst", B6, "--both-directions"], V6 - FAR),
    (["--dst", "fd00:99::/32"], {"tcp443v6-far"}),
    (["--src", "fd00:32::/64", "--protocol", "icmpv6"], {"pingv6"}),
    (["--protocol", "tcp"], TCP),
    (["--protocol", "udp"], UDP),
    (["--protocol", "icmp"], {"ping", "pong", "geneve-ping"}),
    (["--protocol", "icmpv6"], {"pingv6"}),
    (["--protocol", "sctp"], {"sctp443"}),
    (["--protocol", "arp"], {"arp", "arp-answer"}),
    (["--protocol", "arp", "--src", A4], {"arp"}),
    (["--protocol", "50"], {"esp"}),
    (["--protocol", "6", "--src", B4], {"tcp443-answer"}),
    (["--protocol", "tcp", "--dst-port", "443"], TCP443_FORTH),
    (["--protocol", "tcp", "--dst-port", "443", "--both-directions"], TCP443_FORTH | (TCP & ANSWERS)),
    (["--protocol", "tcp", "--src-port", "443"], TCP & ANSWERS),
    (["--protocol", "tcp", "--src-port", "40000", "--dst-port", "443"], TCP443_FORTH),
    (["--protocol", "tcp", "--dst-port", "8000-8080"], {"tcp8080"}),
    (["--protocol", "tcp", "--dst-port", "444-8079"], set()),
    (["--protocol", "udp", "--dst-port", "53"], UDP53 - LATER),
    (["--protocol", "sctp", "--dst-port", "443"], {"sctp443"}),
    (["--src", A4, "--dst", B4, "--protocol", "tcp", "--dst-port", "443"], (TCP443_FORTH & V4) - FAR),
    (["--src", A4, "--dst", B4, "--protocol", "tcp", "--dst-port", "443", "--both-directions"],
     ((TCP443_FORTH & V4) - FAR) | {"tcp443-answer"}),
    (["--src", A6, "--dst", B6, "--protocol", "udp", "--dst-port", "1-53"], (UDP53 & V6) - LATER),
    (["--vlan", "100"], VLAN100),
    (["--vlan", "200"], {"vlan200-tcp443"}),
    (["--vlan", "7"], {"vlan7-vlan100-tcp443"}),
    (["--vlan", "300"], set()),
    (["--vlan", "100", "--protocol", "udp", "--dst-port", "53", "--src", A6], {"vlan100-udp53v6"}),
    (["--vlan", "100", "--src", B4], set()),
]


def wire_frames() -> dict[int, str]:
    """Length -> name of every frame."""
    return {SHORTEST + number: name for number, name in enumerate(NAMES)}


def frame_length(record: dict) -> int:
    """The length on the wire of a recorded packet: at dev.rx the Ethernet header is not counted, nor a tag beside."""
    if record["point"] == "dev.rx":
        return record["len"] + 14
    return record["len"] + (4 if "vlan" in record["packet"] and record["device"] == "eth0" else 0)


def send_all(lab: Lab) -> None:
    """Send every frame once from vm-a; all have passed hv-a when this returns."""
    frames = [finished(FRAMES[name], length).hex() for length, name in wire_frames().items()]
    before = lab.netns("hv-a").counters("eth0")["tx_packets"]
    lab.netns("vm-a").python(SEND, input=json.dumps(frames))
    wait_until(lambda: lab.netns("hv-a").counters("eth0")["tx_packets"] >= before + len(frames), "frames left hv-a")


def recorded(records: list[dict], device: str) -> list[str]:
    """Names of this test's frames that were recorded at a device, in the order of the table."""
    lengths = wire_frames()
    found = [lengths.get(frame_length(record)) for record in records if record["device"] == device]
    return sorted((name for name in found if name), key=NAMES.index)


@pytest.mark.parametrize(("options", "wanted"), CASES, ids=[" ".join(options) or "none" for options, _wanted in CASES])
def test_exactly_the_matching_frames_are_recorded(lab: Lab, options: list[str], wanted: set[str]) -> None:
    points = ["--netns", "self", "--point", "dev.rx", "--point", "dev.tx"]
    with tracing(lab.netns("hv-a"), "datapath_tracing", *points, *options) as tracer:
        send_all(lab)
        records = tracer.stop()
    expected = sorted(wanted, key=NAMES.index)
    rx = [record for record in records if record["point"] == "dev.rx"]
    tx = [record for record in records if record["point"] == "dev.tx"]
    assert recorded(rx, "vnet0") == expected
    assert recorded(tx, "eth0") == expected
    assert "lost 0" in tracer.log[-1]


def test_headers_that_nobody_follows_are_counted(lab: Lab) -> None:
    with tracing(lab.netns("hv-a"), "datapath_tracing", "--netns", "self", "--point", "dev.rx", "--interface", "vnet0",
                 "--protocol", "udp", "--src", A6) as tracer:
        send_all(lab)
        tracer.stop()
    assert f"headers not readable {len(UNREADABLE)}" in tracer.log[-1]


def test_later_fragments_are_counted_where_ports_cannot_tell(lab: Lab) -> None:
    with tracing(lab.netns("hv-a"), "datapath_tracing", "--netns", "self", "--point", "dev.rx", "--interface", "vnet0",
                 "--protocol", "udp", "--dst-port", "53") as tracer:
        send_all(lab)
        tracer.stop()
    assert f"later fragments not decidable by port {len(LATER)}" in tracer.log[-1]


@pytest.mark.parametrize("names", [["vnet0"], ["eth0"], ["vnet0", "eth0"]])
def test_interface(lab: Lab, names: list[str]) -> None:
    options = [word for name in names for word in ("--interface", name)]
    with tracing(lab.netns("hv-a"), "datapath_tracing", "--protocol", "50", *options) as tracer:
        send_all(lab)
        records = tracer.stop()
    seen = {(record["point"], record["device"]) for record in records}
    at = {"vnet0": {("dev.rx", "vnet0")}, "eth0": {("dev.tx", "eth0")}}
    assert seen == set(itertools.chain.from_iterable(at[name] for name in names))


@pytest.mark.parametrize("by", ["name", "path", "pid", "self"])
def test_netns(lab: Lab, by: str) -> None:
    """The frames pass hv-a, the wire and hv-b; only hv-a is asked for, from inside it or from the machine outside."""
    pid = lab.netns("hv-a").popen(["sleep", "60"]) if by == "pid" else None
    value = {"name": "hv-a", "path": "/run/netns/hv-a", "pid": str(pid and pid.pid), "self": "self"}[by]
    place = lab.netns("hv-a") if by == "self" else lab.here()
    if pid:
        wait_until(lambda: in_hv_a(pid.pid), "the process is in hv-a")
    try:
        with tracing(place, "datapath_tracing", "--netns", value, "--protocol", "50") as tracer:
            send_all(lab)
            records = tracer.stop()
    finally:
        if pid:
            pid.kill()
            pid.wait()
    assert {(record["point"], record["device"]) for record in records} >= {("dev.rx", "vnet0"), ("dev.tx", "eth0")}
    assert {record["netns"] for record in records} == {"hv-a"}


def in_hv_a(pid: int) -> bool:
    """Whether a process has entered hv-a's network namespace."""
    return os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat("/run/netns/hv-a").st_ino


PAGES = """
import fcntl, json, os, struct, subprocess, sys
def tap():
    link = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(link, 0x400454CA, struct.pack("16sH22x", b"probe0", 0x0002 | 0x1000 | 0x4000))
    subprocess.run(["ip", "link", "set", "probe0", "mtu", "9000", "up"], check=True)
    return link
link = tap()
print("ready", flush=True)
for line in sys.stdin:
    linear, frames = json.loads(line)
    if linear is None:
        os.close(link)
        link = tap()
    for frame in frames:
        frame = bytes.fromhex(frame)
        header = struct.pack("<BBHHHH", 0, 0, linear or len(frame), 0, 0, 0)
        assert os.write(link, header + frame) == len(header) + len(frame)
    print("sent", flush=True)
"""
LONG = 5000  # bytes: a tap puts into pages what is behind the header's length, if it is more than a page


class Probe:
    """A tap in vm-a, into which the test writes frames as a guest does."""

    def __init__(self, lab: Lab) -> None:
        self.process = lab.netns("vm-a").popen([PYTHON, "-c", PAGES], stdin=subprocess.PIPE)
        assert self.process.stdout.readline() == "ready\n"

    def send(self, frames: list[bytes], linear: int | None = 0) -> None:
        """Write frames of which so many bytes are in the linear part, 0: all; None: into a new device of the same name.
        """
        self.process.stdin.write(json.dumps([linear, [frame.hex() for frame in frames]]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer == "sent\n", answer + self.process.stdout.read()


@pytest.fixture
def probe(lab: Lab):
    """The tap while the test runs."""
    made = Probe(lab)
    yield made
    made.process.kill()
    made.process.communicate()


AT_PROBE = ["--netns", "vm-a", "--interface", "probe0", "--point", "dev.rx"]
PAGED = [
    ["--src", A4, "--dst", B4, "--protocol", "tcp", "--dst-port", "443", "--both-directions"],
    ["--src", A6, "--dst", B6, "--protocol", "udp", "--dst-port", "1-53"],
    ["--protocol", "icmp"], ["--protocol", "sctp", "--dst-port", "443"], ["--protocol", "47"], ["--dst", "10.0.0.0/8"],
    ["--vlan", "100", "--protocol", "udp", "--dst-port", "53", "--src", A6], ["--protocol", "arp", "--src", A4],
]
# where the linear part may end: behind Ethernet, in and behind IP, behind UDP and VXLAN, in what VXLAN carries
LINEAR = [14, 20, 34, 38, 42, 50, 64, 84, 100]


@pytest.mark.parametrize("options", PAGED, ids=" ".join)
def test_headers_in_pages_are_as_good_as_others(lab: Lab, probe: Probe, options: list[str]) -> None:
    wanted = {" ".join(given): names for given, names in CASES}[" ".join(options)]
    lengths = {LONG + number: name for number, name in enumerate(NAMES)}
    frames = [finished(FRAMES[name], length) for length, name in lengths.items()]
    # a VLAN tag that is not in the linear part cannot be stepped over: these are counted
    with tracing(lab.here(), "datapath_tracing", *AT_PROBE, *options) as tracer:
        for linear in LINEAR:
            probe.send(frames, linear)
        records = tracer.stop()
    found = Counter(lengths[one["len"] + 14] for one in records)
    behind_tag = {name for name in wanted if name.startswith("vlan")}
    assert {name: found[name] for name in wanted - behind_tag} == dict.fromkeys(wanted - behind_tag, len(LINEAR))
    assert set(found) <= wanted
    assert all(found[name] >= len([linear for linear in LINEAR if linear >= 22]) for name in behind_tag)


def test_headers_in_pages_are_recorded(lab: Lab, probe: Probe) -> None:
    """An ICMP echo in VXLAN, of which only the outer headers are in the linear part, and one that has just IP there."""
    frames = [finished(FRAMES["geneve-ping"], LONG), finished(FRAMES["ping"], LONG)]
    with tracing(lab.here(), "datapath_tracing", *AT_PROBE, "--protocol", "icmp") as tracer:
        probe.send(frames[:1], 50)
        probe.send(frames[1:], 34)
        tunnelled, plain = (record["packet"] for record in tracer.stop())
    assert (tunnelled["inner"]["type"], tunnelled["inner"]["icmp_id"], tunnelled["inner"]["icmp_seq"]) == (8, 7, 1)
    assert (plain["type"], plain["icmp_id"], plain["icmp_seq"]) == (8, 7, 1)


WITHOUT_PAGES = """
import sys
sys.path.insert(0, sys.argv[1])
from skbtrace import command
from skbtrace.programs import pages
pages.constants = lambda types: {}
sys.exit(command.main("datapath_tracing", "", "", "nic", sys.argv[2:]))
"""


def test_headers_in_pages_that_cannot_be_read_are_counted(lab: Lab, probe: Probe) -> None:
    names = ["vxlan-tcp443", "tcp443", "udp443"]
    frames = [finished(FRAMES[name], LONG + number) for number, name in enumerate(names)]
    tracer = lab.here().popen([PYTHON, "-c", WITHOUT_PAGES, COMMANDS["datapath_tracing"].parent, *AT_PROBE,
                               "--protocol", "tcp", "--dst-port", "443"], stderr=subprocess.PIPE)
    assert tracer.stderr.readline().startswith("tracing ")
    probe.send(frames, 34)  # the tunnel's port cannot be read, nor TCP's
    tracer.send_signal(signal.SIGINT)
    output, errors = tracer.communicate(timeout=20)
    assert output == ""
    assert "headers not readable 3" in errors.splitlines()[-1]


def test_a_device_that_comes_again_is_seen_again(lab: Lab, probe: Probe) -> None:
    frame = [finished(FRAMES["esp"], 200)]
    with tracing(lab.here(), "datapath_tracing", *AT_PROBE, "--protocol", "50") as tracer:
        probe.send(frame)
        probe.send(frame, None)
        probe.send(frame)
        records = tracer.stop()
    assert [record["device"] for record in records] == ["probe0"] * 3


def test_payload_on_a_tunnel_s_port_stays_on_the_host(lab: Lab, probe: Probe, tmp_path: pathlib.Path) -> None:
    """What is no tunnel's header, down to its reserved bits, is payload, and what a record keeps of it is nothing."""
    secret = b"\xff\x0e secret " * 10
    payloads = [secret, b"\x08\0\0\0\0\0\7\1" + secret, b"\x09\0\0\0\0\0\7\0" + secret, b"\x08\0\0"]
    frames = [ethernet(ipv4(*UNDERLAY, udp(50000, port, payload)))
              for port, payload in itertools.product((4789, 8472, 6081), payloads)]
    frames += [ethernet(ipv4(*UNDERLAY, b"\0\1\x08\0" + secret, protocol=47))]
    tracer = lab.here().popen([PYTHON, COMMANDS["datapath_tracing"], *AT_PROBE, "--run-dir", tmp_path / "run"])
    until("started", tmp_path / "run")
    probe.send(frames)
    tracer.send_signal(signal.SIGTERM)
    assert tracer.communicate(timeout=20)[0] == ""
    spool = (tmp_path / "run" / "records.bin").read_bytes()
    records = [record.unpack(spool, at) for at in range(record.RING_HEADER, len(spool), record.STRIDE)]
    kept = [one.packet[34:] for one in records if headers.decode(one.packet, 2, 0).get("src") == UNDERLAY[0]]
    assert len(kept) == len(frames)
    assert all(not any(packet[8:]) for packet in kept[:-1])  # behind the UDP header
    assert not any(kept[-1])


def test_what_comes_before_the_window_is_not_counted_as_undecided(lab: Lab, probe: Probe,
                                                                  tmp_path: pathlib.Path) -> None:
    run = tmp_path / "run"
    tracer = lab.here().popen([PYTHON, COMMANDS["datapath_tracing"], *AT_PROBE, "--run-dir", run, "--wait-window", "20",
                               "--protocol", "udp", "--dst-port", "53", "--src", A4])
    until("armed", run)
    frames = [finished(FRAMES[name], 200) for name in ("udp53-later", "udp53")]
    probe.send(frames)
    open_window(run)
    probe.send(frames * 2)
    tracer.send_signal(signal.SIGTERM)
    assert tracer.communicate(timeout=20)[0] == ""
    counters = json.loads((run / "manifest.json").read_text())["counters"]
    assert (counters["matched"], counters["outside_window"], counters["undecided"]) == (2, 1, 2)
