# SPDX-License-Identifier: Apache-2.0
"""What hosts answered, as one table with a verdict for each host, in words for whoever has to act on it."""
import re
import textwrap
from typing import Any, Dict, List

ROLES = ("vnet", "bridge", "internal", "phy", "bond", "vlan", "tunnel", "veth")  # of devices that matter to a capture
HOOKS = ("raw_tracepoint", "fentry", "kprobe")
NAMES_SHOWN = 3
LITTLE_DISK = 1 << 30      # bytes: below, a capture without a limit soon ends
CLOCK_TRUST_NS = 2 * 10**9  # beyond, the window is corrected for the host
WIDTH = 118


def duration(ns):
    """Return a span of time in words."""
    for size, unit in ((10**9, "s"), (10**6, "ms")):
        if abs(ns) >= size:
            return "%.3g %s" % (ns / size, unit) if abs(ns) < 1000 * size else "%d %s" % (round(ns / size), unit)
    return "%d µs" % round(ns / 1000)


def clock_of(answer, contact):
    """Return the clock's state in words."""
    difference, error = contact["clock_difference_ns"], contact["clock_error_ns"]
    if abs(difference) <= error:
        words = "agrees with this machine's to ±%s" % duration(error)
    else:
        side = "ahead of" if difference > 0 else "behind"
        words = "%s ±%s %s this machine's" % (duration(abs(difference)), duration(error), side)
    state = answer.get("trial", {}).get("clock")
    if not state or state["synchronised"] is None:
        return words
    if not state["synchronised"]:
        return "%s; not synchronised (%s)" % (words, state["daemon"] + " runs" if state["daemon"] else "no daemon")
    return "%s; synchronised%s to ±%s" % (words, " by " + state["daemon"] if state["daemon"] else "",
                                          duration(state["max_error_us"] * 1000))


def some(names, most=NAMES_SHOWN):
    """Return names as words, not more than a few."""
    return ", ".join(names[:most]) + (" and %d more" % (len(names) - most) if len(names) > most else "")


def devices_of(trial):
    """Return the devices by role, in words."""
    parts = []
    for role in ROLES:
        names = [device["name"] for device in trial["devices"] if device["role"] == role]
        if names:
            parts.append("%d %s (%s)" % (len(names), role, some(names)))
    return ", ".join(parts) or "none that a capture cares about"


def absent_of(trial, members):
    """Return how many of a profile's points belong to modules that are not loaded: nothing passes there."""
    return len(set(trial.get("absent", ())) & set(members))


def is_idle(trial, members):
    """Return whether a profile has little to look at, because the modules of most of its points are not loaded."""
    return absent_of(trial, members) * 2 > len(members)


def points_of(trial, members):
    """Return how many of a profile's points can be had, of those that are there; a star where most are not there."""
    attached = [name for name in members if name in trial["attached"]]
    return "%d/%d%s" % (len(attached), len(members) - absent_of(trial, members), "*" * is_idle(trial, members))


def row_of(name, host, profiles):
    """Return the cells of a host's row; - for what is not known."""
    answer = host["answer"]
    facts, trial = answer.get("facts"), answer.get("trial")
    row = dict.fromkeys(["kernel", "bcc", "types", "buffer", "free", "load"] + list(profiles) + ["hooks"], "-")
    if facts:
        types = "BTF" if facts["btf"] else "headers" if facts["headers"] else "none"
        row.update(kernel=facts["kernel"], types=types, free="%.1f GiB" % (facts["free_bytes"] / 2**30),
                   load="%.1f/%d" % (facts["load"], facts["cpus"]))
    if trial:
        row.update(bcc=trial["bcc"], buffer=trial["buffer"],
                   types="BTF" if trial["btf"] else "headers" if trial["headers"] else "none")
        row.update({profile: points_of(trial, members) for profile, members in profiles.items()})
        row["hooks"] = "/".join(str(list(trial["attached"].values()).count(hook)) for hook in HOOKS)
    return dict({"host": name}, **row)


def gaps_of(host, profiles, required):
    """Return what a host that is ready does not offer, in words."""
    answer, trial, contact = host["answer"], host["answer"]["trial"], host["contact"]
    gaps = []
    incomplete = [name for name in profiles if trial["profiles"].get(name)]
    incomplete = [name for name in incomplete if name != "full"] or incomplete  # which has them all
    if incomplete:
        missing = sorted({point for name in incomplete for point in trial["profiles"][name]})
        named = " (%s)" % ", ".join(missing) if len(missing) <= NAMES_SHOWN else ""
        gaps.append("not every point of the profile%s %s%s"
                    % ("s" * (len(incomplete) > 1), ", ".join(incomplete), named))
    idle = [name for name in required if is_idle(trial, profiles[name])]
    if idle:
        gaps.append("most of what the profile %s looks at is in modules that are not loaded" % ", ".join(idle))
    if not trial["btf"]:
        gaps.append("no BTF, so the kernel's headers are compiled, which takes seconds")
    if trial["clock"]["synchronised"] is False:
        gaps.append("its clock is not synchronised")
    if abs(contact["clock_difference_ns"]) - contact["clock_error_ns"] > CLOCK_TRUST_NS:
        gaps.append("its clock is wrong by %s, for which the window is corrected"
                    % duration(abs(contact["clock_difference_ns"])))
    if answer["facts"]["free_bytes"] < LITTLE_DISK:
        gaps.append("only %d MiB of disk are free" % (answer["facts"]["free_bytes"] >> 20))
    waiting = [name for name, state in sorted(answer["runs"].items()) if state == "ended"]
    if waiting:
        gaps.append("records of the run %s wait there for playbooks/collect.yml" % some(waiting))
    return gaps


