# SPDX-License-Identifier: Apache-2.0
"""The tracers as a person runs them on one host: known traffic, exact records, clean ends, plain refusals."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
from collections import Counter

import pytest
from support.lab import PYTHON, Lab, wait_until
from support.tracers import COMMANDS, tracing

from skbtrace.capture import record
from skbtrace.show import headers

OLDEST = pathlib.Path("~/.pyenv/versions/3.6.15/bin/python").expanduser()
SENT, PORT = 1000, 5001
DROPPED = 143  # every seventh, from the first on
DROP_SOME = """
table bridge known {
  chain forward {
    type filter hook forward priority 0
    udp dport 5001 numgen inc mod 7 0 counter drop
  }
}
"""


def dropped_by_rule(lab: Lab) -> int:
    """Packets that the rule itself counted."""
    listed = json.loads(lab.netns("hv-b").run(["nft", "-j", "list", "ruleset"]).stdout)["nftables"]
    (rule,) = [entry["rule"] for entry in listed if "rule" in entry]
    (counter,) = [word["counter"] for word in rule["expr"] if "counter" in word]
    return counter["packets"]


def send(lab: Lab) -> None:
    """1,000 datagrams and some pings from vm-a to vm-b; at the end the rule dropped its share, the rest arrived."""
    address = lab.address("vm-b")
    with lab.netns("hv-b").nft(DROP_SOME), \
            lab.netns("vm-b").serve("udp", address, PORT, count=SENT - DROPPED) as server:
        lab.netns("vm-a").send("udp", address, PORT, count=SENT, rate=20000)
        lab.netns("vm-a").run(["ping", "-q", "-c", "3", "-i", "0.01", address])
        server.process.wait(timeout=10)
        assert dropped_by_rule(lab) == DROPPED


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


@pytest.mark.parametrize("way", ["interrupt", "terminate", "hang-up"])
def test_a_signal_ends_it_with_a_summary(lab: Lab, way: str) -> None:
    number = {"interrupt": signal.SIGINT, "terminate": signal.SIGTERM, "hang-up": signal.SIGHUP}[way]
    with tracing(lab.netns("hv-a"), "drop_monitor", "--netns", "self") as monitor:
        monitor.process.send_signal(number)
        monitor.stop()
    assert monitor.status == 0
    assert monitor.log[-1].startswith("seen ")


def test_duration_ends_it(lab: Lab) -> None:
    with tracing(lab.netns("hv-a"), "drop_monitor", "--netns", "self", "--duration", "0.2") as monitor:
        assert monitor.process.wait(timeout=20) == 0


def test_limits_end_it_to_the_record(lab: Lab) -> None:
    for options, kept in ((["--max-records", 5], 5), (["--max-bytes", 288 * 3 + 1], 3)):
        with tracing(lab.netns("hv-a"), "datapath_tracing", "--netns", "self", "--protocol", "icmp",
                     "--point", "dev.rx", "--point", "dev.tx", *options) as tracer:
            lab.netns("vm-a").run(["ping", "-q", "-c", "5", "-i", "0.01", lab.address("vm-b")])
            assert tracer.process.wait(timeout=20) == 0
            assert len(tracer.stop()) == kept
        assert "reached" in tracer.log[-1]


def test_a_closed_pipe_ends_it_even_without_packets(lab: Lab) -> None:
    with tracing(lab.netns("hv-a"), "drop_monitor", "--netns", "self", "--vlan", "4000") as monitor:
        monitor.process.stdout.close()
        assert monitor.process.wait(timeout=20) == 0
        errors = monitor.process.stderr.read()
    assert "Traceback" not in errors
    assert "Broken" not in errors


def test_no_program_is_left_even_after_a_kill(lab: Lab) -> None:
    with tracing(lab.netns("hv-a"), "datapath_tracing", "--netns", "self") as tracer:
        assert programs_named("skb_drop") > 0
        os.kill(tracer.real_pid(), signal.SIGKILL)
        tracer.process.wait(timeout=20)
        wait_until(lambda: programs_named("skb_drop") == 0, "the programs are gone")


def programs_named(name: str) -> int:
    """How many loaded BPF programs have this name, as kallsyms shows them."""
    lines = pathlib.Path("/proc/kallsyms").read_text().splitlines()
    return sum(1 for line in lines if "\tbpf_prog_" in line.replace(" ", "\t") and f"_{name}" in line)


REFUSED = [
    (["--interface", "vnet9"], 2, "--interface is 'vnet9': there is no such device in network namespace self; "),
    (["--netns", "hv-z"], 2, "--netns is 'hv-z': there is no such network namespace; "),
    (["--netns", "/etc/passwd"], 2, "--netns is '/etc/passwd': there is no such network namespace; "),
    (["--require-point", "ovs.ct"], 1,
     "--require-point is 'ovs.ct', which cannot be had on this host: module openvswitch is not loaded"),
    (["--point", "ovs.ct"], 1, "none of the points is in this kernel: ovs.ct: module openvswitch is not loaded"),
    (["--run-dir", "/proc/nowhere"], 2, "--run-dir is '/proc/nowhere': it must be a directory that can be written"),
]


@pytest.mark.parametrize(("options", "status", "sentence"), REFUSED, ids=[" ".join(case[0]) for case in REFUSED])
def test_refused_in_one_sentence_before_anything_is_loaded(lab: Lab, options: list, status: int, sentence: str) -> None:
    done = lab.netns("hv-a").run([PYTHON, COMMANDS["drop_monitor"], *options], check=False)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith("error: " + sentence)
    assert done.stderr.count("\n") == 1


def test_not_root() -> None:
    done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", PYTHON,
                           str(readable_copy() / "multi_protocol_drop_monitor.py")],
                          capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: this must run as root: loading BPF programs is not allowed to user 65534\n"


def readable_copy() -> pathlib.Path:
    """The host side where anybody can read it, as `bpftools/` copied to a host: it needs nothing else."""
    target = pathlib.Path("/run/skbfleet-test-bpftools")
    shutil.rmtree(target, ignore_errors=True)
    source = COMMANDS["drop_monitor"].parent
    shutil.copytree(source / "skbtrace", target / "skbtrace")
    shutil.copy(COMMANDS["drop_monitor"], target)
    return target


def test_no_bcc(tmp_path: pathlib.Path) -> None:
    done = subprocess.run([PYTHON, "-S", COMMANDS["drop_monitor"]], capture_output=True, text=True, timeout=60,
                          check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("has no module bcc: install python3-bpfcc (Debian, openEuler) or python3-bcc "
                                "(RHEL family)\n")
    assert done.stderr.count("\n") == 1


def test_no_btf(lab: Lab) -> None:
    """A kernel without BTF or headers, as far as the tracer can see."""
    hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh"]
    done = lab.here().run([*hide, PYTHON, COMMANDS["drop_monitor"]], check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: this kernel has neither BTF (/sys/kernel/btf/vmlinux) nor headers")
    assert done.stderr.count("\n") == 1


def test_a_full_disk_is_refused_before_it_is_used(lab: Lab, tmp_path: pathlib.Path) -> None:
    small = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs -o size=8m none {tmp_path} && exec "$@"', "sh"]
    done = lab.here().run([*small, PYTHON, COMMANDS["drop_monitor"], "--run-dir", tmp_path / "run"], check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "has 8 MiB free: a capture needs at least 64 MiB" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(not OLDEST.exists(), reason="no Python 3.6 on this machine")
@pytest.mark.parametrize("name", COMMANDS)
def test_the_oldest_python_checks_options(name: str) -> None:
    good = subprocess.run([OLDEST, COMMANDS[name], "--check-options", "--src", "192.168.32.0/24", "--protocol", "tcp",
                           "--dst-port", "443"], capture_output=True, text=True, timeout=60, check=False)
    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    bad = subprocess.run([OLDEST, COMMANDS[name], "--src", "nobody"], capture_output=True, text=True, timeout=60,
                         check=False)
    assert bad.returncode == 2
    assert bad.stderr.startswith("error: --src is 'nobody': ")


STRANGE = b"\xff\xfe\x1b[31m"
STRANGE_SHOWN = r"\xff\xfe\x1b[31m"
HOLD_DEVICE = """
import subprocess, sys
subprocess.run([b"ip", b"link", b"add", b"name", b"\\xff\\xfe\\x1b[31m", b"type", b"bridge"], check=True)
print("ready", flush=True)
sys.stdin.read()
"""
SEND_AS = """
import ctypes, socket, sys
ctypes.CDLL(None).prctl(15, b"\\xff\\x1b[2Jx", 0, 0, 0)
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (sys.argv[1], 5001))
"""
AS_ANYBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "unshare", "--user",
              "--map-root-user", "--net"]


def test_a_device_whose_name_is_no_text_harms_neither_tracer_nor_manifest(lab: Lab, tmp_path: pathlib.Path) -> None:
    """Anybody can make one, in a namespace of his own."""
    holder = lab.here().popen([*AS_ANYBODY, PYTHON, "-c", HOLD_DEVICE], stdin=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == "ready\n"
        done = lab.here().run([PYTHON, COMMANDS["drop_monitor"], "--run-dir", tmp_path / "run", "--duration", "0.1"])
    finally:
        holder.communicate()
    assert done.stderr == ""
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert STRANGE_SHOWN in {device["name"] for device in manifest["devices"]}


def test_a_strange_device_is_found_by_its_bytes_and_by_what_is_shown(lab: Lab) -> None:
    vm = lab.netns("vm-a")
    vm.run(["ip", "link", "add", "name", os.fsdecode(STRANGE), "type", "bridge"])
    try:
        for name in (os.fsdecode(STRANGE), STRANGE_SHOWN):
            done = lab.here().run([PYTHON, COMMANDS["drop_monitor"], "--netns", "vm-a", "--interface", name,
                                   "--duration", "0.1"])
            assert done.stdout == ""
        refused = lab.here().run([PYTHON, COMMANDS["drop_monitor"], "--netns", "vm-a", "--interface", "nope"],
                                 check=False)
    finally:
        vm.run(["ip", "link", "del", os.fsdecode(STRANGE)])
    assert f"it must be one of {STRANGE_SHOWN}, eth0, lo" in refused.stderr
    assert "\x1b" not in refused.stderr


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_name_of_a_process_never_reaches_the_terminal_raw(lab: Lab, form: str) -> None:
    options = ["--netns", "vm-a", "--protocol", "udp", "--dst-port", PORT, "--point", "dev.tx", "--max-records", 1]
    tracer = lab.here().popen([PYTHON, COMMANDS["datapath_tracing"], *options, "--format", form],
                              stderr=subprocess.PIPE, text=False)
    assert tracer.stderr.readline().startswith(b"tracing ")
    lab.netns("vm-a").python(SEND_AS, lab.address("vm-b"))
    output, _errors = tracer.communicate(timeout=20)
    assert output.count(b"\n") == 1
    assert output.strip().decode().isprintable()
    assert "\N{REPLACEMENT CHARACTER}\\x1b[2Jx" in (
        json.loads(output)["process"] if form == "json" else output.decode())


@pytest.mark.parametrize("name", COMMANDS)
def test_an_early_interrupt_ends_it_without_a_traceback(lab: Lab, name: str) -> None:
    """At every stage of its start: imports, compiling, attaching. Before its first line the handler is Python's own."""
    for stage in range(12):
        process = lab.here().popen([PYTHON, COMMANDS[name], "--netns", "hv-a"], stderr=subprocess.PIPE)
        maps = pathlib.Path(f"/proc/{process.pid}/maps")
        wait_until(lambda maps=maps: "_ctypes" in maps.read_text(), "its first line has run, and it imports")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=stage * 0.03)  # a moment of its start, another one each time
        process.send_signal(signal.SIGINT)
        _output, errors = process.communicate(timeout=20)
        assert "Traceback" not in errors, (stage, errors)
        assert process.returncode in (0, -signal.SIGINT), (stage, errors)


