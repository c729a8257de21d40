# SPDX-License-Identifier: Apache-2.0
"""One emulated machine: start it, wait for its ssh, run commands in it, stop it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import EmulationError, architectures, paths
from .images import image

BOOT_DEADLINE = 300  # seconds; emulation on a busy machine is slow
PARAMETERS = "loglevel=5 panic=-1 mitigations=off net.ifnames=0"


@dataclass(frozen=True)
class Machine:
    """A machine of a distribution; `clock` is how many seconds its clock is ahead of ours.

    `port` is the port of its ssh on 127.0.0.1; `underlay` are further arguments for QEMU.
    """

    name: str
    distribution: str
    form: str = "single"
    port: int = paths.FIRST_PORT
    memory: int = 2048
    clock: int = 0
    underlay: list[str] = field(default_factory=list)

    @property
    def release(self) -> str:
        """The distribution, whatever the machine's type."""
        return architectures.release(self.distribution)

    @property
    def directory(self) -> Path:
        return paths.state(self.name)

    @property
    def pid(self) -> int | None:
        """The process id of this machine's QEMU, if it runs; another process with that id does not count."""
        try:
            pid = int((self.directory / "pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if str(self.directory / "pid").encode() in command.split(b"\0") else None

    def start(self) -> None:
        """Start QEMU; returns before the machine has booted."""
        if self.pid:
            return
        files = image(self.distribution, self.form)
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        (self.directory / "machine.json").write_text(json.dumps(asdict(self), indent=1))
        architecture = architectures.of(self.distribution)
        command = [
            f"qemu-system-{architecture.machine}", "-name", self.name, *architecture.arguments,
            "-accel", "tcg,thread=multi,tb-size=512", "-smp", "2", "-m", str(self.memory),
            "-display", "none", "-no-reboot", "-nodefaults",
            "-kernel", str(files.kernel), "-initrd", str(files.initrd),
            "-append", f"{architecture.parameters} {PARAMETERS} systemd.hostname={self.name}",
            "-drive", f"file={files.disk},format=raw,if=virtio,snapshot=on",
            "-netdev", f"user,id=management,hostfwd=tcp:127.0.0.1:{self.port}-:22",
            "-device", "virtio-net-pci,netdev=management,romfile=",
            "-device", "virtio-rng-pci", "-serial", f"file:{self.directory / 'console'}", *self.underlay,
            "-rtc", f"base={time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(time.time() + self.clock))}",
            "-daemonize", "-pidfile", str(self.directory / "pid"),
        ]  # fmt: skip
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise EmulationError(f"QEMU did not start {self.name}: {done.stdout.strip()}")

    def wait(self, deadline: float = BOOT_DEADLINE) -> None:
        """Wait until a command can be run over ssh; deadline in seconds."""
        end = time.monotonic() + deadline
        while not (self._greets() and self.run("true", check=False).returncode == 0):
            late = time.monotonic() > end
            if late or not self.pid:
                what = f"had no ssh after {deadline} s" if late else "ended while it booted"
                raise EmulationError(f"{self.name} {what}; its last words:\n{self._last_words()}")
            time.sleep(0.2)

    def _greets(self) -> bool:
        """Does an ssh server answer? QEMU itself takes connections before the machine does."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as link:
                return link.recv(4) == b"SSH-"
        except OSError:
            return False

    def _last_words(self) -> str:
        return (self.directory / "console").read_text(errors="replace")[-1500:]

    def ssh(self) -> list[str]:
        """Return the ssh command for this machine, without the remote command."""
        options = {
            "UserKnownHostsFile": paths.known_hosts(), "HostKeyAlias": "skbfleet-machine", "BatchMode": "yes",
            "ConnectTimeout": 60, "ControlMaster": "auto", "ControlPersist": "yes",
            "ControlPath": self.directory / "ssh", "LogLevel": "ERROR", "IdentitiesOnly": "yes",
        }  # fmt: skip
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return ["ssh", "-F", "none", "-i", str(paths.key("access")), *words, "-p", str(self.port), "root@127.0.0.1"]

    def run(self, command: str, check: bool = True, timeout: float = 300, data: bytes | None = None) -> "Done":
        """Run a shell command in the machine; `data` is its standard input. Raises if it fails and `check`."""
        ran = subprocess.run([*self.ssh(), command], capture_output=True, timeout=timeout, input=data or b"")
        done = Done(ran.returncode, ran.stdout.decode(errors="replace"), ran.stderr.decode(errors="replace"))
        if check and done.returncode:
            raise EmulationError(f"{self.name}: {command!r} ended with {done.returncode}: {done.stderr or done.stdout}")
        return done

    def push(self, source: Path, target: str) -> None:
        """Copy a directory's files, without caches, to the directory `target` in the machine."""
        packed = subprocess.run(["tar", "-C", str(source), "--exclude=__pycache__", "-czf", "-", "."],
                                check=True, capture_output=True).stdout  # fmt: skip
        self.run(f"mkdir -p {target} && tar -C {target} -xzf -", data=packed)

    def fetch(self, source: str) -> bytes:
        """Return the bytes of a file of the machine."""
        return subprocess.run([*self.ssh(), f"cat {source}"], check=True, capture_output=True).stdout

    def stop(self) -> None:
        """End the machine at once: its disk keeps nothing anyway."""
        if (self.directory / "ssh").exists():
            subprocess.run([*self.ssh()[:-1], "-O", "exit", "root@127.0.0.1"], capture_output=True)
        pid = self.pid
        if pid:
            os.kill(pid, signal.SIGTERM)
        while self.pid:
            time.sleep(0.05)
        shutil.rmtree(self.directory, ignore_errors=True)


@dataclass(frozen=True)
class Done:
    """What a command in a machine did."""

    returncode: int
    stdout: str
    stderr: str


def existing() -> list[Machine]:
    """Return the machines that were started and not yet taken down, running or not."""
    files = sorted((paths.cache() / "machines").glob("*/machine.json"))
    return [Machine(**json.loads(path.read_text())) for path in files]
