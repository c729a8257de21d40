# SPDX-License-Identifier: Apache-2.0
"""What skbfleet_capture does in each of its states: functions from the module's parameters to its result."""
import os
import re
import shutil
import tarfile
import time

from ansible.module_utils.skbfleet_bundle import pack
from ansible.module_utils.skbfleet_examine import (
    checked,
    existing_directory,
    facts,
    orderly_end,
    runs,
    temporary_tools,
    unpack,
)
from ansible.module_utils.skbfleet_owner import check_base, check_run, check_way, make
from ansible.module_utils.skbfleet_rundir import (
    ARCHIVE,
    ENDED,
    PROGRAMS,
    NoRunError,
    RunError,
    Tracer,
    outcomes_of,
    read_json,
    reasons,
    strike_off,
    tracers_of,
    unpack_tools,
    wait_until,
    write_json,
)
from ansible.module_utils.skbfleet_unit import in_memory

CLOCK_TRUST_NS = 2 * 10**9  # a clock that is right to this is the host's own affair
ANSWER_S = 2.0              # a tracer looks for its window every few milliseconds
MIN_FREE_BYTES = 16 << 20


def run_directory(params):
    """Return the directory of the run, after a look at its name."""
    base, run_id = params["remote_dir"], params["run_id"]
    if os.path.basename(base) != "skbfleet" or not base.startswith("/") or "\0" in base:
        raise RunError("remote_dir is %r: it must be an absolute path that ends in /skbfleet, because the directory "
                       "is made and removed" % base)
    if not run_id or os.path.basename(run_id) != run_id or run_id.startswith(".") or "\0" in run_id:
        raise RunError("run_id is %r: it must be the plain name of a directory" % run_id)
    return os.path.join(base, run_id)


def existing_run(params):
    """Return the directory and the tracers of a run that has to be there."""
    run_dir = run_directory(params)
    there = check_base(params["remote_dir"]) and os.path.lexists(run_dir)
    if there:
        check_run(run_dir)
    tracers = tracers_of(run_dir) if there else []
    if not tracers:
        raise NoRunError("there is no run %s in %s on this host" % (params["run_id"], params["remote_dir"]))
    return run_dir, tracers


def command_line(tracer, params):
    """Return the command that runs a tracer in spool mode."""
    return [params["python"], tracer.program] + [str(word) for word in params["tracers"][tracer.name]] + [
        "--run-dir=" + tracer.directory, "--run-id=" + params["run_id"], "--host=" + params["host"],
        "--wait-window=%g" % params["wait_window"]] + (
            ["--measure=%g" % params["measure"]] if params["measure"] else []) + evidence(tracer, params)


def evidence(tracer, params):
    """Return the word by which a tracer reads the host's configuration, too: if there are two, one reads all but Open
    vSwitch, which the other does, that saw packets come in."""
    if not params.get("evidence"):
        return []
    if len(params["tracers"]) < 2:
        return ["--evidence"]
    return ["--evidence=host" if tracer.name == "drop_monitor" else "--evidence=switch"]


def check_space(run_dir):
    """Refuse a file system that has no room for a capture worth the name."""
    room = os.statvfs(run_dir)
    free = room.f_bavail * room.f_frsize
    if free < MIN_FREE_BYTES:
        raise RunError("capture_remote_dir has %d MiB free on this host (%s): at least %d MiB are needed"
                       % (free >> 20, run_dir, MIN_FREE_BYTES >> 20))


def prepared(params, check_mode):
    """Bring the tracers to the run's directory, which is made, unless something is in the way of a capture here.

    Where there is one, someone else began the run.
    """
    run_dir, base = run_directory(params), params["remote_dir"]
    check_way(base)
    answer = {"changed": False, "error": "", "trial": {}, "facts": facts(base), "runs": runs(base)}
    if params["run_id"] in answer["runs"]:
        return answer
    if check_mode:
        with temporary_tools(params["tools"]) as tools:
            return dict(answer, changed=True, error=checked(tools, params))
    check_space(existing_directory(base))
    os.makedirs(os.path.dirname(base), mode=0o755, exist_ok=True)
    make(base)
    if make(run_dir):
        return dict(answer, changed=True, error=brought(run_dir, params))
    return dict(answer, failed=True, taken=True,
                msg="the run %s was begun on this host by someone else; choose another capture_run_id, or, if nobody "
                    "is at work, remove it with playbooks/cleanup.yml -e capture_run_id=%s" % ((params["run_id"],) * 2))


