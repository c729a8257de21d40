# SPDX-License-Identifier: Apache-2.0
"""A tracer as a transient unit of systemd: what it may use and do, how it is started, what became of it, its end.

systemd holds it to that from its first instruction to the end of its last child. Where there is no unit to be had, the
tracer is started by itself, and held to what a process can be held to.
"""
import os
import re
import resource
import subprocess
from typing import List  # noqa: F401 (in type comments)

BOOTED = "/run/systemd/system"  # sd_booted(3)
SPACES = ("mnt", "net", "pid", "user")  # in which a unit and this process have to see the same
NAME = re.compile(r"skbfleet-[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.service")
PLACE = re.compile(r"(/[A-Za-z0-9._@+-]+)+")  # neither blanks nor what systemd would expand
NICE, DIES_FIRST = 5, 1000
ANSWER_S, START_S, STOP_S = 5, 30, 10  # s
FACTS = "MainPID,Result,ExecMainStatus,ExecMainStartTimestampMonotonic,ExecMainExitTimestampMonotonic"
BTF = "/sys/kernel/btf/vmlinux"
# What the tracer does with each: load and attach programs, enter network namespaces (SYS_ADMIN, which stands for BPF
# and PERFMON, too: older systemd does not know these); list rules and queues, ask where a tap is (NET_ADMIN); iptables
# (NET_RAW); see whose taps and sockets are open (SYS_PTRACE); the kernel's symbols (SYSLOG); maps before Linux 5.11
# (SYS_RESOURCE); files and sockets of daemons that are not root's, as Open vSwitch's (DAC_OVERRIDE).
CAPABILITIES = "CAP_SYS_ADMIN CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_PTRACE CAP_SYSLOG CAP_SYS_RESOURCE CAP_DAC_OVERRIDE"
# Opens the log and becomes the tracer, unless a systemd that was slow starts it when it was given up already. So no
# word of the tracer's command line reaches systemd, which would expand some, and any version can open the log.
BECOME = """
import json, os, sys
os.umask(0o077)
with open(sys.argv[1] + "/process.json") as handle:
    process = json.load(handle)
if process.get("unit") != sys.argv[2]:
    sys.exit()
log = os.open(sys.argv[1] + "/tracer.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
os.dup2(log, 1)
os.dup2(log, 2)
os.execve(process["command"][0], process["command"], dict(os.environ, **process["environment"]))
"""


class NoUnit(Exception):
    """The tracer cannot be a unit here; the message says why."""


def properties(directory, limits):
    """Return [(property, value, what an older systemd has instead)] of a tracer's unit.

    directory: the tracer's, where it writes; limits: max_cpu (% of a CPU), max_memory and memory_of_records (bytes),
    lasts (s, 0: no limit).
    The network namespace is the host's, whose devices, rules and counters the tracer reads: in one of its own
    (PrivateNetwork) there is nothing but lo. But nothing can be sent.
    /run is where captures see each other, and where daemons are asked.
    """
    writable = [directory, "/run"] + ([] if os.path.exists(BTF) else ["/tmp"])  # where bcc unpacks headers
    return [row for row in (
        ("CPUQuota", "%d%%" % limits["max_cpu"], None),
        ("MemoryMax", limits["max_memory"] + limits["memory_of_records"], "MemoryLimit"),
        ("MemorySwapMax", 0, None),
        ("RuntimeMaxSec", "%d" % limits["lasts"] if limits["lasts"] else None, None),
        ("TimeoutStopSec", STOP_S, None),
        ("SuccessExitStatus", "1 2", None),     # that it could not, or was asked wrongly, it says itself
        ("KillMode", "mixed", None),            # the tracer itself ends its children, and systemd who is left then
        ("Nice", NICE, None),
        ("OOMScoreAdjust", DIES_FIRST, None),
        ("OOMPolicy", "continue", None),        # a command that reads a huge rule set may die, and the capture goes on
        ("LimitCORE", 0, None),
        ("LimitMEMLOCK", "infinity", None),     # MemoryMax bounds it
        ("NoNewPrivileges", "yes", None),
        ("CapabilityBoundingSet", CAPABILITIES, None),
        ("ProtectSystem", "strict", None),
        ("ReadWritePaths", " ".join(writable), None),
        ("ReadOnlyPaths", "/sys /proc/sys", None),
        ("IPAddressDeny", "any", None),
    ) if row[1] is not None]


