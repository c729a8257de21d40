# SPDX-License-Identifier: Apache-2.0
"""The words in which a playbook's results reach a person; everything from a host is made fit to be shown."""
import os
from shlex import quote

from ansible.module_utils.skbfleet_foreign import escaped, shown

ERROR, FAILED = "ERROR", "failed"
REFUSED = 14     # exit status: nothing was touched
_STATUS = {"loss": 10, "unknown": 11, "nothing matched": 12, "partial": 13}    # of what a merge came to
_PLACES = ("-e", "case", "playbook", "host_vars", "inventory", "default")
_PROFILES = {"datapath_tracing": "nic", "drop_monitor": "drop"}    # if nothing is asked for
EXCERPTS = "excerpts"    # directory of a run's parts
_LABEL = 9       # columns
_HOSTS = 8       # names in one line
_LINE = 20000    # characters
_STEPS = 20      # of what a case says is to be done


def exit_status(result, failed, refused):
    """Return the exit status of a playbook, 0 where Ansible has its own; result: of its merge, "" if none was made;
    failed: whether any host failed, which a partial run has told."""
    if result == "partial" or not failed:
        return _STATUS.get(result, 0)
    return REFUSED if refused and not result else 0


def clean(text):
    """Return one line of a text that may have columns: spaces stay, what is not printable does not."""
    return "".join(char if char.isprintable() else escaped(char) for char in str(text)[:_LINE])


def line(label, hosts, text):
    """Return the line for what these hosts came to alike; without a label it is the text as it is."""
    start = "%-*s" % (_LABEL, label) if label else ""
    return (start + ": ".join(part for part in (_some(hosts), text) if part)).rstrip()


def plan(settings, which, hosts):
    """Return what is about to happen, for a person: settings by their names without capture_; which: those that say
    which packets, and where; the hosts' names."""
    words = [_setting(name, settings[name]) for name in which
             if settings.get(name) not in (None, False, []) and (name, settings[name]) != ("protocol", "all")]
    return ["run %s on %s" % (settings["run_id"], _some(hosts)),
            "%s %s" % (_sample(settings), ", ".join(words) or "every packet"),
            "%sfor at most %g s, %s records or %s bytes; at most %s records a second%s" % (
                "from %s on, " % shown(settings["start_at"]) if settings.get("start_at") else "",
                *(settings[name] for name in ("duration", "max_records", "max_bytes", "max_rate")),
                "" if settings["accept_load"] else
            "; the run stops before its window if a host would make more than %d" % settings["max_load"]),
            "into %s" % os.path.join(settings["output_dir"], settings["run_id"])]


def rescue(run_id, inventories):
    """Return how to bring a run home whose terminal has died. inventories: those that were given."""
    return "If this terminal dies: %s" % command("playbooks/collect.yml", inventories, "capture_run_id=" + run_id)


def command(playbook, inventories, *variables):
    """Return a command to be pasted. variables: as name=value."""
    words = ["ansible-playbook"] + [word for path in inventories for word in ("-i", path)] + [playbook]
    return " ".join(quote(str(word)) for word in words + [part for one in variables for part in ("-e", one)])


def about(case):
    """Return what a case says of itself, for a person; case: its values by name."""
    title = ": ".join(shown(case[name]) for name in ("case_ticket", "case_title") if case.get(name))
    by = "by %s" % shown(case["case_author"]) if case.get("case_author") else ""
    until = "until %s" % shown(case["case_expires"]) if case.get("case_expires") else ""
    more = ", ".join(part for part in (by, until) if part)
    return ["case %s%s" % (title or "without a title", " (%s)" % more if more else "")] if case else []


def following(steps):
    """Return what a case says is to be done with the result, in lines for a person."""
    return ["", "NEXT, AS THE CASE HAS IT"] + ["- " + shown(step) for step in steps[:_STEPS]] if steps else []


def origins(settings, came, path):
    """Return where the values come from, a line for each place. settings, came: value and place of each name without
    capture_; path: the case file."""
    places = {}  # type: dict
    for name, place in came.items():
        if settings[name] not in (None, False, []):
            places.setdefault(place, []).append(_setting(name, settings[name]))
    return ["from %s: %s" % ("the case %s" % shown(path) if place == "case" else place, ", ".join(places[place]))
            for place in sorted(places, key=_PLACES.index)]


def looks(settings):
    """Return where the tracers would look, and when what they would record is counted, a line each."""
    asked = ["profile %s" % shown(name) for name in settings.get("profile") or ()]
    asked += [shown(name) for name in settings.get("points") or ()]
    first = min(settings["tracers"])    # has the points that were asked for
    words = ["%s at %s" % (name, ", ".join(asked) if asked and name == first else "profile " + _PROFILES[name])
             for name in sorted(settings["tracers"])]
    load = [] if settings["accept_load"] else ["what a host would record is counted for a second before its window"]
    return ["points: %s" % "; ".join(words)] + load


