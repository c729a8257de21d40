# SPDX-License-Identifier: Apache-2.0
"""The tracers as a person runs them on one host: known traffic, exact records."""
import json
import os
import pathlib
import re
import signal
import subprocess
from collections import Counter

import pytest
from support.fleet import merged
from support.known import DROPPED, PORT, SENT, send
from support.lab import PYTHON, Lab, wait_until
from support.tracers import COMMANDS, tracing, until


def test_every_drop_of_a_known_rule_and_nothing_else(lab: Lab) -> None:
    with tracing(lab.netns("hv-b"), "drop_monitor", "--netns", "self", "--protocol", "udp",
                 "--dst-port", PORT) as monitor:
        send(lab)
        records = monitor.stop()
    assert len(records) == DROPPED
    assert {one["reason"] for one in records} == {"NETFILTER_DROP"}
    assert {one["at"].split("+")[0] for one in records} == {"nft_do_chain"}
    assert {one["device"] for one in records} == {"vnet0"}
    assert {one["packet"]["dst_port"] for one in records} == {PORT}
    assert all(any(frame.startswith("nf_hook_slow+") for frame in one["stack"]) for one in records)
    assert len({one["packet"]["id"] for one in records}) == DROPPED
    assert monitor.log[-1].endswith(f"matched {DROPPED}, shown {DROPPED}, lost 0")


def test_a_perf_buffer_brings_the_same_records(lab: Lab) -> None:
    options = ["--netns", "self", "--protocol", "udp", "--dst-port", PORT, "--perf-buffer", "--buffer-pages", 256]
    with tracing(lab.netns("hv-b"), "drop_monitor", *options) as monitor:
        send(lab)
        records = monitor.stop()
    assert [one["reason"] for one in records] == ["NETFILTER_DROP"] * DROPPED
    assert len({one["packet"]["id"] for one in records}) == DROPPED
    assert all(one["stack"][0].startswith("sk_skb_reason_drop+") for one in records)
    assert monitor.log[-1].endswith(f"matched {DROPPED}, shown {DROPPED}, lost 0")


def test_loss_is_counted_and_shown(lab: Lab) -> None:
    """A ring of eight pages for 113 records, and a tracer that is stopped while 1,000 packets come."""
    options = ["--netns", "self", "--protocol", "udp", "--dst-port", PORT, "--point", "dev.tx", "--interface", "eth0",
               "--buffer-pages", 8]
    with tracing(lab.netns("hv-a"), "datapath_tracing", *options) as tracer:
        pid = tracer.real_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            send(lab)
        finally:
            os.kill(pid, signal.SIGCONT)
        records = tracer.stop()
    assert 0 < len(records) < SENT
    assert tracer.log[-1].endswith(f"matched {SENT}, shown {len(records)}, lost {SENT - len(records)}")


def test_every_datagram_once_at_every_device_of_both_hosts(lab: Lab) -> None:
    options = ["--netns", "self", "--protocol", "udp", "--dst-port", PORT, "--src", lab.address("vm-a")]
    with tracing(lab.netns("hv-a"), "datapath_tracing", *options) as first, \
            tracing(lab.netns("hv-b"), "datapath_tracing", *options) as second:
        send(lab)
        at_a, at_b = first.stop(), second.stop()
    ways = [(at_a, "dev.rx", "vnet0", SENT), (at_a, "dev.tx", "eth0", SENT), (at_b, "dev.rx", "eth0", SENT),
            (at_b, "dev.tx", "vnet0", SENT - DROPPED), (at_b, "skb.drop", "vnet0", DROPPED)]
    for records, point, device, expected in ways:
        seen = Counter(one["packet"]["id"] for one in records
                       if (one["point"], one["device"]) == (point, device))
        assert (len(seen), set(seen.values())) == (expected, {1}), (point, device)
    assert {one["packet"]["dst_port"] for one in at_a + at_b} == {PORT}
    assert ", lost 0" in first.log[-1]
    assert ", lost 0" in second.log[-1]
    # a free may be interrupted by another one, for which the tracer is not run: it says how often
    freed = {one["packet"]["id"] for one in at_b if one["point"] == "skb.free"}
    missed = re.search(r"interrupted (\d+)", second.log[-1])
    assert 0 <= SENT - DROPPED - len(freed) <= (int(missed.group(1)) if missed else 0)


def retransmitted(lab: Lab, vm: str) -> int:
    """Segments that TCP of a VM has sent again, as it counts them itself."""
    rows = [line.split() for line in lab.netns(vm).run(["cat", "/proc/net/snmp"]).stdout.splitlines()
            if line.startswith("Tcp:")]
    return int(dict(zip(*rows, strict=True))["RetransSegs"])