def test_nohup_lets_it_live_on(lab: Lab) -> None:
    with tracing(lab.netns("hv-a"), "drop_monitor", "--netns", "self", before=["nohup"]) as monitor:
        pid = monitor.real_pid()
        os.kill(pid, signal.SIGHUP)
        os.kill(pid, signal.SIGHUP)
        lab.netns("vm-a").run(["ping", "-q", "-c", "1", lab.address("vm-b")])
        assert monitor.process.poll() is None
        os.kill(pid, signal.SIGTERM)
        monitor.stop()
    assert monitor.status == 0
    assert monitor.log[-1].startswith("seen ")


@pytest.mark.parametrize("end", ["duration", "terminate"])
def test_a_reader_who_stalls_keeps_nothing_attached(lab: Lab, end: str) -> None:
    """More lines than a pipe holds, and nobody reads: the programs are gone in time, and what was not read is told."""
    options = ["--netns", "self", "--protocol", "udp", "--dst-port", PORT, "--point", "dev.rx", "--interface", "vnet0"]
    with tracing(lab.netns("hv-a"), "datapath_tracing", *options,
                 *(["--duration", "3"] if end == "duration" else [])) as tracer:
        assert programs_named("dev_rx") > 0
        send(lab)
        if end == "terminate":
            os.kill(tracer.real_pid(), signal.SIGTERM)
        wait_until(lambda: programs_named("dev_rx") == 0, "the programs are gone")
        errors = tracer.process.stderr.read()  # it ends without a reader
        assert tracer.process.wait(timeout=20) == 0
        shown = tracer.process.stdout.read().splitlines()
    summary = re.search(rf"matched {SENT}, shown (\d+), lost 0, not shown because the output was not read (\d+)",
                        errors)
    assert summary, errors
    assert sum(map(int, summary.groups())) == SENT
    assert 0 < int(summary.group(1)) == sum(line.endswith("}") for line in shown)


