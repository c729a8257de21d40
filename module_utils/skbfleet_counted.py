# SPDX-License-Identifier: Apache-2.0
"""What a host has counted so far in a window that is open, from the words of its tracers, in a line for a person."""
import json
import shlex
from typing import Any, Dict, List, Tuple  # noqa: F401 (in type comments)

from ansible.module_utils.skbfleet_foreign import shown
from ansible.module_utils.skbfleet_shapes import STATES, fits
from ansible.module_utils.skbfleet_told import line

COUNTS = ("records", "lost", "shed")
ENDED = ("finished", "failed", "killed")
MOST = 1 << 63        # of anything that is counted
SILENT_S = 5          # a tracer writes its status twice a second
_WORDS = 1 << 18      # characters of an answer


def question(directories):
    """Return the command that shows a host's clock and the status of the tracers in these directories."""
    return "date +%s%N; cat " + " ".join(shlex.quote(path + "/status.json") for path in directories)


def read_answer(said):
    """Return {clock, tracers} from what a host said, None if it is something else.

    clock: the host's, in ns; tracers: of each its state, why, updated_ns, opened_ns (0 if unknown) and counts.
    """
    words, decoder, found = said[:_WORDS].lstrip(), json.JSONDecoder(), []  # type: Tuple[str, Any, List[Any]]
    while words:
        try:
            value, end = decoder.raw_decode(words)
        except (ValueError, RecursionError):
            return None
        found.append(value)
        words = words[end:].lstrip()
    good = len(found) > 1 and _is_count(found[0]) and all(_is_status(one) for one in found[1:])
    return {"clock": found[0], "tracers": [_status(one) for one in found[1:]]} if good else None


def _is_count(value):
    return fits(value, int) and 0 <= value < MOST


def _is_status(one):
    return (fits(one, {"state": str, "why": str, "updated_ns": int}) and one["state"] in STATES
            and all(_is_count(one.get(name, 0)) for name in ("updated_ns",) + COUNTS))


def _status(one):
    window = one.get("window")
    opened = window.get("start_realtime_ns") if isinstance(window, dict) else 0
    return dict({name: one.get(name, 0) for name in COUNTS}, opened_ns=opened if _is_count(opened) else 0,
                **{name: one[name] for name in ("state", "why", "updated_ns")})


class Counted:
    """One host's counters, and how fast they rose between the last two answers, or since the window opened."""

    def __init__(self):
        self._answer = {"clock": 0, "tracers": []}  # type: Dict[str, Any]
        self._rate = self._why = None

    def take(self, answer):
        """Note an answer of skbfleet_look."""
        self._why = shown(answer["msg"], 200) if answer.get("failed") else None
        if self._why:
            return
        before, records = self._updated() or max(one["opened_ns"] for one in answer["tracers"]), self.total("records")
        self._answer = answer
        passed, risen = self._updated() - before, self.total("records") - records
        if before and passed > 0:
            self._rate = max(0, risen) * 10 ** 9 // passed

    def total(self, name):
        """Return what all its tracers counted."""
        return sum(one[name] for one in self._answer["tracers"])

    def troubled(self):
        """Return whether a person should see this host before others."""
        return bool(self._why or self._remarks() or self.total("lost") or self.total("shed"))

    def text(self, start, end, now, waited):
        """Return what is to be said. start, end, now: s since 1970; waited: s since it was asked in vain, or 0."""
        said = ["opens in %d s" % round(start - now) if now < start else "%d s left" % max(0, round(end - now))]
        if self._answer["tracers"] and now >= start:
            rate = "" if self._rate is None or self._why or waited else " (%d/s)" % self._rate
            said += ["%d %s%s" % (self.total(name), name, rate if name == "records" else "") for name in COUNTS]
        if waited:
            return ", ".join(said) + "; it has not answered for %d s" % waited
        return "; ".join([", ".join(said)] + (["it cannot be asked: " + self._why] if self._why else self._remarks()))

    def _updated(self):
        return max([one["updated_ns"] for one in self._answer["tracers"]] + [0])

    def _remarks(self):
        """Return what is odd about its tracers."""
        ended = ["a tracer has ended: " + shown(one["why"], 200)
                 for one in self._answer["tracers"] if one["state"] in ENDED and one["why"]]
        silent = [(self._answer["clock"] - one["updated_ns"]) // 10 ** 9
                  for one in self._answer["tracers"] if one["state"] not in ENDED]
        return sorted(set(ended + ["a tracer has written nothing for %d s" % s for s in silent if s > SILENT_S]))


def table(counted, waited, start, end, now, most):
    """Return the lines of all hosts, at most so many: who is troubled comes first then, and the rest is one line.

    counted: host -> Counted; waited: host -> s since it was asked in vain.
    """
    names = list(counted)
    if len(names) > most:
        names.sort(key=lambda name: not (waited.get(name) or counted[name].troubled()))
    first = names[:most] if len(names) <= most else names[:most - 1]
    label = "armed" if now < start else "tracing"
    lines = [line(label, [name], counted[name].text(start, end, now, waited.get(name, 0))) for name in first]
    rest = [counted[name] for name in names[len(first):]]
    if rest:
        totals = ", ".join("%d %s" % (sum(one.total(name) for one in rest), name) for name in COUNTS)
        lines.append(line(label, [], "and %d more hosts: %s" % (len(rest), totals)))
    return lines
