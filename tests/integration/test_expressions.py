# SPDX-License-Identifier: Apache-2.0
"""Filter expressions on real packets: what is recorded at a device is what tcpdump shows there."""
import pathlib
import signal
import struct
import subprocess
from collections.abc import Iterator

import pytest
from integration.test_filters import FRAMES, NAMES, UNDERLAY, recorded, send_all, wire_frames
from support.lab import Lab, wait_until
from support.playbooks import Play
from support.tracers import tracing

A4, B4, A6 = "192.168.32.10", "192.168.32.20", "fd00:32::10"
EXPRESSIONS = [
    "tcp port 443 and host 192.168.32.10", "tcp", "udp", "icmp", "icmp6", "sctp", "arp", "ip", "ip6", "not ip",
    "not ip6", "port 53", "udp dst port 53", "src port 40000", "tcp portrange 400-500", "host 192.168.32.20",
    f"src host {A4}", f"dst host {A6}", "src net 192.168.32.0/24", "net 10.0.0.0/8", "ip6 net fd00:99::/32",
    f"arp host {A4}", "arp src host 192.168.32.20",
    "vlan", "vlan 100", "vlan 7", "vlan 100 and tcp port 443", "vlan and ip6",
    "vlan 100 and vlan 7", "vlan and vlan and tcp", "not vlan", "not tcp port 443", "tcp port 443 or udp port 53",
    "tcp[tcpflags] & tcp-ack != 0", "icmp[icmptype] = icmp-echo", "ip[0] & 0xf > 5", "ip[6:2] & 0x3fff != 0",
    "ip proto 50", "ip6 proto 44", "ip6[6] = 0", "ether proto 0x88b5", "ether host 02:00:00:00:00:01",
    "ether[12:2] = 0x8100",
    "udp port 4789", "geneve", "geneve 7 and icmp", "ip proto 47", "udp[8:4] = 0x08000000", "udp[16:4] = 0x0000aabb",
    f"(tcp or udp) and not (host {B4} or net fd00::/16)", "ether[100] = 0xee", "ether[1000] = 0 or icmp",
]
TUNNELLED = {"vxlan-tcp443", "vxlan-tcp443v6", "geneve-ping", "gre-udp53"}
AT = {"vnet0": "dev.rx", "eth0": "dev.tx"}
BOTH_POINTS = ["--netns", "self", "--point", "dev.rx", "--point", "dev.tx"]


def lengths_in(capture: bytes) -> list[int]:
    """The lengths of the frames in a file that tcpdump may still be writing, in this machine's byte order."""
    found, at = [], 24
    while at + 16 <= len(capture):
        length = struct.unpack_from("=12xI", capture, at)[0]
        found.append(length)
        at += 16 + length
    return found


@pytest.fixture(scope="module")
def shown(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, pathlib.Path]]:
    """Device -> what tcpdump shows there when every frame is sent."""
    place = tmp_path_factory.mktemp("shown")
    files = {device: place / device for device in AT}
    # with a short snapshot its buffer holds all of them
    dumps = [lab.netns("hv-a").popen(["tcpdump", "-i", device, "--immediate-mode", "-s", "512", "-U", "-w", "-"],
                                     stdout=file.open("wb"), stderr=subprocess.PIPE)
             for device, file in files.items()]
    for dump in dumps:
        said = [dump.stderr.readline()]
        while said[-1] and "listening on" not in said[-1]:
            said.append(dump.stderr.readline())
        assert said[-1], said
    send_all(lab)
    for file in files.values():
        wait_until(lambda file=file: set(wire_frames()) <= set(lengths_in(file.read_bytes())), "tcpdump saw all")
    for dump in dumps:
        dump.send_signal(signal.SIGINT)
        dump.communicate(timeout=20)
    yield files


