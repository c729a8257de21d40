# SPDX-License-Identifier: Apache-2.0
"""Run the real playbooks against the lab, and look at what they leave."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from support.lab import ROOT, wait_until

BIN = pathlib.Path(sys.executable).parent
# exit statuses of a playbook that ends with a verdict, beside 0
LOSS, UNKNOWN, NOTHING_MATCHED, PARTIAL, REFUSED = range(10, 15)


class Play:
    """The playbooks with an output directory of the test's own."""

    def __init__(self, output_dir: pathlib.Path) -> None:
        self.output_dir = output_dir
        self.environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8",
                            "PATH": f"{BIN}:{os.environ['PATH']}", "ANSIBLE_FORCE_COLOR": "0"}

    def command(self, playbook: str, *words: str, **variables: object) -> list[str]:
        """Return the command line; variables go to -e as JSON, so that their types survive."""
        # most tests are about something else than the packets; a filter, where one is given, holds all the same
        given = {"capture_output_dir": str(self.output_dir), "capture_everything": True, **variables}
        return [str(BIN / "ansible-playbook"), str(ROOT / "playbooks" / playbook), "-e", json.dumps(given), *words]

    def run(self, playbook: str, *words: str, timeout: float = 240, **variables: object) -> subprocess.CompletedProcess:
        """Run a playbook to its end; stdout and stderr come as one text."""
        return subprocess.run(self.command(playbook, *words, **variables), env=self.environment, cwd=ROOT, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=timeout, check=False)

    def begin(self, playbook: str, *words: str, **variables: object) -> subprocess.Popen:
        """Start a playbook in a process group of its own, to be killed."""
        log = (self.output_dir.parent / "playbook.log").open("w")
        return subprocess.Popen(self.command(playbook, *words, **variables), env=self.environment, cwd=ROOT,
                                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def outcome(self, run_id: str) -> dict:
        """What the playbook noted about each host."""
        return json.loads((self.output_dir / run_id / "outcome.json").read_text())

    def summary(self, run_id: str) -> dict:
        """What the merge found."""
        return json.loads((self.output_dir / run_id / "summary.json").read_text())

    def manifest(self, run_id: str, host: str, tracer: str) -> dict:
        """A bundle's manifest."""
        return json.loads((self.output_dir / run_id / "hosts" / host / tracer / "manifest.json").read_text())


def kill(process: subprocess.Popen) -> None:
    """End a playbook as if its machine had lost power: it, and all its workers, at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tracer_status(hypervisor, run_id: str, tracer: str) -> dict:
    """What a tracer on a lab host says about itself; {} if it says nothing."""
    done = hypervisor.run(["cat", f"/tmp/skbfleet/{run_id}/{tracer}/status.json"], check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def wait_for_state(hypervisor, run_id: str, tracer: str, state: str, deadline_s: float) -> dict:
    """Poll until a tracer on a lab host is in this state; return its status."""
    def look() -> dict:
        status = tracer_status(hypervisor, run_id, tracer)
        return status if status.get("state") == state else {}
    return wait_until(look, f"{tracer} on {hypervisor.name} {state}", deadline_s)


def wait_for_open_window(hypervisor, run_id: str, tracer: str, deadline_s: float) -> None:
    """Poll until a tracer on a lab host records: it is "started" as soon as it knows its window."""
    window = wait_for_state(hypervisor, run_id, tracer, "started", deadline_s)["window"]
    wait_until(lambda: time.time_ns() > window["start_realtime_ns"], "the window is open", 30)


def tracers_on(hypervisor) -> list[str]:
    """The tracers that run on a lab host: their command lines."""
    listing = hypervisor.run(["ps", "-ww", "-eo", "args"]).stdout  # else cut at 80 columns
    return [line for line in listing.splitlines() if "--run-dir=" in line]