def brought(run_dir, params):
    """Unpack the tracers in the run's directory; return why they refuse this host, or "". If so, nothing stays."""
    stays = False
    with orderly_end():
        try:
            why = checked(unpack(params["tools"], run_dir), params, keep=True)
            stays = not why
            return why
        finally:
            if not stays:
                shutil.rmtree(run_dir, ignore_errors=True)
                remove_if_empty(params["remote_dir"])


def armed(params, check_mode):
    """Start the tracers and wait until they are armed or have failed."""
    run_dir = run_directory(params)
    unknown = sorted(set(params["tracers"]) - set(PROGRAMS))
    if unknown or not params["tracers"]:
        raise RunError("tracers is %s: it must be %s" % (sorted(params["tracers"]), " or ".join(sorted(PROGRAMS))))
    check_way(params["remote_dir"])
    tracers = [Tracer(run_dir, name) for name in sorted(params["tracers"])]
    commands = {tracer.name: command_line(tracer, params) for tracer in tracers}
    if check_mode:
        return {"changed": True, "tracers": {}, "commands": commands, "units": {}, "why": ""}
    check_run(run_dir)
    waiting = [tracer for tracer in tracers if not tracer.was_started()]
    if waiting:
        check_space(run_dir)
        if not os.path.isdir(os.path.join(run_dir, "tools")):
            unpack_tools(os.path.join(run_dir, ARCHIVE), os.path.join(run_dir, "tools"))
    for tracer in waiting:
        tracer.spawn(commands[tracer.name], limits_of(run_dir, commands[tracer.name], params), params["unit"])
    wait_until(lambda: all(one["state"] != "starting" for one in outcomes_of(tracers).values()), params["timeout"])
    for tracer in tracers:
        give_up_unarmed(tracer, params["timeout"])
    outcomes = outcomes_of(tracers)
    return {"changed": bool(waiting), "tracers": outcomes, "commands": commands, "why": reasons(outcomes),
            "units": {tracer.name: tracer.unit() for tracer in tracers},
            "failed": all(one["state"] in ENDED for one in outcomes.values()), "msg": reasons(outcomes)}


def limits_of(run_dir, command, params):
    """Return what a tracer is held to, as skbfleet_unit.properties has it."""
    records = [int(word.partition("=")[2]) for word in command if re.fullmatch("--max-bytes=[0-9]{1,18}", word)]
    return {"max_cpu": params["max_cpu"], "max_memory": params["max_memory"], "lasts": params["lasts"],
            "memory_of_records": sum(records) if in_memory(run_dir) else 0}


def give_up_unarmed(tracer, seconds):
    """End a tracer that is still not armed, and leave the reason where the outcome is read."""
    if tracer.outcome()["state"] == "starting":
        tracer.stop()
        write_json(tracer.path("status.json"), {"state": "failed", "why": "not armed within %g s" % seconds})


def started(params, check_mode):
    """Tell the tracers their window, in this host's clock."""
    dummy, tracers = existing_run(params)
    difference = params["clock_difference_ns"]
    correction = difference if abs(difference) >= CLOCK_TRUST_NS else 0
    window = {"start_realtime_ns": params["start_ns"] + correction, "end_realtime_ns": params["end_ns"] + correction,
              "clock_correction_ns": correction}
    waiting = [tracer for tracer in tracers if tracer.outcome()["state"] == "armed"]
    if waiting and not check_mode:
        for tracer in waiting:
            write_json(tracer.path("window.json"), window)
        wait_until(lambda: all(one["state"] != "armed" for one in outcomes_of(waiting).values()), ANSWER_S)
    outcomes = outcomes_of(tracers)
    result = {"changed": bool(waiting), "tracers": outcomes, "late_by_ns": late_by(outcomes),
              "clock_correction_ns": correction}
    if all(one["state"] in ENDED for one in outcomes.values()):
        result.update(failed=True, msg=reasons(outcomes) or "all tracers had ended before their window was set")
    return result


def late_by(outcomes):
    """Return by how many nanoseconds the latest of the tracers missed the start of its window."""
    return max([(one["window"] or {}).get("late_by_ns", 0) for one in outcomes.values()] + [0])


