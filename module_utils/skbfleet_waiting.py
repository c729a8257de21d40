# SPDX-License-Identifier: Apache-2.0
"""Which records on the hosts would be lost if they were removed now, in words."""
import os

from ansible.module_utils.skbfleet_foreign import shown
from ansible.module_utils.skbfleet_outcome import HOST
from ansible.module_utils.skbfleet_shapes import Map, fits

WAITING = Map({"records": int, "bytes": int, "running": bool})


def is_home(output_dir, run, host):
    """Return whether a host's bundle of a run is on this controller."""
    return bool(HOST.fullmatch(run)) and os.path.isdir(os.path.join(output_dir, run, "hosts", host))


def waiting_on(answers, output_dir):
    """Return [(host, run, what waits)] of all that is not at home; answers: host -> of skbfleet_capture."""
    found = []
    for host, answer in answers.items():
        waiting = answer.get("waiting")
        for run, what in sorted(waiting.items()) if fits(waiting, WAITING) else ():
            if what["running"] or not is_home(output_dir, run, host):
                found.append((host, run, what))
    return found


def in_words(found):
    """Return a line for each run on each host."""
    return ["%s: run %s, %s%d records in %d KiB" % (host, shown(run, 100), "still running, " * what["running"],
                                                    what["records"], what["bytes"] >> 10) for host, run, what in found]


def refusal(found):
    """Return why nothing is removed, and what to do, in one sentence."""
    runs = sorted({shown(run, 100) for _host, run, _what in found})
    return ("capture_yes is false and records wait that are not at home (%s): bring them home with "
            "playbooks/collect.yml -e capture_run_id=%s, or set capture_yes=true to remove them"
            % ("; ".join(in_words(found)), runs[0] if len(runs) == 1 else "RUN"))