def test_a_full_disk_ends_live_mode_without_a_traceback(lab: Lab, tmp_path: pathlib.Path) -> None:
    line = f'mount -t tmpfs -o size=8m none {tmp_path} && exec "$@" > {tmp_path}/drops.log'
    done = lab.here().run(["unshare", "--mount", "sh", "-c", line, "sh", PYTHON, COMMANDS["drop_monitor"]])
    assert "Traceback" not in done.stderr
    assert "limit disk of 67108864 reached (only 8 MiB are free on the disk)" in done.stderr.splitlines()[-1]


FILL_DISK = """
import os, pathlib, subprocess, sys
place, *command = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "none", place], check=True)
tracer = subprocess.Popen([*command, "--run-dir", place + "/run"])
while not os.path.exists(place + "/run/records.bin"):
    assert tracer.poll() is None
with open(place + "/filler", "wb", 0) as filler:
    try:
        while True:
            filler.write(bytes(4096))
    except OSError:
        pass
assert os.statvfs(place).f_bavail == 0
print(tracer.wait(timeout=20))
print(pathlib.Path(place, "run", "manifest.json").read_text())
"""


def test_a_disk_that_others_fill_costs_no_manifest(lab: Lab, tmp_path: pathlib.Path) -> None:
    tracer = [PYTHON, COMMANDS["datapath_tracing"]]
    done = lab.here().run(["unshare", "--mount", PYTHON, "-c", FILL_DISK, tmp_path, *tracer])
    status, _newline, text = done.stdout.partition("\n")
    assert (status, done.stderr) == ("0", "")
    manifest = json.loads(text)
    assert (manifest["status"], [limit["limit"] for limit in manifest["limits"]]) == ("partial", ["disk"])


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