def by_tcpdump(file: pathlib.Path, expression: str) -> list[str]:
    """Names of the frames that tcpdump finds with an expression."""
    done = subprocess.run(["tcpdump", "-r", file, "-w", "-", expression], capture_output=True)
    assert done.returncode == 0, done.stderr
    known = wire_frames()
    return sorted((known[length] for length in lengths_in(done.stdout) if length in known), key=NAMES.index)


def traced(lab: Lab, *options: str) -> dict[str, list[str]]:
    """Device -> names of the frames that are recorded there when every frame is sent."""
    with tracing(lab.netns("hv-a"), "datapath_tracing", *BOTH_POINTS, *options) as tracer:
        send_all(lab)
        records = tracer.stop()
    assert "lost 0" in tracer.log[-1]
    return {device: recorded([one for one in records if one["point"] == point], device) for device, point in AT.items()}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_is_recorded_is_what_tcpdump_shows(lab: Lab, shown: dict[str, pathlib.Path], expression: str) -> None:
    found = traced(lab, "--filter", expression)
    assert found == {device: by_tcpdump(file, expression) for device, file in shown.items()}


def test_an_expression_and_the_options_must_both_fit(lab: Lab) -> None:
    found = traced(lab, "--filter", "port 443", "--src", A4, "--protocol", "tcp")
    wanted = [name for name in NAMES if name in ("tcp443", "tcp443-options", "tcp443-far")]
    assert found == dict.fromkeys(AT, wanted)


@pytest.mark.parametrize(("options", "wanted"), [
    (["--inner-filter", "tcp"], {"vxlan-tcp443", "vxlan-tcp443v6"}),
    (["--inner-filter", "udp port 53"], {"gre-udp53"}),
    (["--inner-filter", "not tcp"], {"geneve-ping", "gre-udp53"}),
    (["--inner-filter", f"host {UNDERLAY[0]}"], set()),
    (["--inner-filter", "icmp", "--filter", "icmp"], {"ping", "pong", "geneve-ping"}),
    (["--inner-filter", "ip", "--protocol", "47"], {"gre-udp53"}),
], ids=" ".join)
def test_what_a_tunnel_carries(lab: Lab, options: list[str], wanted: set[str]) -> None:
    assert traced(lab, *options) == dict.fromkeys(AT, sorted(wanted, key=NAMES.index))
    assert set(FRAMES) >= TUNNELLED >= wanted - {"ping", "pong"}


def test_later_fragments_are_counted_where_ports_are_asked_for(lab: Lab) -> None:
    with tracing(lab.netns("hv-a"), "datapath_tracing", "--netns", "self", "--point", "dev.rx", "--interface", "vnet0",
                 "--filter", "udp port 53 and ip") as tracer:
        send_all(lab)
        tracer.stop()
    assert "later fragments not decidable by port 1" in tracer.log[-1]


def test_a_host_takes_the_program_and_needs_no_libpcap(lab: Lab) -> None:
    """The program says what is recorded, the expression is its name."""
    program = "4,48 0 0 23,21 0 1 50,6 0 0 1,6 0 0 0"
    assert traced(lab, "--filter", "esp", "--filter-code", program) == dict.fromkeys(AT, ["esp"])


def test_a_run_filters_by_expression_on_all_hosts(lab: Lab, tmp_path: pathlib.Path) -> None:
    play = Play(tmp_path / "captures")
    expression = "icmp and host 192.168.32.10"
    done = play.run("reproduce.yml", capture_filter=expression, capture_run_id="e", capture_duration=60,
                    reproduce_command="ip netns exec vm-a ping -q -c 10 -i 0.02 192.168.32.20")
    assert done.returncode == 0, done.stdout
    shown = play.summary("e")["filter"]
    assert (shown["filter"], shown["netns"]) == (expression, "self")
    for host in ("hv-a", "hv-b"):
        manifest = play.manifest("e", host, "datapath_tracing")
        assert manifest["filter"] == shown      # and the same program
        assert manifest["per_point"]["dev.rx"]["matched"] == 2 * 10
        assert not any("filter-code" in word for word in manifest["command_line"])
