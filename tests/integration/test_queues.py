# SPDX-License-Identifier: Apache-2.0
"""Queues that packets meet: filled with known numbers of packets, and what the kernel itself counts beside it."""
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest
from support.fleet import merged
from support.lab import PYTHON, Lab
from support.queues import ADDRESSES, BURST, FRAMES, TAPS, devices, fills, qdisc, softnet_drops
from support.tracers import COMMANDS, tracing, until

CPUS = sorted(os.sched_getaffinity(0))
SEND = FRAMES + """
import sys
link = link_to(sys.argv[1])
for number in range(int(sys.argv[2])):
    send(link, number)
"""


def test_a_qdisc_is_as_full_as_tc_says(lab: Lab) -> None:
    """A token bucket lets one packet pass, and no second one for minutes."""
    vm, size, room = lab.netns("vm-a"), 200, 20
    with (
        devices(vm, "queue0", "ip link add queue0 type veth peer name queue1", "ip link set queue0 up",
                "ip link set queue1 up",
                f"tc qdisc add dev queue0 root tbf rate 8bit burst {size} limit {room * size}"),
        tracing(lab.here(), "datapath_tracing", "--netns", "vm-a", "--interface", "queue0", "--protocol", "253",
                "--point", "dev.queue", "--point", "qdisc.enqueue", "--point", "qdisc.dequeue",
                "--point", "skb.drop") as tracer,
    ):
        vm.python(SEND, "queue0", 31)
        counted = qdisc(vm, "queue0")
        records = tracer.stop()
    assert [length for length, _limit in fills(records, "dev.queue")] == [0, *range(room), *[room] * 10]
    assert [length for length, _limit in fills(records, "qdisc.enqueue")] == [1, *range(1, room + 1)]
    drops = [one["queue"] for one in records if one["point"] == "skb.drop"]
    assert len(drops) == counted["drops"] == 10
    assert {(one["kind"], one["length"], one["backlog"]) for one in drops} == {
        ("qdisc", counted["qlen"], counted["backlog"])} == {("qdisc", room, room * size)}
    assert len([one for one in records if one["point"] == "qdisc.dequeue"]) == 1
    assert "interrupted" not in tracer.log[-1]    # a queue that waits gives nothing, and nothing was missed


RING = TAPS + """
tap = open_tap("queue0", 0x1002)
until_active("queue0")
link = link_to("queue0")
for number in range(150):
    link.send(frame(number))
for _ in range(40):
    os.read(tap, 2048)
link.send(frame(150))
"""


def test_the_ring_of_a_tap(lab: Lab) -> None:
    """100 slots take 100 packets; of 40 that were read, the slots of two batches of 16 are free again."""
    vm = lab.netns("vm-a")
    with (
        devices(vm, "queue0", "ip tuntap add queue0 mode tap", "ip link set queue0 txqueuelen 100 up"),
        tracing(lab.here(), "datapath_tracing", "--netns", "vm-a", "--interface", "queue0", "--protocol", "253",
                "--profile", "nic") as tracer,
    ):
        vm.python(RING)
        dropped = vm.counters("queue0")["tx_dropped"]
        records = tracer.stop()
    assert fills(records, "dev.tx") == [(length, 100) for length in [*range(100), *[100] * 50, 68]]
    assert fills(records, "skb.drop") == [(100, 100)] * dropped == [(100, 100)] * 50
    assert {one["queue"]["kind"] for one in records if "queue" in one} == {"tap"}