def finished(params, check_mode):
    """Wait for the tracers' end and pack the bundle."""
    run_dir, tracers = existing_run(params)
    if check_mode:
        return summary(tracers, {}, True)
    seconds = params["timeout"]
    for tracer in tracers:
        if tracer.pid() is None:
            continue
        if params["close"]:
            write_json(tracer.path("window.json"), dict(read_json(tracer.path("window.json")), close=True))
        else:
            end_ns = read_json(tracer.path("window.json")).get("end_realtime_ns", 0)
            seconds = max(seconds, params["timeout"] + end_ns / 1e9 - time.time())
    wait_until(lambda: all(tracer.pid() is None for tracer in tracers), seconds)
    ended = [tracer for tracer in tracers if tracer.pid() is None]
    for tracer in ended:
        tracer.salvage(params["timeout"])
    return summary(tracers, pack(run_dir, ended, params["owner"]) if ended else {}, bool(ended))


def summary(tracers, bundle, changed):
    """Return the result of `finished`: how each tracer fared, and what that means for the host."""
    outcomes = outcomes_of(tracers)
    for one in outcomes.values():
        if one["state"] not in ENDED:
            one["why"] = "it has not ended yet (%s)" % one["state"]
    whole = all(one["state"] == "finished" for one in outcomes.values())
    some = any(tracer.has_bundle() for tracer in tracers)
    status = "complete" if whole else "partial" if some else "missing"
    late_ns = late_by(outcomes)
    why = reasons(outcomes)
    if late_ns:
        status = "partial" if some else status
        why = "; ".join(part for part in (why, "it was told the window %.3f s late" % (late_ns / 1e9)) if part)
    return {"changed": changed, "tracers": outcomes, "status": status, "why": why, "late_by_ns": late_ns,
            "bundle": bundle}


def absent(params, check_mode):
    """End the tracers of a run, or of all runs, and remove its files."""
    base = params["remote_dir"]
    run_directory(dict(params, run_id=params["run_id"] or "any"))  # a look at the names
    names = sorted(os.listdir(base)) if check_base(base) else []
    run_dirs = [os.path.join(base, name) for name in names if params["run_id"] in (None, "", name)]
    stopped, removed, waiting = {}, [], {}
    for run_dir in run_dirs:
        if not is_run(run_dir):
            continue
        check_run(run_dir)
        name = os.path.basename(run_dir)
        waiting.update({name: what_waits(run_dir)} if what_waits(run_dir) else {})
        for tracer in tracers_of(run_dir):
            signal_name = ("SIGTERM" if tracer.pid() else None) if check_mode else tracer.stop()
            if not check_mode:
                tracer.end_unit()
            if signal_name:
                stopped["%s/%s" % (name, tracer.name)] = signal_name
        removed.append(run_dir)
        if not check_mode:
            strike_off(name)
            shutil.rmtree(run_dir)
    if not check_mode:
        remove_if_empty(base)
    return {"changed": bool(removed), "stopped": stopped, "removed": removed, "waiting": waiting}


def remove_if_empty(base):
    """Remove the directory of all runs, if no other run is in it."""
    try:
        os.rmdir(base)
    except OSError:  # one is, or there is none, or it is a disk of its own
        pass


def what_waits(run_dir):
    """Return how many records a run has here and whether it goes on; {} if nothing would be lost with it."""
    tracers = tracers_of(run_dir)
    size = sum(os.path.getsize(tracer.path("records.bin")) for tracer in tracers
               if os.path.exists(tracer.path("records.bin")))
    running = any(tracer.pid() for tracer in tracers)
    records = sum(one["records"] for one in outcomes_of(tracers).values() if isinstance(one["records"], int))
    return {"records": records, "bytes": size, "running": running} if size or running else {}


def is_run(path):
    """Return whether a directory is a run of ours: what was pushed is there, or nothing is there yet."""
    if os.path.islink(path) or not os.path.isdir(path):
        return False
    return os.path.exists(os.path.join(path, ARCHIVE)) or not os.listdir(path)


STATES = {"prepared": prepared, "armed": armed, "started": started, "finished": finished, "absent": absent}


def answer(params, check_mode):
    """Return the result of the state that is asked for; whatever is in the way becomes one sentence."""
    try:
        return STATES[params["state"]](params, check_mode)
    except RunError as error:
        return {"failed": True, "msg": str(error), "unknown": isinstance(error, NoRunError)}
    except tarfile.TarError as error:
        return {"failed": True, "msg": "tools cannot be unpacked: %s" % error}
    except OSError as error:
        return {"failed": True, "msg": "%s: %s" % (error.filename or params["remote_dir"], error.strerror or error)}
