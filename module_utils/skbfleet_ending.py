# SPDX-License-Identifier: Apache-2.0
"""Why a tracer is gone that could not say so itself: what the kernel's log and systemd know of it."""
import os
import re
import signal

from ansible.module_utils.skbfleet_unit import facts

KMSG = "/dev/kmsg"
BOOT = "/proc/sys/kernel/random/boot_id"
GONE = "it was gone before its end"
_INITIAL_PIDS = 0xEFFFFFFC  # inode of the PID namespace whose numbers the kernel's log has
_RECORD_BYTES = 8192        # of the kernel's log, the longest
_MOST_RECORDS = 200000
_SLACK_S = 3600             # by which its clock, which nobody corrects, may be off
# mm/oom_kill.c; the first one since Linux 5.0. A name in it is the process's own making, its number stands elsewhere.
_WHOSE = re.compile(r"oom-kill:constraint=CONSTRAINT_\w+,.*?(?:oom_memcg=([^,]*),|global_oom,).*,pid=(\d+),uid=\d+$")
_KILLED = re.compile(r"(Memory cgroup out of memory: |Out of memory[^:]*: )?Kill(?:ed)? process (\d+) \(")


def boot_id():
    """Return the name of this boot, "" if it has none."""
    try:
        with open(BOOT) as handle:
            return handle.read().strip()
    except OSError:
        return ""


def why(process):
    """Return why a process is gone, as far as anybody knows; process: what process.json says of it."""
    if process.get("boot_id") != boot_id():
        return GONE + ": the host went down" if process.get("boot_id") else GONE
    unit = process.get("unit", "")
    group = _out_of_memory(_kernel_log(_started_s(process) - _SLACK_S), process.get("pid", 0))
    if group is not None:
        return _memory(group, unit, process.get("limits", {}))
    return _by_systemd(facts(unit), process.get("limits", {})) if unit else GONE


def _started_s(process):
    """Return when a process began, in s since the host did; an earlier one may have had its number."""
    return process.get("start_ticks", 0) / float(os.sysconf("SC_CLK_TCK"))


def _kernel_log(since_s):
    """Yield the lines that the kernel itself wrote since, oldest first; nothing where they cannot be read."""
    try:
        if os.stat("/proc/self/ns/pid").st_ino != _INITIAL_PIDS:
            return
        log = os.open(KMSG, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        for _ in range(_MOST_RECORDS):
            try:
                head, _semicolon, text = os.read(log, _RECORD_BYTES).decode("utf-8", "replace").partition(";")
            except BrokenPipeError:  # overwritten meanwhile: the next one that is there
                continue
            level, _number, stamp_us = head.split(",")[:3]
            if int(level) >> 3 == 0 and int(stamp_us) >= since_s * 1e6:  # else a process wrote it
                yield text.split("\n")[0]
    except (OSError, ValueError):  # this was the last one
        pass
    finally:
        os.close(log)


def _out_of_memory(lines, pid):
    """Return for want of whose memory the kernel killed a process: a control group, "" for the host, "?" for a group
    that it does not name; None if it did not."""
    group = found = None
    for line in lines:
        whose, killed = _WHOSE.match(line), _KILLED.match(line)
        if whose and int(whose.group(2)) == pid:
            group = whose.group(1) or ""
        elif killed and int(killed.group(2)) == pid and (killed.group(1) or found is None):
            found = group if group is not None else "?" if "cgroup" in (killed.group(1) or "") else ""
    return found


def _memory(group, unit, limits):
    if unit and group.rpartition("/")[2] == unit:
        records = limits.get("memory_of_records", 0)
        return "it was killed because it used more than %d MiB of memory, which is capture_max_memory%s" % (
            (limits.get("max_memory", 0) + records) >> 20,
            " and capture_max_bytes, for its records are kept in memory" if records else "")
    if group:
        return "the kernel killed it because a control group that it was in had used up its memory"
    return "the kernel killed it because the host had no memory left"


def _by_systemd(unit, limits):
    """Say what systemd knows of a unit that failed."""
    result, status = unit.get("Result", ""), unit.get("ExecMainStatus", "")
    if result == "timeout":
        lasts = limits.get("lasts") or float("inf")
        return "systemd killed it because it had not ended " + (
            "by itself %d s after its start" % lasts if _lived_s(unit) >= lasts else "when it was told to")
    if result == "oom-kill":    # by a daemon that ends processes in time, or by the kernel
        return "it was killed because memory was short"
    if result in ("signal", "core-dump") and status.isdigit():
        return "%s, killed by %s" % (GONE, _signal_name(int(status)))
    return GONE


def _lived_s(unit):
    begun, ended = [unit.get("ExecMain%sTimestampMonotonic" % what, "") for what in ("Start", "Exit")]
    return (int(ended) - int(begun)) / 1e6 if begun.isdigit() and ended.isdigit() else 0


def _signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number
