# SPDX-License-Identifier: Apache-2.0
"""What became of a run on each host, in words, and the files on the controller that keep it.

run.json      what the run is: run_id, hosts with the settings of each, what its case says of itself
outcome.json  what became of it: for each host status, why, failed, tracers; reproduce; the case's title, ticket, author
"""
import os
import re
from typing import Any, Dict  # noqa: F401 (in type comments)

from ansible.module_utils.skbfleet_foreign import Unfit, read_json, shown
from ansible.module_utils.skbfleet_shapes import TRACERS, fits, tracers_of

STATUSES = ("complete", "partial", "missing")
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
REMOTE_DIR = re.compile(r"(/[A-Za-z0-9._@+-]+)*/skbfleet")
FILE_BYTES = 16 << 20
CASE = ("title", "ticket", "author")    # what a case says of itself that goes with the run's products
LOST = {"status": "missing", "why": "the connection was lost", "failed": True, "tracers": []}


def is_remote_dir(path):
    """Return whether a path can be the directory of all runs on a host: it is made and removed there."""
    return bool(REMOTE_DIR.fullmatch(path)) and os.path.normpath(path) == path and ".." not in path.split("/")


def of_host(known, wanted):
    """Return the outcome of a host that took part.

    known: what was registered for it, by step: contact, pushed, armed, ended, unpacked, removed, failure, and recalled
    if it is an earlier run; wanted: the tracers it was to run.
    """
    ended = known.get("ended") or {}
    tracers = tracers_of(ended)
    home = "files" in (known.get("unpacked") or {})
    why = (known.get("failure") or {}).get("why") or ended.get("why") or ("" if home else LOST["why"])
    left = what_is_left(known, home)
    status = ended.get("status") if home and ended.get("status") in STATUSES else "missing"
    good = home and tracers and all(one["state"] == "finished" for one in tracers.values())
    return {"status": status, "why": "; ".join(part for part in (shown(why), left) if part),
            "tracers": tracers or list(wanted), "failed": not good}


def what_is_left(known, home):
    """Return what is still on the host and how to get it from there; "" if nothing is."""
    if untouched(known) or "removed" in (known.get("removed") or {}):
        return ""
    if (known.get("ended") or {}).get("unknown") is True:
        return "playbooks/preflight.yml names the runs whose records wait there"
    if not home and not never_armed(known):
        return "its records wait for playbooks/collect.yml"
    if "uid" not in (known.get("contact") or {}):
        return ""
    return "it needs playbooks/cleanup.yml, because %s" % shown(
        (known.get("removed") or {}).get("msg") or "it did not answer")


def untouched(known):
    """Return whether the host was left alone, because of what was in the way: what is there is another run's."""
    pushed = known.get("pushed") or {}
    return bool(pushed.get("obstacles") or pushed.get("taken"))


def never_armed(known):
    """Return whether no tracer was ever armed, or not to begin, so that there is nothing to bring home."""
    if (known.get("load") or {}).get("failed"):
        return True
    armed = known.get("armed")
    if known.get("recalled"):
        return False  # who knows
    return not armed or bool(armed.get("failed")) and not armed.get("lost")


def read_run(directory):
    """Return host -> {remote_dir, tracers} of a run that began on this controller, {} otherwise; raises Unfit."""
    path = os.path.join(directory, "run.json")
    content = read_json(path, FILE_BYTES) if os.path.exists(path) else {"hosts": {}}
    hosts = content.get("hosts") if isinstance(content, dict) else None
    if not isinstance(hosts, dict):
        raise Unfit("%s holds no hosts: it must be what a capture wrote there" % path)
    run = {}
    for name, one in hosts.items():
        if not HOST.fullmatch(name) or not fits(one, {"remote_dir": str, "tracers": [str]}) or not is_remote_dir(
                one["remote_dir"]) or not set(one["tracers"]) <= set(TRACERS):
            raise Unfit("%s: the host %s is not as a capture writes it" % (path, shown(name, 100)))
        run[name] = {"remote_dir": one["remote_dir"], "tracers": one["tracers"]}
    return run


def read_next(directory):
    """Return what the case of a run says is to be done with its result, [] if it says nothing."""
    case = _read_case(directory)
    return case["case_next"] if fits(case, {"case_next": [str]}) else []


def read_case(directory):
    """Return what the case of a run says of itself, by CASE, {} if the run has none."""
    case = _read_case(directory)
    return {name: shown(case["case_" + name]) for name in CASE if fits(case, {"case_" + name: str})}


def _read_case(directory):
    path = os.path.join(directory, "run.json")
    try:
        content = read_json(path, FILE_BYTES) if os.path.exists(path) else {}
    except Unfit:
        return {}  # whoever needs the run's hosts says so
    case = content.get("case") if isinstance(content, dict) else None
    return case if isinstance(case, dict) else {}


def read_outcome(directory):
    """Return {hosts, reproduce} of a run as far as it went, both empty if nothing was written; raises Unfit."""
    path = os.path.join(directory, "outcome.json")
    content = read_json(path, FILE_BYTES) if os.path.exists(path) else {"hosts": {}}
    hosts = content.get("hosts") if isinstance(content, dict) else None
    if not isinstance(hosts, dict):
        raise Unfit("%s holds no hosts: it must be what a capture wrote there" % path)
    outcome = {"hosts": {}, "reproduce": {}}  # type: Dict[str, Any]
    for name, one in hosts.items():
        if not HOST.fullmatch(name) or not fits(one, {"status": str, "why": str, "failed": bool}) or one[
                "status"] not in STATUSES:
            raise Unfit("%s: the host %s is not as a capture writes it" % (path, shown(name, 100)))
        tracers = one.get("tracers")
        outcome["hosts"][name] = {
            "status": one["status"], "why": shown(one["why"]), "failed": one["failed"],
            "tracers": tracers_of(one) or [word for word in (tracers or ()) if word in TRACERS]}
    reproduce = content.get("reproduce") or {}
    if fits(reproduce, {"command": str, "exit_status": int}):
        outcome["reproduce"] = {"command": reproduce["command"], "exit_status": reproduce["exit_status"]}
    return outcome


def failures(outcome):
    """Return one sentence about the hosts that failed, "" if none did."""
    hosts = outcome["hosts"]
    failed = [(name, one["why"]) for name, one in hosts.items() if one["failed"]]
    if not failed:
        return ""
    others = ", the others are merged" if len(failed) < len(hosts) else ""
    alike = {}  # type: Dict[str, Any]
    for name, why in failed:
        alike.setdefault(why, []).append(name)
    return "%d of %d hosts failed%s: %s" % (len(failed), len(hosts), others, "; ".join(
        "%s: %s" % (", ".join(names), why) for why, names in alike.items()))
