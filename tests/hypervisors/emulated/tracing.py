# SPDX-License-Identifier: Apache-2.0
"""Run a tracer inside a machine while something happens there, and get its records back."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.tracers import next_line

from . import EmulationError
from .machine import Machine

ARM_SECONDS = 900    # that compiling and attaching may take; emulation on a busy machine is slow
TOOLS = "/opt/skbfleet/bpftools"
COMMANDS = {"drop_monitor": "multi_protocol_drop_monitor.py", "datapath_tracing": "packet_datapath_tracing.py"}
# the ids of all loaded BPF programs, maps and kprobes, files, units and processes of tracers: what must be the same
# before and after a run. Programs of systemd count by their number: it makes them anew when units come and go
LEFTOVERS = r"""
import ctypes, json, os, platform, subprocess
libc = ctypes.CDLL(None, use_errno=True)
BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
class NextId(ctypes.Structure):
    _fields_ = [("start", ctypes.c_uint32), ("next", ctypes.c_uint32), ("flags", ctypes.c_uint32)]
def ids(command):
    row, found = NextId(), []
    while libc.syscall(BPF, command, ctypes.byref(row), 12) == 0:
        found.append(row.next)
        row.start = row.next
    return found
class Open(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint32), ("next", ctypes.c_uint32), ("flags", ctypes.c_uint32)]
class Info(ctypes.Structure):
    _fields_ = [("fd", ctypes.c_uint32), ("length", ctypes.c_uint32), ("info", ctypes.c_uint64)]
def name(program):
    fd = libc.syscall(BPF, 13, ctypes.byref(Open(id=program)), 12)
    if fd < 0:
        return "gone"
    text = ctypes.create_string_buffer(80)  # struct bpf_prog_info up to its name
    libc.syscall(BPF, 15, ctypes.byref(Info(fd=fd, length=80, info=ctypes.addressof(text))), 16)
    os.close(fd)
    return text.raw[64:80].rstrip(b"\0").decode()
names = {program: name(program) for program in ids(11)}
# systemd's own come and go with its units; before version 251 they have no names
programs = sorted(key for key, word in names.items() if word not in ("", "gone") and not word.startswith("sd_"))
with open("/sys/kernel/debug/kprobes/list") as handle:
    kprobes = sorted(handle.read().splitlines())
def output(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, universal_newlines=True).stdout.splitlines()
units = output("systemctl", "list-units", "--all", "--plain", "--no-legend", "skbfleet-*")
tracers = [words for words in output("ps", "-ww", "-eo", "args") if "--run-dir=" in words or "host_evidence" in words]
print(json.dumps({"programs": programs, "maps": ids(12), "kprobes": kprobes, "units": units, "processes": tracers,
                  "files": sorted(os.listdir("/var/tmp") + [name for name in os.listdir("/run") if "skb" in name])}))
"""


class Tracing:
    """A tracer that runs; `records` is filled when it has ended."""

    def __init__(self, machine: Machine, process: "subprocess.Popen[str]") -> None:
        self.machine, self.process = machine, process
        self.records: list[dict] = []
        self.log = ""
        self.status: int | None = None

    def stop(self, signal: str = "INT") -> None:
        """Send a signal, wait for the end, read what was printed."""
        if self.process.poll() is None:
            self.machine.run(f"kill -{signal} $(cat /run/tracer.pid)", check=False)
        output, errors = self.process.communicate(timeout=600)
        self.status = self.process.returncode
        self.log += errors
        self.records = [json.loads(line) for line in output.splitlines()]

    def count(self, **wanted: object) -> int:
        """Return how many records have these values; `packet__name` looks into the packet."""
        return sum(all(self._value(record, name) == value for name, value in wanted.items())
                   for record in self.records)  # fmt: skip

    @staticmethod
    def _value(record: dict, name: str) -> object:
        for part in name.split("__"):
            record = record.get(part, {})
        return record


@contextmanager
def tracing(machine: Machine, tracer: str, *options: object) -> Iterator[Tracing]:
    """A tracer that is armed when the block starts; the block or its end stops it."""
    words = " ".join(f"'{option}'" for option in options)
    command = f"echo $$ > /run/tracer.pid; exec {TOOLS}/{COMMANDS[tracer]} --format json {words}"
    process = subprocess.Popen([*machine.ssh(), command], stdin=subprocess.DEVNULL, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    assert process.stderr
    running = Tracing(machine, process)
    try:
        while not (line := next_line(process)).startswith("tracing "):
            running.log += line
            if not line:
                raise EmulationError(f"{tracer} did not start on {machine.name}: {running.log}")
        running.log += line
        yield running
        if running.status is None:
            running.stop()
    finally:
        if process.poll() is None:
            machine.run("kill -9 $(cat /run/tracer.pid)", check=False)
            process.kill()
            process.communicate()


@contextmanager
def bundling(machine: Machine, run_dir: Path, host: str, tracer: str, *options: object) -> Iterator[None]:
    """A tracer whose window is open while the block runs; then its bundle is in a run's directory here, as this host's.
    """
    there, here = f"/run/{run_dir.name}-{host}", run_dir / "hosts" / host / tracer
    words = [f"rm -rf {there}; echo $$ > {there}.pid; exec {TOOLS}/{COMMANDS[tracer]}",
             *(f"'{option}'" for option in options), "--evidence --host", host, "--run-id", run_dir.name,
             "--run-dir", there]  # fmt: skip
    process = subprocess.Popen([*machine.ssh(), " ".join(words)], stdin=subprocess.DEVNULL, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    try:
        armed = f"until grep -q started {there}/status.json 2>/dev/null; do sleep 0.5; done"
        machine.run(f"timeout {ARM_SECONDS} sh -c '{armed}'", timeout=ARM_SECONDS + 60)
        yield
        machine.run(f"kill -TERM $(cat {there}.pid)")
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        here.mkdir(parents=True)
        packed = subprocess.run([*machine.ssh(), f"tar -C {there} -cf - ."], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-C", str(here), "-xmf", "-"], input=packed, check=True)
    finally:
        if process.poll() is None:
            machine.run(f"kill -9 $(cat {there}.pid)", check=False)
            process.communicate()


def trial(machine: Machine, tracer: str, *options: object) -> dict:
    """Return what a tracer says it could attach on this machine."""
    words = " ".join(f"'{option}'" for option in options)
    return dict(json.loads(machine.run(f"{TOOLS}/{COMMANDS[tracer]} --trial {words}").stdout))


def leftovers(machine: Machine) -> dict:
    """Return the BPF programs, maps, kprobes, files, units and processes that are there now."""
    return dict(json.loads(machine.run("python3 -", data=LEFTOVERS.encode()).stdout))


def nothing_new(machine: Machine, before: dict) -> None:
    """Check that all of it is as before; the kernel frees them a little after their user."""
    for _ in range(50):
        now = leftovers(machine)
        if now == before:
            return
    assert now == before, {name: (before[name], now[name]) for name in now if now[name] != before[name]}


def workload(machine: Machine, *words: object) -> dict:
    """Run the workload in the machine and return what it says."""
    return dict(json.loads(machine.run("python3 /opt/workload.py " + " ".join(map(str, words)), timeout=600).stdout))
