# SPDX-License-Identifier: Apache-2.0
"""What can happen to a tracer on its host, when, and what must be seen afterwards. A new one is a new row.

Datagrams are sent twice, before a fault and behind it; EACH is what a host records of them each time.
"""
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass

from failures.host import MODULE, PROBE, Host
from failures.run import EACH, PORT
from support.lab import wait_until

Deed = Callable[[Host], object]
ALL = 2 * EACH
STRAY = 3 * 5  # records of five datagrams that nobody takes: sent, received, dropped
GONE = "gone before its end"
STEPPING = str(MODULE.parent / "stepping.py")


@dataclass
class Fault:
    """One row."""

    name: str
    strike: Deed                    # what happens
    kept: int | None                # records that come home; None: none could, for there is no bundle
    says: str = ""                  # what the verdict says of the host, a regular expression
    status: str = "partial"         # of the host
    matched: int | None = None      # packets that it counted, if that is another number than `kept`
    armed: bool = False             # it happens before the window is set, else while it is open
    first: int = EACH               # records of the first datagrams
    prepare: Deed = lambda _: None  # what is there before the tracer
    heal: Deed = lambda _: None     # what happens after the second datagrams, while the window is still open
    restore: Deed = lambda _: None  # at the end of the test
    options: tuple[str, ...] = ()
    python: str | None = None
    base: str = "/tmp/skbfleet"


def starve(host: Host) -> None:
    """Let the tracer have no more memory."""
    resource.prlimit(host.pid(), resource.RLIMIT_AS, (1, 1))


def kill_looks(host: Host) -> None:
    """Kill the program that looks at who takes packets."""
    (pid,) = [pid for pid, words in host.processes().items() if "--watch" in words]
    os.kill(pid, signal.SIGKILL)


def spool(host: Host) -> str:
    return str(host.directory / "records.bin")


def run(*argv: str) -> Deed:
    """Run a command there."""
    return lambda host: host.place.run(argv)


def fill_disk(host: Host) -> None:
    """Leave no room on the disk of the runs: none for the tracer, and none where it freed some at its end."""
    host.place.python(FILL, host.base)
    wait_until(lambda: not host.pid(), "the tracer has ended", 20)
    host.place.python(FILL, host.base)


FILL = """
import os, sys
with open(sys.argv[1] + "/../filler", "ab", 0) as filler:
    while os.statvfs(filler.name).f_bavail:
        try:
            filler.write(bytes(4096))
        except OSError:
            pass
"""


def make_probe(host: Host) -> None:
    """A device, to whose other end nobody listens."""
    for words in ("link add probe0 type veth peer probe1", "addr add 10.98.0.1/24 dev probe0", "link set probe0 up",
                  "link set probe1 up",
                  "neigh add 10.98.0.2 lladdr 02:00:00:00:00:01 dev probe0"):
        host.place.run(["ip", *words.split()])


def delete_probe(host: Host) -> None:
    """Send through the device, and delete it when that is recorded."""
    host.place.python(PROBE, "10.98.0.2", PORT, 5)
    host.wait_for(EACH + STRAY)
    host.place.run(["ip", "link", "del", "probe0"])


def delete_space(host: Host) -> None:
    """Send in the namespace, to itself, and delete it when that is recorded."""
    host.place.run(["ip", "netns", "exec", "doomed", "ip", "link", "set", "lo", "up"])
    host.place.run(["ip", "netns", "exec", "doomed", "/usr/bin/python3", "-c", PROBE, "127.0.0.1", PORT, 5])
    host.wait_for(STRAY)
    host.place.run(["ip", "netns", "del", "doomed"])


def step(seconds: float) -> Deed:
    """Step the wall clock that the tracer reads."""
    return lambda host: (host.root / "tmp/step").write_text(str(int(seconds * 1e9)))


def crash(host: Host) -> None:
    """The host goes down and comes back: the tracer is gone, its spool ends in zeros, its status is empty, half a
    manifest is there, and the kernel is another one."""
    host.kill()
    with open(spool(host), "ab") as handle:
        handle.write(bytes(1000))
    (host.directory / "status.json").write_text("")
    (host.directory / "manifest.json").write_text('{"format": "skbfl')
    draft = host.file("draft.json")
    draft["kernel"]["boot_id"] = "before"
    host.write("draft.json", draft)


FAULTS = [
    Fault("killed before its window", Host.kill, None, GONE, "missing", armed=True),
    Fault("killed in its window", Host.kill, EACH, GONE),
    Fault("killed with records in its buffer", Host.stop, EACH, GONE, heal=Host.kill),
    Fault("out of CPU time", lambda host: host.kill(signal.SIGXCPU), EACH, GONE),
    Fault("out of memory", starve, ALL, GONE),
    Fault("stopped, and continued", Host.stop, ALL, status="complete",
          heal=lambda host: host.send_signal(signal.SIGCONT)),
    Fault("stopped until its buffer is full", Host.stop, None, "lost [0-9]+ records", "complete", matched=ALL,
          heal=lambda host: host.send_signal(signal.SIGCONT), options=("--buffer-pages=8",)),
    Fault("terminated", lambda host: host.kill(signal.SIGTERM), EACH, "stopped before the window's end"),
    Fault("its looks killed", kill_looks, ALL, status="complete"),
    Fault("host down and up again", crash, EACH, GONE),
    Fault("disk full", fill_disk, EACH, "limit disk was reached", base="/tmp/disk/skbfleet",
          prepare=run("sh", "-c", "mkdir /tmp/disk && mount -t tmpfs -o size=80M,mode=755 none /tmp/disk"),
          heal=run("rm", "/tmp/disk/filler"), restore=run("sh", "-c", "umount /tmp/disk && rmdir /tmp/disk")),
    Fault("spool removed", lambda host: os.unlink(spool(host)), 0, "somebody removed"),
    Fault("spool cut off", lambda host: os.truncate(spool(host), 5000), 16, "cut it off"),
    Fault("run directory removed", lambda host: host.place.run(["rm", "-rf", f"{host.base}/{host.run_id}"]), None,
          "there is no run", "missing"),
    Fault("cleaned up", lambda host: host.module("absent"), None, "there is no run", "missing"),
    Fault("device deleted", delete_probe, ALL + STRAY, status="complete", prepare=make_probe),
    Fault("namespace deleted", delete_space, STRAY, status="complete", first=0, options=("--netns=doomed",),
          prepare=run("ip", "netns", "add", "doomed")),
    Fault("tracefs unmounted", run("umount", "/sys/kernel/tracing"), ALL, status="complete",
          restore=run("mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing")),
    Fault("clock stepped forward", step(7200), ALL, "stepped", "complete", prepare=step(0), python=STEPPING,
          restore=run("rm", "/tmp/step")),
    Fault("clock stepped back", step(-7200), ALL, "stepped", "complete", prepare=step(0), python=STEPPING,
          restore=run("rm", "/tmp/step")),
    Fault("limit of records reached", lambda _: None, EACH + 50, "limit max_records was reached",
          options=(f"--max-records={EACH + 50}",)),
    Fault("limit of bytes reached", lambda _: None, EACH + 50, "limit max_bytes was reached",
          options=("--max-bytes=74000",)),
    Fault("limit of records a second reached", lambda _: None, None, "shed [0-9]+ records", "complete", matched=ALL,
          options=("--max-rate=50",)),
]