# datagrams of 100 bytes over loopback, which the reader frees in a task's context; others of 900 bytes leave a qdisc
# whenever its timer interrupts: each size has a port of its own
FLOOD = """
import socket, struct, sys, time
address, seconds = sys.argv[1], float(sys.argv[2])
def run(port, size):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, port))
    server.settimeout(0.5)
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end, payload = time.monotonic() + seconds, bytes([port & 255]) * size
    while time.monotonic() < end:
        client.sendto(payload, (address, port))
        server.recv(4096)
def shape():
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind(("multi0", 0))
    end = time.monotonic() + seconds
    ip = bytes.fromhex("450003a000000000401100000a0000010a000002") + struct.pack("!HHHH", 6000, 6002, 908, 0)
    frame = bytes(6) + bytes.fromhex("0200000000010800") + ip + bytes(900)
    while time.monotonic() < end:
        try:
            link.send(frame, socket.MSG_DONTWAIT)
        except OSError:
            time.sleep(0.0005)
if address == "multi0":
    shape()
else:
    run(6001, 100)
"""


def test_records_of_a_perf_buffer_do_not_mix(lab: Lab, tmp_path: pathlib.Path) -> None:
    """A program that is interrupted by another one on its CPU keeps what it has written so far."""
    run = tmp_path / "run"
    tracer = lab.here().popen([PYTHON, COMMANDS["datapath_tracing"], "--netns", "vm-a", "--protocol", "udp",
                               "--dst-port", "6001-6002", "--profile", "queues", "--perf-buffer",
                               "--buffer-pages", "1024", "--run-dir", run])
    wait_until((run / "records.bin").exists, "the tracer records")
    vm = lab.netns("vm-a")
    for words in ("ip link add multi0 type veth peer name multi1", "ip link set multi0 up", "ip link set multi1 up",
                  "tc qdisc add dev multi0 root tbf rate 100mbit burst 2kb limit 1mb"):
        vm.run(words.split())
    try:
        flood = [vm.popen([PYTHON, "-c", FLOOD, address, "3"]) for address in ("127.0.0.1", "127.0.0.2", "multi0")]
        assert [one.communicate(timeout=30)[0] for one in flood] == [""] * 3
        tracer.send_signal(signal.SIGTERM)
        assert tracer.communicate(timeout=30)[0] == ""
    finally:
        vm.run(["ip", "link", "del", "multi0"])
    spool = (run / "records.bin").read_bytes()
    manifest = json.loads((run / "manifest.json").read_text())
    records = [record.unpack(spool, at) for at in range(record.RING_HEADER, len(spool), record.STRIDE)]
    assert len(records) > 10000
    # the size in the packet's own header, the skb's length and the port belong together
    of_port = {6001: 128, 6002: 928}
    for one in records:
        packet = headers.decode(one.packet[:one.packet_len], one.packet_layer, one.protocol)
        assert packet["ip_length"] == of_port[packet["dst_port"]], one
        assert one.len - packet["ip_length"] in (0, 14), one
    counters = manifest["counters"]
    assert counters["matched"] == counters["written"] + counters["lost"]
    assert len({(one.time_ns, one.cpu, one.skb, one.point) for one in records}) == len(records)


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