def in_memory(directory):
    """Return whether a directory is on a file system that takes memory for what is written there."""
    try:
        with open("/proc/self/mountinfo") as handle:
            mounts = [line.split() for line in handle]
    except OSError:
        return False
    place = os.path.realpath(directory)
    above = [words for words in mounts if place == words[4] or place.startswith(words[4].rstrip("/") + "/")]
    return bool(above) and max(above, key=lambda words: len(words[4]))[-3] in ("tmpfs", "ramfs")


def name_of(run_id, tracer, directory):
    """Return the name of a tracer's unit; raises NoUnit where none can be had."""
    if not os.path.isdir(BOOTED):
        raise NoUnit("systemd does not run here")
    elsewhere = [space for space in SPACES if _space("self", space) != _space("1", space)]
    if elsewhere:
        raise NoUnit("this is another %s namespace than systemd's" % elsewhere[0])
    name = "skbfleet-%s-%s.service" % (run_id, tracer)
    if not NAME.fullmatch(name) or not PLACE.fullmatch(directory):
        raise NoUnit("the name of the run or of its directory cannot be a unit's")
    if "Version" not in _facts(_call("systemctl", "show", "--property=Version", seconds=ANSWER_S)[1]):
        raise NoUnit("systemd does not answer")
    return name


def _space(process, space):
    try:
        return os.readlink("/proc/%s/ns/%s" % (process, space))
    except OSError:
        return ""


def start(name, python, directory, rows):
    """Start BECOME as a unit; returns (its process id, 0 if it has ended, and the properties that systemd refused).

    Raises NoUnit if it does not start it.
    """
    refused = []  # type: List[str]
    _call("systemctl", "reset-failed", name)  # of a run whose directory somebody removed
    while True:
        words = ["--property=%s=%s" % row[:2] for row in rows] + ["--", python, "-c", BECOME, directory, name]
        status, said = _call("systemd-run", "--unit=" + name, "--description=a tracer of skbfleet", *words,
                             seconds=START_S)
        if status == 0:
            return main_pid(name), refused
        bad = next((row for row in rows if row[0].replace("Sec", "") in said.replace(name, "")), None)
        if bad is None:
            raise NoUnit("systemd-run: %s" % (said.strip().splitlines() or ["status %d" % status])[-1])
        refused.append(bad[0])
        rows = [row for row in rows if row is not bad] + ([(bad[2], bad[1], None)] if bad[2] else [])


def facts(name):
    """Return {property: text} of a unit, by FACTS; Result is success if there is none."""
    return _facts(_call("systemctl", "show", "--property=" + FACTS, name)[1])


def main_pid(name):
    """Return the number of a unit's process, 0 if it has ended."""
    return int(facts(name).get("MainPID") or 0)


def end(name):
    """End what is left of a unit, and leave none that failed."""
    if NAME.fullmatch(name):
        _call("systemctl", "stop", name, seconds=START_S)
        _call("systemctl", "reset-failed", name)


def restrain(pid, limits):
    """Hold a process that is no unit to what a process can be held to; its children are held to it, too."""
    try:
        os.setpriority(os.PRIO_PROCESS, pid, NICE)
        resource.prlimit(pid, resource.RLIMIT_DATA, (limits["max_memory"],) * 2)
        if limits["lasts"]:
            seconds = int(limits["lasts"] * limits["max_cpu"] / 100) + 1
            resource.prlimit(pid, resource.RLIMIT_CPU, (seconds,) * 2)
        with open("/proc/%d/oom_score_adj" % pid, "w") as handle:
            handle.write(str(DIES_FIRST))
    except OSError:  # it has ended, or this is a container that may not
        pass


def _call(program, *words, **options):
    """Return (exit status, output) of a program of systemd's; a status above 255 if it cannot be run or hangs."""
    try:
        done = subprocess.run([program] + list(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=options.get("seconds", ANSWER_S), check=False,
                              env=dict(os.environ, LC_ALL="C", SYSTEMD_COLORS="0", SYSTEMD_PAGER=""))
    except OSError as error:
        return 256, error.strerror
    except subprocess.TimeoutExpired:
        return 256, "no answer"
    return done.returncode, done.stdout.decode("utf-8", "replace")


def _facts(text):
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