def lacks_of(host, profiles, required):
    """Return the required profiles that this host cannot do, as obstacles."""
    trial, found = host["answer"]["trial"], []
    for name in required:
        missing = trial["profiles"].get(name)
        if missing:
            there = len(profiles[name]) - absent_of(trial, profiles[name])
            found.append({"what": "the profile %s lacks %d of %d points (%s)"
                                  % (name, len(missing), there, some(missing)),
                          "do": "see below why, or leave %s out of preflight_profile" % name})
    return found


def verdict_of(host, profiles, required):
    """Return (whether the host is ready, the verdict)."""
    found = list(host["obstacles"])
    if not found:
        found = lacks_of(host, profiles, required)
    if found:
        return False, "not ready: " + "; ".join("%(what)s, do this: %(do)s" % one for one in found)
    gaps = gaps_of(host, profiles, required)
    return True, "ready with gaps: " + "; ".join(gaps) if gaps else "ready"


def table_of(rows, lines):
    """Return the table; lines: host -> what stands below its row."""
    titles = {"hooks": "tp/fentry/kprobe", "free": "free disk", "load": "load/cpus"}
    columns = list(rows[0])
    widths = {name: max(len(titles.get(name, name)), *(len(row[name]) for row in rows)) for name in columns}
    text = ["  ".join(titles.get(name, name).ljust(widths[name]) for name in columns).rstrip()]
    for row in rows:
        text.append("  ".join(row[name].ljust(widths[name]) for name in columns).rstrip())
        for line in lines[row["host"]]:
            text += textwrap.wrap(line, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False,
                                  break_long_words=False)
    return text


def reasons_of(hosts):
    """Return the points that cannot be had, by reason, in lines."""
    groups: Dict[str, Any] = {}
    for name, host in hosts.items():
        for point, why in host["answer"].get("trial", {}).get("skipped", {}).items():
            alike = re.sub(r"\b(function|tracepoint|functions are called) [\w.]+", r"\1 …", why)
            group = groups.setdefault(alike, {"points": [], "hosts": [], "whys": set()})
            group["whys"].add(why)
            group["points"] += [point] * (point not in group["points"])
            group["hosts"] += [name] * (name not in group["hosts"])
    text = ["Points that cannot be had, and why:"] if groups else []
    for why, group in sorted(groups.items(), key=lambda item: -len(item[1]["points"])):
        why = why if len(group["whys"]) > 1 else group["whys"].pop()
        text += textwrap.wrap("%s (%s)" % (why, some(group["hosts"], 5)), WIDTH, initial_indent="  ",
                              subsequent_indent="  ", break_on_hyphens=False)
        text += textwrap.wrap(" ".join(sorted(group["points"])), WIDTH, initial_indent="      ",
                              subsequent_indent="      ", break_on_hyphens=False)
    return text


def report(hosts, profiles, required):
    """Return {"text": lines for the console, "hosts": name -> ready, verdict and all that was answered}.

    hosts: name -> contact (of skbfleet_reach), answer (of skbfleet_info), obstacles (of the module_utils obstacles).
    """
    details: Dict[str, Any] = {}
    lines: Dict[str, List[str]] = {}
    for name, host in hosts.items():
        ready, verdict = verdict_of(host, profiles, required)
        details[name] = {"ready": ready, "verdict": verdict,
                         **{key: host["answer"].get(key, {}) for key in ("facts", "runs", "trial")}}
        lines[name] = []
        if "clock_difference_ns" in host["contact"]:
            details[name]["clock"] = {key: host["contact"][key] for key in ("clock_difference_ns", "clock_error_ns")}
            lines[name].append("clock: " + clock_of(host["answer"], host["contact"]))
        if host["answer"].get("trial"):
            lines[name].append("devices: " + devices_of(host["answer"]["trial"]))
        lines[name].append(verdict)
    text = table_of([row_of(name, host, profiles) for name, host in hosts.items()], lines)
    if any("*" in line for line in text):
        text.append("* most points of this profile belong to modules that are not loaded there, and are not counted")
    return {"text": text + reasons_of(hosts), "hosts": details}