def test_a_ring_in_the_products_of_a_run(lab: Lab, tmp_path: pathlib.Path) -> None:
    vm, run = lab.netns("vm-a"), tmp_path / "hosts" / "here" / "datapath_tracing"
    run.parent.mkdir(parents=True)
    with devices(vm, "queue0", "ip tuntap add queue0 mode tap", "ip link set queue0 txqueuelen 100 up"):
        tracer = lab.here().popen([PYTHON, COMMANDS["datapath_tracing"], "--netns", "vm-a", "--interface", "queue0",
                                   "--protocol", "253", "--host", "here", "--run-id", "run", "--run-dir", run])
        until("started", run)
        vm.python(RING)
        tracer.send_signal(signal.SIGTERM)
        assert tracer.communicate(timeout=30)[0] == ""
    summary = merged(tmp_path)
    (queue,) = summary["queues"]
    assert (queue["device"], queue["kind"], queue["unit"], queue["limit"]) == ("queue0", "tap", "packets", 100)
    assert (queue["records"], queue["min"], queue["max"], queue["drops"]) == (201, 0, 100, 50)
    assert queue["full"]["records"] == 100      # 50 packets, each at the device and where it was dropped
    (loss,) = [loss for loss in summary["losses"] if loss.get("reason") == "FULL_RING"]
    assert loss["packets"] == 50
    assert [one["length"] for one in loss["queue"]["before"]] == list(range(91, 101))


RINGS = TAPS + """
import sys
taps = [open_tap("queue0", 0x1102) for _ in range(4)]
until_active("queue0")
link = link_to("queue0")
for number in range(300):
    link.send(frame(number, source=number))
"""


def test_each_queue_of_a_tap_has_a_ring_of_its_own(lab: Lab) -> None:
    vm = lab.netns("vm-a")
    with (
        devices(vm, "queue0", "ip tuntap add queue0 mode tap multi_queue", "ip link set queue0 txqueuelen 1000 up"),
        tracing(lab.here(), "datapath_tracing", "--netns", "vm-a", "--interface", "queue0", "--protocol", "253",
                "--point", "dev.tx") as tracer,
    ):
        vm.python(RINGS)
        records = tracer.stop()
    rings: dict = {}
    for one in records:
        ring = rings.setdefault(one.get("queue_mapping", 0), [])
        ring.append(one["queue"]["length"])
    assert len(records) == 300 and len(rings) > 1
    assert all(lengths == list(range(len(lengths))) for lengths in rings.values())


def pair(number: int) -> list[str]:
    """Commands for a pair of devices, through which packets go one by one."""
    return [f"ip link add queue{number} type veth peer name peer{number}", f"ip link set queue{number} up",
            f"ip link set queue{number} gso_max_size 1500",
            f"ip link set peer{number} up"]


def test_a_cpu_s_backlog(lab: Lab) -> None:
    """40 segments of one datagram come to a CPU before it takes the first one."""
    vm = lab.netns("vm-a")
    with (
        devices(vm, "queue0", *pair(0), *(words.format("queue0") for words in ADDRESSES)),
        tracing(lab.here(), "datapath_tracing", "--netns", "vm-a", "--protocol", "udp", "--dst-port", "9",
                "--point", "dev.backlog") as tracer,
    ):
        vm.python(BURST, 40, CPUS[0])
        records = tracer.stop()
    lengths = [length for length, _limit in fills(records, "dev.backlog")]
    assert lengths == list(range(lengths[0], lengths[0] + 40))


def test_a_cpu_s_backlog_that_is_full(lab: Lab) -> None:
    """A bridge floods 128 segments out of 9 ports, more than a backlog takes."""
    vm, ports = lab.netns("vm-a"), range(9)
    commands = [words for port in ports for words in (*pair(port), f"ip link set queue{port} master bridge0")]
    with (
        devices(vm, "bridge0 " + " ".join(f"queue{port}" for port in ports), "ip link add bridge0 type bridge",
                *commands, *(words.format("bridge0") for words in ADDRESSES)),
        tracing(lab.here(), "datapath_tracing", "--netns", "vm-a", "--protocol", "udp", "--dst-port", "9",
                "--point", "dev.backlog", "--point", "skb.drop") as tracer,
    ):
        before = softnet_drops()
        vm.python(BURST, 128, CPUS[-1])
        counted = softnet_drops() - before
        records = tracer.stop()
    lengths = [length for length, _limit in fills(records, "dev.backlog")]
    first, most = lengths[0], max(lengths)
    assert lengths == [min(first + number, most) for number in range(128 * len(ports))]
    drops = [(one["queue"]["kind"], one["queue"]["length"]) for one in records if one.get("reason") == "CPU_BACKLOG"]
    assert drops == [("softnet", most)] * lengths.count(most)
    assert len(drops) == counted