LOSE_SOME = """
table bridge lossy {
  chain forward {
    type filter hook forward priority 0
    tcp dport 5004 numgen inc mod 5 4 drop
  }
}
"""


@pytest.mark.parametrize("version", [4, 6])
def test_every_segment_that_is_sent_again(lab: Lab, version: int) -> None:
    """At tcp.retransmit a packet has no headers yet; address, port and sequence number are those that it will have."""
    address, sender = lab.address("vm-b", version), lab.address("vm-a", version)
    points = ["--point", "tcp.retransmit", "--point", "dev.tx"]
    with lab.netns("vm-b").serve("tcp", address, 5004, count=1), lab.netns("hv-b").nft(LOSE_SOME), \
            tracing(lab.here(), "datapath_tracing", "--netns", "vm-a", "--protocol", "tcp", "--dst-port", 5004,
                    "--dst", address, *points) as tracer:
        before = retransmitted(lab, "vm-a")
        lab.netns("vm-a").send("tcp", address, 5004, bytes=300_000)
        again = retransmitted(lab, "vm-a") - before
        records = tracer.stop()
    marks = [one for one in records if one["point"] == "tcp.retransmit"]
    assert len(marks) > 0
    # one record may stand for several segments, which TCP counts one by one
    assert sum(max(1, one.get("gso_segs", 1)) for one in marks) == again
    assert {(one["packet"]["src"], one["packet"]["dst"], one["packet"]["dst_port"]) for one in marks} == {
        (sender, address, 5004)}
    assert {one["netns"] for one in marks} == {"vm-a"}
    sent = {one["packet"]["seq"] for one in records if one["point"] == "dev.tx"}
    assert {one["packet"]["seq"] for one in marks} <= sent


def test_what_has_no_device_is_counted_where_one_is_asked_for(lab: Lab) -> None:
    address = lab.address("vm-b")
    with lab.netns("vm-b").serve("tcp", address, 5004, count=1), lab.netns("hv-b").nft(LOSE_SOME), \
            tracing(lab.here(), "datapath_tracing", "--netns", "vm-a", "--protocol", "tcp", "--dst-port", 5004,
                    "--point", "tcp.retransmit") as everywhere, \
            tracing(lab.here(), "datapath_tracing", "--netns", "vm-a", "--interface", "eth0", "--protocol", "tcp",
                    "--dst-port", 5004, "--point", "tcp.retransmit") as at_eth0:
        lab.netns("vm-a").send("tcp", address, 5004, bytes=300_000)
        marks = everywhere.stop()
        assert at_eth0.stop() == []
    assert f"without a device to tell by {len(marks)}" in at_eth0.log[-1]


UNREAD = """
import socket
reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
reader.bind(("127.0.0.1", 9))
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(5):
    out.sendto(bytes(100), ("127.0.0.1", 9))
"""


READ = UNREAD + """
for number in range(5):
    reader.recv(200)
out.sendto(b"", ("127.0.0.1", 10))
"""


def test_drops_of_which_the_kernel_tells_no_device_are_a_doubt(lab: Lab, tmp_path: pathlib.Path) -> None:
    """What waits in a socket that is closed has no device any more, and no socket either."""
    run = tmp_path / "hosts" / "here" / "datapath_tracing"
    run.parent.mkdir(parents=True)
    tracer = lab.here().popen([PYTHON, COMMANDS["datapath_tracing"], "--netns", "vm-a", "--protocol", "udp",
                               "--dst-port", "9", "--host", "here", "--run-id", "run", "--run-dir", run])
    until("started", run)
    with tracing(lab.here(), "drop_monitor", "--src", "127.0.0.1", "--protocol", "udp",
                 "--dst-port", "9") as everywhere:
        lab.netns("vm-a").python(UNREAD)
        # the kernel frees them when no CPU can look at the socket any more
        assert all(everywhere.process.stdout.readline() for _ in range(5))
    tracer.send_signal(signal.SIGTERM)
    assert tracer.communicate(timeout=30)[0] == ""
    assert json.loads((run / "manifest.json").read_text())["per_point"]["skb.drop"]["no_device"] == 5
    summary = merged(tmp_path)
    assert any(doubt.startswith("5 packets that fit the filter were dropped on here and not recorded")
               for doubt in summary["doubts"])
    assert not any(sentence.startswith("No packet was lost.") for sentence in summary["verdict"])


