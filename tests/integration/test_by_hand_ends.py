# SPDX-License-Identifier: Apache-2.0
"""How a tracer that a person runs ends: when it should, cleanly, and with everything counted."""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest
from support.known import PORT, SENT, send
from support.lab import PYTHON, Lab, wait_until
from support.tracers import COMMANDS, tracing, until

from skbtrace.capture import record


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
    for options, kept in ((["--max-records", 5], 5), (["--max-bytes", record.STRIDE * 3 + 1], 3)):
        with tracing(lab.netns("hv-a"), "datapath_tracing", "--netns", "self", "--protocol", "icmp",
                     "--point", "dev.rx", "--point", "dev.tx", *options) as tracer:
            lab.netns("vm-a").run(["ping", "-q", "-c", "5", "-i", "0.01", lab.address("vm-b")])
            assert tracer.process.wait(timeout=20) == 0
            assert len(tracer.stop()) == kept
        assert "reached" in tracer.log[-1]


@pytest.mark.parametrize("buffer", [[], ["--perf-buffer", "--buffer-pages", 256]], ids=["ring", "perf"])
def test_the_rate_limit_sheds_what_is_over_it_and_counts_it(lab: Lab, tmp_path: pathlib.Path, buffer: list) -> None:
    """1,000 datagrams in 50 ms at two points, and 100 records a second: a full bucket, and what comes meanwhile."""
    rate, run = 100, tmp_path / "run"
    tracer = lab.here().popen([PYTHON, COMMANDS["datapath_tracing"], "--netns", "hv-a", "--interface", "vnet0",
                               "--interface", "eth0", "--protocol", "udp", "--dst-port", PORT, "--point", "dev.rx",
                               "--point", "dev.tx", "--max-rate", rate, *buffer, "--run-dir", run])
    until("started", run)
    try:
        send(lab)
    finally:
        tracer.send_signal(signal.SIGTERM)
        assert tracer.communicate(timeout=30)[0] == ""
    manifest = json.loads((run / "manifest.json").read_text())
    spool = (run / "records.bin").read_bytes()
    times = [record.unpack(spool, at).time_ns for at in range(record.RING_HEADER, len(spool), record.STRIDE)]
    counters, per_point = manifest["counters"], manifest["per_point"]
    assert (counters["matched"], counters["lost"], counters["cut"]) == (2 * SENT, 0, 0)
    assert counters["shed"] == 2 * SENT - counters["written"] == sum(row["shed"] for row in per_point.values())
    assert [row["matched"] for row in per_point.values()] == [SENT, SENT]
    assert all(0 < row["shed"] < SENT for row in per_point.values())
    assert len(times) == counters["written"]
    meanwhile = (max(times) - min(times)) * rate / 1e9
    assert rate <= len(times) <= rate + meanwhile + os.cpu_count()
    assert manifest["guards"] == {"max_rate": rate}
    assert json.loads((run / "status.json").read_text())["shed"] == counters["shed"]


def test_a_rate_that_is_not_reached_sheds_nothing(lab: Lab) -> None:
    options = ["--netns", "self", "--protocol", "udp", "--dst-port", PORT, "--point", "dev.rx", "--max-rate", SENT]
    with tracing(lab.netns("hv-a"), "datapath_tracing", *options) as tracer:
        send(lab)
        assert len(tracer.stop()) == SENT
    assert tracer.log[-1].endswith(f"matched {SENT}, shown {SENT}, lost 0")
    with tracing(lab.netns("hv-a"), "datapath_tracing", *options[:-1], SENT // 2) as tracer:
        send(lab)
        kept = len(tracer.stop())
    assert SENT // 2 <= kept < SENT
    assert f"shown {kept}, lost 0, shed to keep to --max-rate {SENT - kept}" in tracer.log[-1]


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
    while os.statvfs(place).f_bavail:  # what the tracer has in its place of an older file frees that one's room
        try:
            filler.write(bytes(4096))
        except OSError:
            pass
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


def test_what_a_tracer_had_written_when_it_was_killed_is_made_a_bundle(lab: Lab, tmp_path: pathlib.Path) -> None:
    """Its directory is not taken for another capture before, nor after."""
    run = tmp_path / "run"
    words = [PYTHON, COMMANDS["datapath_tracing"], "--netns", "hv-a", "--protocol", "icmp", "--point", "dev.rx",
             "--run-dir", run]
    tracer = lab.here().popen(words)
    until("started", run)
    lab.netns("vm-a").run(["ping", "-q", "-c", "5", "-i", "0.01", lab.address("vm-b")])
    wait_until(lambda: json.loads((run / "status.json").read_text())["records"] == 10, "all are recorded")
    refused = lab.here().run([*words[:2], "--salvage", run], check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert refused.stderr.endswith("its tracer is at work\n")
    tracer.kill()
    tracer.communicate()
    assert "it holds a capture that was killed; --salvage makes" in lab.here().run(words, check=False).stderr
    lab.here().run([*words[:2], "--salvage", run])
    manifest = json.loads((run / "manifest.json").read_text())
    assert (manifest["status"], manifest["ended_by"], manifest["counters"]["written"]) == ("partial", "killed", 10)
    assert sorted(path.name for path in run.iterdir()) == ["manifest.json", "records.bin", "status.json"]
    assert "it holds a capture already" in lab.here().run(words, check=False).stderr