@pytest.mark.parametrize("cpu", CPUS)
def test_a_qdisc_that_counts_on_each_cpu(lab: Lab, cpu: int) -> None:
    """40 packets come at once to a device that stops its queue after 10 and a pfifo_fast with room for 10."""
    vm = lab.netns("vm-a")
    with (
        devices(vm, "queue0 queue9", *pair(0), *(words.format("queue0") for words in ADDRESSES),
                "ip link add queue9 type ifb", "ip link set queue9 txqueuelen 10 up",
                "tc qdisc add dev queue9 root pfifo_fast", "tc qdisc add dev peer0 ingress",
                "tc filter add dev peer0 ingress u32 match u32 0 0 action mirred egress redirect dev queue9"),
        tracing(lab.here(), "datapath_tracing", "--netns", "vm-a", "--interface", "queue9", "--protocol", "udp",
                "--dst-port", "9", "--point", "dev.queue", "--point", "skb.drop") as tracer,
    ):
        vm.python(BURST, 40, cpu)
        counted = qdisc(vm, "queue9")
        records = tracer.stop()
    drops = counted["drops"]
    lengths, full = [length for length, _limit in fills(records, "dev.queue")], fills(records, "skb.drop")[0][0]
    assert 10 <= full <= 11 and full + drops < 40     # one more waits in front of the stopped queue
    assert lengths == [0] * (40 - full - drops) + list(range(full)) + [full] * drops
    assert [length for length, _limit in fills(records, "skb.drop")] == [full] * drops


def test_a_qdisc_with_room_for_bytes(lab: Lab) -> None:
    """40 packets come at once to a device that stops its queue after 10 and a bfifo with room for 10."""
    vm, size, room = lab.netns("vm-a"), 14 + 20 + 8 + 500, 10
    with (
        devices(vm, "queue0 queue9", *pair(0), *(words.format("queue0") for words in ADDRESSES),
                "ip link add queue9 type ifb", "ip link set queue9 txqueuelen 10 up",
                f"tc qdisc add dev queue9 root bfifo limit {room * size}", "tc qdisc add dev peer0 ingress",
                "tc filter add dev peer0 ingress u32 match u32 0 0 action mirred egress redirect dev queue9"),
        tracing(lab.here(), "datapath_tracing", "--netns", "vm-a", "--interface", "queue9", "--protocol", "udp",
                "--dst-port", "9", "--point", "dev.queue", "--point", "skb.drop") as tracer,
    ):
        vm.python(BURST, 40, CPUS[0])
        counted = qdisc(vm, "queue9")
        records = tracer.stop()
    drops, limit = counted["drops"], room * size
    assert 0 < drops < 40 - room
    lengths = [0] * (40 - room - drops) + list(range(0, limit, size)) + [limit] * drops
    assert [one["queue"] for one in records if one["point"] == "dev.queue"] == [
        {"kind": "qdisc.bytes", "length": length, "limit": limit, "backlog": length} for length in lengths]
    assert [one["queue"]["kind"] for one in records if one["point"] == "skb.drop"] == ["qdisc.bytes"] * drops
    assert fills(records, "skb.drop") == [(limit, limit)] * drops


RECEIVE = """
import socket, subprocess
reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20000)
reader.bind(("127.0.0.1", 9))
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(100):
    out.sendto(bytes(500), ("127.0.0.1", 9))
print(subprocess.check_output(["ss", "-uamnH", "sport", "=", ":9"], text=True))
"""


