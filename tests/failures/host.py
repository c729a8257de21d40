# SPDX-License-Identifier: Apache-2.0
"""One hypervisor of the lab, as the playbooks' module sees it, and what there is on it: processes, programs, files."""
import base64
import json
import os
import pathlib
import re
import signal
import tarfile

from support import bpfstats
from support.lab import PYTHON, ROOT, Lab, wait_until

TRACER = "datapath_tracing"
MODULE = pathlib.Path(__file__).parent / "module.py"
OWN = ("tmp", "var/tmp", "run")  # where a host keeps what a tracer, or its compiler, might leave
PROBE = """
import socket, sys
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(int(sys.argv[3])):
    out.sendto(b"x", (sys.argv[1], int(sys.argv[2])))
"""
TOOLS_FROM = ROOT / "bpftools"
TOOLS = ("multi_protocol_drop_monitor.py", "packet_datapath_tracing.py", "host_evidence.py", "skbtrace/**/*.[pch]*")


def pack(target: pathlib.Path) -> pathlib.Path:
    """Pack the tracers as the playbooks do."""
    with tarfile.open(target, "w:gz") as tar:
        for pattern in TOOLS:
            for path in TOOLS_FROM.glob(pattern):
                tar.add(path, path.relative_to(TOOLS_FROM))
    return target


def _processes_of(pid: int) -> str:
    """The PID namespace that a process is in; empty if it is gone."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _number_inside(pid: int) -> int:
    """The number that a process has on its own host; 0 if it is gone."""
    try:
        return int(re.findall(r"^NSpid:.*\s(\d+)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[0])
    except (OSError, IndexError):
        return 0


def _state(pid: int) -> str:
    """The state of a process, as ps shows it; X if it is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def _command_line(pid: int) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


class Host:
    """One hypervisor in one run."""

    def __init__(self, lab: Lab, name: str, run_id: str, base: str = "/tmp/skbfleet") -> None:
        """base: the directory of all runs there."""
        self.name, self.run_id, self.base, self.place = name, run_id, base, lab.netns(name)
        init = lab.status()["hypervisors"][name]["init_pid"]
        self.root, self._space = pathlib.Path(f"/proc/{init}/root"), _processes_of(init)
        self.directory = self.root / base[1:] / run_id / TRACER
        self.programs: set[int] = set()  # numbers of the BPF programs that its tracer loaded

    def push(self, tools: pathlib.Path) -> None:
        """Bring the tracers there."""
        packed = base64.b64encode(tools.read_bytes()).decode()
        answer = self.module("prepared", tools=packed, arguments=["--netns=self"])
        assert answer.get("error") == "", answer

    def module(self, state: str, **parameters: object) -> dict:
        """Have the module bring the run into a state; its answer."""
        given = {"run_id": self.run_id, "remote_dir": self.base, "host": self.name, "python": PYTHON, "evidence": False,
                 "wait_window": 60, "measure": 0, "unit": True, "max_cpu": 200, "max_memory": 512 << 20, "lasts": 0,
                 "clock_difference_ns": 0, "close": False, "owner": 0, "timeout": 60, **parameters}
        return json.loads(self.place.run([PYTHON, MODULE, state], input=json.dumps(given), timeout=120).stdout)

    def file(self, name: str) -> dict:
        """A JSON file of the tracer's; empty if it is not there."""
        path = self.directory / name
        return json.loads(path.read_text()) if path.exists() else {}

    def write(self, name: str, content: dict) -> None:
        """Replace a JSON file of the tracer's, which sees the old one or the new one."""
        (self.directory / "fresh").write_text(json.dumps(content))
        (self.directory / "fresh").rename(self.directory / name)

    def pid(self) -> int:
        """The tracer's process id, as seen from here; 0 if it is gone."""
        own = self.file("process.json")["pid"]
        return next((pid for pid in self._pids() if _number_inside(pid) == own and _state(pid) not in "ZX"), 0)

    def send_signal(self, number: int) -> None:
        """Send the tracer a signal."""
        os.kill(self.pid(), number)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End the tracer by this signal; it is gone when this returns."""
        self.send_signal(number)
        wait_until(lambda: not self.pid(), "the tracer is gone")

    def stop(self) -> None:
        """Stop the tracer; it has stopped when this returns."""
        pid = self.pid()
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: _state(pid) == "T", "the tracer has stopped")

    def note_programs(self) -> None:
        """Remember the programs that the tracer has loaded."""
        texts = [path.read_text() for path in pathlib.Path(f"/proc/{self.pid()}/fdinfo").iterdir()]
        self.programs |= {int(number) for text in texts for number in re.findall(r"^prog_id:\s*(\d+)", text, re.M)}
        assert self.programs and self.loaded() == self.programs

    def wait_for(self, count: int) -> None:
        """Return when the tracer has counted so many packets that match, and none of their records is on its way."""
        def is_done() -> bool:
            status = self.file("status.json")
            return status.get("records", -1) + status.get("lost", 0) + status.get("shed", 0) == count == sum(
                row["matched"] for row in status.get("per_point", {}).values())
        wait_until(is_done, f"{self.name} has seen {count} packets", 20)

    def _pids(self) -> list[int]:
        pids = [int(path.name) for path in pathlib.Path("/proc").iterdir() if path.name.isdigit()]
        return [pid for pid in pids if _processes_of(pid) == self._space]

    def processes(self) -> dict[int, str]:
        """All that run there: process id -> command line."""
        return {pid: _command_line(pid) for pid in self._pids()}

    def files(self) -> set[str]:
        """All files where it keeps its own."""
        found = set()
        for place in OWN:
            for directory, names, files in os.walk(self.root / place):
                inside = "/" + str(pathlib.Path(directory).relative_to(self.root))
                names[:] = [name for name in names if f"{inside}/{name}" not in (str(ROOT), "/run/netns")]
                found |= {f"{inside}/{name}" for name in names + files}
        return found

    def loaded(self) -> set[int]:
        """The tracer's programs that are still in the kernel."""
        return self.programs & {program.id for program in bpfstats.programs()}
