# SPDX-License-Identifier: Apache-2.0
"""The namespace lab for tests: run things in its hosts, count on its devices, pause its guests.

    lab.netns("vm-a").run(["ping", "-c", "1", lab.address("vm-b")])
    with lab.netns("hv-b").nft(RULES), lab.paused("vm-b"): ...
    before = lab.netns("hv-b").counters("vnet0")["tx_dropped"]
"""
import contextlib
import json
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "roles" / "lab" / "files" / "lab.py"
TRAFFIC = ROOT / "roles" / "lab" / "files" / "traffic.py"
ELSEWHERE = ROOT / "tests" / "elsewhere"
PYTHON = "/usr/bin/python3"  # the one that has bcc


def wait_until(condition: Callable[[], object], what: str, deadline_s: float = 10.0) -> object:
    """Poll until `condition` returns something true and return that; AssertionError with `what` at the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.005)


class Server:
    """A traffic.py server that is listening; stop() ends it and returns what it counted."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process
        line = process.stdout.readline()
        assert line == "ready\n", f"the server did not start: {line}{process.stdout.read()}"

    def stop(self) -> dict:
        """End the server and return its counts. What has not reached its socket yet is not in them."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, timeout: float = 10) -> dict:
        """Return the counts of a server that ends by itself (count=)."""
        output, _ = self.process.communicate(timeout=timeout)
        return json.loads(output)


class Netns:
    """A place in the lab: a hypervisor (with its own mounts, processes and name), a VM, or the wire."""

    def __init__(self, name: str, prefix: list[str]) -> None:
        self.name = name
        self.prefix = prefix

    def run(self, argv: list, check: bool = True, timeout: float = 60, **options) -> subprocess.CompletedProcess:
        """Run a command here and wait for it; stdout and stderr are captured as text."""
        done = subprocess.run(self.prefix + [str(word) for word in argv], text=True, capture_output=True,
                              timeout=timeout, check=False, **options)
        said = f"{argv} in {self.name}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert not check or done.returncode == 0, said
        return done

    def popen(self, argv: list, **options) -> subprocess.Popen:
        """Start a command here. Signals go to the command itself."""
        options = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **options}
        return subprocess.Popen(self.prefix + [str(word) for word in argv], **options)

    def python(self, code: str, *arguments: object, **options) -> subprocess.CompletedProcess:
        """Run Python code here, with the system's Python."""
        return self.run([PYTHON, "-c", code, *arguments], **options)

    def send(self, kind: str, address: str, port: int, **options: object) -> dict:
        """Run traffic.py udp-send or tcp-send (`kind`: udp, tcp), options as keywords (count=9); returns its counts."""
        words = [word for key, value in options.items() for word in ("--" + key.replace("_", "-"), value)]
        return json.loads(self.run([PYTHON, TRAFFIC, kind + "-send", address, port, *words]).stdout)

    @contextlib.contextmanager
    def serve(self, kind: str, address: str, port: int, **options: object) -> Iterator[Server]:
        """A udp or tcp server while the block runs. It is listening when the block starts."""
        words = [word for key, value in options.items() for word in ("--" + key.replace("_", "-"), value)]
        process = self.popen([PYTHON, TRAFFIC, kind + "-serve", address, port, *words])
        try:
            yield Server(process)
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()

    @contextlib.contextmanager
    def nft(self, ruleset: str) -> Iterator[None]:
        """An nftables rule set while the block runs; before and after there is none at all."""
        self.run(["nft", "-f", "-"], input=ruleset)
        try:
            yield
        finally:
            self.run(["nft", "flush", "ruleset"])

    def counters(self, device: str) -> dict[str, int]:
        """A device's statistics: rx_packets, tx_packets, rx_bytes, tx_bytes, rx_dropped, tx_dropped, rx_errors, …"""
        (link,) = json.loads(self.run(["ip", "-s", "-j", "link", "show", "dev", device]).stdout)
        return {f"{way}_{name}": value for way, values in link["stats64"].items() for name, value in values.items()}


class Lab:
    """A running lab."""

    def __init__(self, wrapper: list[str] | None = None) -> None:
        """`wrapper` goes before every call of the lab's tool, e.g. to have a lab of one's own in another namespace."""
        self.wrapper = wrapper or []

    def tool(self, *words: object, check: bool = True) -> subprocess.CompletedProcess:
        """Call lab.py."""
        done = subprocess.run([*self.wrapper, sys.executable, str(TOOL), *map(str, words)], text=True,
                              capture_output=True, timeout=60, check=False)
        assert not check or done.returncode == 0, f"lab.py {words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def up(self, hypervisors: int = 2) -> list[str]:
        """Bring at least so many hypervisors up; returns what had to be made."""
        return json.loads(self.tool("up", "--hypervisors", hypervisors).stdout)["changed"]

    def down(self) -> list[str]:
        """Take the lab down; returns what was removed."""
        return json.loads(self.tool("down").stdout)["changed"]

    def status(self) -> dict:
        """What lab.py status --json says."""
        return json.loads(self.tool("status", "--json").stdout)

    def netns(self, name: str) -> Netns:
        """A place in the lab: hv-a, vm-a, wire …"""
        if not name.startswith("hv-"):
            return Netns(name, [*self.wrapper, "ip", "netns", "exec", name])
        # A process in between is needed to enter the PID namespace: the tool's exec passes signals on to the command.
        return Netns(name, [*self.wrapper, sys.executable, str(TOOL), "exec", name, "--"])

    def here(self) -> Netns:
        """The machine that the lab is on."""
        return Netns("here", self.wrapper)

    def address(self, vm: str, version: int = 4) -> str:
        """Address of a VM: IPv4, or IPv6 with version=6."""
        number = 10 * (ord(vm[-1]) - ord("a") + 1)
        return f"fd00:32::{number}" if version == 6 else f"192.168.32.{number}"

    def pause(self, vm: str) -> None:
        """Make a guest stop polling its link; it has stopped when this returns."""
        self.tool("pause", vm)

    def resume(self, vm: str) -> None:
        """Let a guest go on polling."""
        self.tool("resume", vm)

    @contextlib.contextmanager
    def paused(self, vm: str) -> Iterator[None]:
        """A guest that does not poll while the block runs."""
        self.pause(vm)
        try:
            yield
        finally:
            self.resume(vm)

    def settle(self) -> None:
        """Return when every pair of neighbouring VMs knows each other, over IPv4 and IPv6."""
        vms = [host["vm"] for host in self.status()["hypervisors"].values()]
        for vm in vms[1:]:
            for version in (4, 6):
                ping = ["ping", "-q", "-c", "1", "-W", "1", self.address(vm, version)]
                wait_until(lambda ping=ping: self.netns(vms[0]).run(ping, check=False).returncode == 0,
                           f"{vms[0]}: {' '.join(ping)}")