def memory(shown: str) -> dict[str, int]:
    """What `ss -m` says of a socket: r, rb, t, tb, f, w, o, bl, d."""
    (words,) = re.findall(r"skmem:\(([^)]*)\)", shown)
    return {name: int(number) for name, number in re.findall(r"([a-z]+)(\d+)", words)}


def test_a_socket_s_receive_buffer(lab: Lab) -> None:
    with tracing(lab.here(), "drop_monitor", "--netns", "vm-a", "--protocol", "udp", "--dst-port", "9") as tracer:
        counted = memory(lab.netns("vm-a").python(RECEIVE).stdout)
        records = tracer.stop()
    assert {one["reason"] for one in records} == {"SOCKET_RCVBUFF"}
    assert [one["queue"] for one in records] == [
        {"kind": "receive", "length": counted["r"], "limit": counted["rb"], "backlog": 0}] * counted["d"]
    assert 0 < counted["d"] < 100


SEND_BUFFER = """
import socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", 9))
out = socket.create_connection(("127.0.0.1", 9))
print("connected", flush=True)
sys.stdin.readline()
out.send(bytes(5000))
sys.stdin.readline()
print(subprocess.check_output(["ss", "-tmnH", "dport", "=", ":9"], text=True))
"""
DROP = "table ip queues {\nchain input {\ntype filter hook input priority 0;\ntcp dport 9 drop\n}\n}"


def test_a_socket_s_send_buffer(lab: Lab) -> None:
    """What TCP sends again, for nobody has acknowledged it, is all still in its buffer."""
    vm = lab.netns("vm-a")
    with tracing(lab.here(), "datapath_tracing", "--netns", "vm-a", "--protocol", "tcp", "--dst-port", "9",
                 "--point", "tcp.retransmit") as tracer:
        sender = vm.popen([PYTHON, "-c", SEND_BUFFER], stdin=subprocess.PIPE)
        assert sender.stdout.readline() == "connected\n"
        with vm.nft(DROP):
            sender.stdin.write("send\n")
            sender.stdin.flush()
            first = json.loads(tracer.process.stdout.readline())
            counted = memory(sender.communicate("count\n", timeout=10)[0])
        tracer.stop()
    assert first["queue"] == {"kind": "send", "length": counted["t"], "limit": counted["tb"], "backlog": counted["w"]}
    assert counted["w"] > 5000


LISTEN = """
import socket, struct, subprocess
listener = socket.socket()
listener.bind(("127.0.0.1", 9))
listener.listen(16)
clients = [socket.create_connection(("127.0.0.1", 9)) for _ in range(5)]
print(subprocess.check_output(["ss", "-tlnH", "sport", "=", ":9"], text=True))
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
tcp = struct.pack("!HHIIBBHHH", 1000, 9, 1, 0, 0x50, 3, 1024, 0, 0)  # SYN and FIN
words = struct.unpack("!16H", tcp + struct.pack("!4s4sHH", *2 * (socket.inet_aton("127.0.0.1"),), 6, len(tcp)))
total = sum(words)
total = (total & 0xFFFF) + (total >> 16)
raw.sendto(tcp[:16] + struct.pack("!H", 0xFFFF - (total & 0xFFFF) - (total >> 16)) + tcp[18:], ("127.0.0.1", 0))
"""


def test_a_listening_socket_s_queue(lab: Lab) -> None:
    """Five connections wait to be accepted; the segment that makes no sense ends at the socket."""
    with tracing(lab.here(), "drop_monitor", "--netns", "vm-a", "--protocol", "tcp", "--src-port", "1000") as tracer:
        _state, waiting, room = lab.netns("vm-a").python(LISTEN).stdout.split()[:3]
        queues = [one["queue"] for one in tracer.stop() if "queue" in one]  # the sender's own socket got a copy
    assert queues == [{"kind": "accept", "length": int(waiting), "limit": int(room), "backlog": 0}]
    assert (waiting, room) == ("5", "16")