def _setting(name, value):
    if value is True:
        return name
    return "%s=%s" % (name, shown(",".join(map(str, value)) if isinstance(value, list) else value))


def _sample(settings):
    """Return which of the packets are taken."""
    if settings.get("sample") in (None, "1"):
        return "of"
    return "one packet in %s%s of" % (shown(settings["sample"]), "" if settings.get("sample_drops") else
                                      ", and every drop,")


def _some(names):
    """Return names in one line, which has room for a few."""
    return ", ".join(names[:_HOSTS]) + (" and %d more" % (len(names) - _HOSTS) if len(names) > _HOSTS else "")


def verdict(sentences, doubts, products, result):
    """Return the lines that show a verdict, where the rest is, and what comes next. products: name -> path; result: as
    in summary.json."""
    lines = ["", "VERDICT"] + ["- " + text for text in sentences]
    if doubts:
        lines += ["", "HOW FAR TO TRUST IT"] + ["- " + text for text in doubts]
    files = ", ".join(sorted(name for name in products if name not in ("verdict.txt", "report.html")))
    look = ["To look at, in a browser: %s" % products["report.html"]] if "report.html" in products else []
    return lines + [""] + look + ["Ways, steps with their latency, and what was seen where: %s; beside it: %s" % (
        products["verdict.txt"], files)] + _next(result, os.path.dirname(products["verdict.txt"]))


def _next(result, run_dir):
    """Return what to do now; a part of a run is not sent by itself."""
    if result == "nothing matched":
        return ["Next: make the filter wider, or correct it by the flows that are named above, if any"]
    if os.path.basename(os.path.dirname(run_dir)) == EXCERPTS:
        return []
    return ["To send all of it: %s" % command("playbooks/archive.yml", [], "archive_run=" + run_dir)]


def of_failure(result):
    """Return why a task failed, in one line or more."""
    if isinstance(result.get("refusals"), list):
        return [shown(text, _LINE) for text in result["refusals"]]
    parts = result.get("results")
    if isinstance(parts, list):
        failed = [one for one in parts if isinstance(one, dict) and one.get("failed")]
        return [text for one in failed for text in of_failure(one)] or [shown(result.get("msg", "no reason was given"))]
    words = [str(result.get("msg") or "no reason was given")]
    words += [str(result[name]) for name in ("module_stderr", "stderr") if result.get(name)]
    return [shown(" ".join(words), _LINE)]


def of_success(action, arguments, result):
    """Return what a task that succeeded has for a person: (label, text) for each line."""
    teller = _TELLERS.get(action.split(".")[-1])
    return teller(arguments, result) if teller else []


def _of_capture(arguments, result):
    """What became of the tracers."""
    state = arguments.get("state")
    if state == "armed":
        tracers = ", ".join(sorted(shown(name) for name in result.get("tracers", {})))
        return [("armed", tracers) if tracers else ("ready", "nothing was started")]
    if state == "started" and result.get("late_by_ns"):
        return [("late", "by %.3f s" % (result["late_by_ns"] / 1e9))]
    if state == "finished":
        return [("ended", _ending(result))]
    return []


def _ending(result):
    tracers = [one for one in result.get("tracers", {}).values() if isinstance(one, dict)]
    totals = [(sum(one[name] for one in tracers if isinstance(one.get(name), int)), name)
              for name in ("records", "lost", "shed")]
    counts = ", ".join("%d %s" % (total, name) for total, name in totals if total or name == "records")
    why = "; %s" % shown(result["why"]) if result.get("why") else ""
    return "%s: %s%s" % (shown(result.get("status")), counts, why)


def _of_load(_arguments, result):
    """How much the busiest host would record."""
    return [("load", result["words"])] if result.get("words") else []


def _of_debug(_arguments, result):
    """What a playbook wants to be shown."""
    if "results" in result:  # of a loop
        return []
    said = [value for name, value in result.items() if name not in ("changed", "failed", "_ansible_no_log",
                                                                    "_ansible_verbose_always")]
    return [("", text) for one in said for text in _lines(one)]


def _lines(value):
    if isinstance(value, dict):
        return ["%s: %s" % (clean(name), _flat(part)) for name, part in value.items() if part]
    return [clean(part) for part in (value if isinstance(value, list) else str(value).split("\n"))]


def _flat(value):
    if isinstance(value, dict):
        return ", ".join("%s: %s" % (clean(name), clean(part)) for name, part in value.items())
    return ", ".join(clean(part) for part in value) if isinstance(value, list) else clean(value)


def _of_assert(_arguments, result):
    """What an assertion says of its success, if it says anything of its own."""
    said = str(result.get("msg") or "")
    own = said and "results" not in result and said != "All assertions passed"
    return [("", clean(said))] if own else []


_TELLERS = {"skbfleet_capture": _of_capture, "skbfleet_load": _of_load, "debug": _of_debug, "assert": _of_assert}