def test_a_point_where_nothing_fits_says_so_at_the_end(lab: Lab) -> None:
    """What fits is read; what is dropped went to another port, where nobody listens."""
    with tracing(lab.here(), "datapath_tracing", "--netns", "vm-a", "--protocol", "udp", "--dst-port", "9",
                 "--point", "dev.tx", "--point", "dev.rx", "--point", "skb.drop") as tracer:
        lab.netns("vm-a").python(READ)
        tracer.stop()
    (said,) = [line for line in tracer.log if line.startswith("none that fits at ")]
    assert "skb.drop (" in said and "dev." not in said


LISTEN = """
import socket, sys
server = socket.create_server((sys.argv[1], 5005))
print("ready", flush=True)
sys.stdin.read()
"""
SEND_ACKS = """
import socket, struct, sys
source, target = (socket.inet_aton(word) for word in sys.argv[1:])
link = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
for number in range(10):
    segment = bytearray(struct.pack("!HHIIBBHHH", 40000 + number, 5005, 1, 1, 5 << 4, 16, 512, 0, 0))
    data = source + target + struct.pack("!HH", 6, len(segment)) + segment
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    struct.pack_into("!H", segment, 16, 0xFFFF ^ (total % 0xFFFF))
    link.sendto(segment, (sys.argv[2], 0))
"""


def test_drops_at_a_listening_socket_are_its_namespace_s(lab: Lab) -> None:
    """Acknowledgements out of the blue: where they are dropped they have no device any more, but a socket."""
    server = lab.netns("vm-b").popen([PYTHON, "-c", LISTEN, lab.address("vm-b")], stdin=subprocess.PIPE)
    assert server.stdout.readline() == "ready\n"
    try:
        with tracing(lab.here(), "drop_monitor", "--netns", "vm-b", "--protocol", "tcp", "--dst-port", "5005",
                     "--src", lab.address("vm-a"), "--max-records", 10) as monitor:
            lab.netns("vm-a").python(SEND_ACKS, lab.address("vm-a"), lab.address("vm-b"))
            assert monitor.process.wait(timeout=20) == 0
            drops = monitor.stop()
    finally:
        server.communicate()
    assert {(one["netns"], one["packet"]["flags"]) for one in drops} == {("vm-b", "A")}
    assert sorted(one["packet"]["src_port"] for one in drops) == list(range(40000, 40010))


def test_ethernet_addresses_are_shown(lab: Lab) -> None:
    status = lab.status()["hypervisors"]
    with tracing(lab.netns("hv-a"), "datapath_tracing", "--netns", "self", "--protocol", "icmp", "--src",
                 lab.address("vm-a"), "--point", "dev.rx", "--interface", "vnet0") as tracer:
        lab.netns("vm-a").run(["ping", "-q", "-c", "1", lab.address("vm-b")])
        (one,) = tracer.stop()
    assert one["mac"] == {"src": status["hv-a"]["vm_mac"], "dst": status["hv-b"]["vm_mac"]}


BURST = """
import socket, sys
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
link.bind(("multi0", 0))
for number in range(int(sys.argv[1])):
    link.send(bytes(6) + bytes.fromhex("0200000000010800") + bytes.fromhex("4500002e") + number.to_bytes(2, "big") +
              bytes.fromhex("000040fd00000a0000010a000002") + bytes(200))
"""


def test_every_packet_that_a_qdisc_gives_at_once(lab: Lab) -> None:
    """A device with several queues, whose one qdisc is held up: what is taken out of it comes in lists."""
    vm, burst = lab.netns("vm-a"), 200
    for words in ("ip link add multi0 numtxqueues 2 type veth peer name multi1", "ip link set multi0 up",
                  "ip link set multi1 up", "tc qdisc add dev multi0 root tbf rate 8mbit burst 20kb limit 1mb"):
        vm.run(words.split())
    try:
        with tracing(lab.here(), "datapath_tracing", "--netns", "vm-a", "--interface", "multi0", "--protocol", "253",
                     "--point", "qdisc.dequeue", "--point", "dev.tx") as tracer:
            before = vm.counters("multi0")["tx_packets"]
            vm.python(BURST, burst)
            wait_until(lambda: vm.counters("multi0")["tx_packets"] >= before + burst, "the burst has left")
            records = tracer.stop()
    finally:
        vm.run(["ip", "link", "del", "multi0"])
    for point in ("dev.tx", "qdisc.dequeue"):
        seen = Counter(one["packet"]["id"] for one in records if one["point"] == point)
        assert seen == Counter(range(burst)), point
