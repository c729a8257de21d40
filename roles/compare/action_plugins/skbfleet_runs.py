# SPDX-License-Identifier: Apache-2.0
"""Finds two merged runs.

Its documentation is in library/skbfleet_runs.py.
"""
import os
import re

import ansible.module_utils
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_case import check_plain
from ansible.module_utils.skbfleet_foreign import as_data, shown
from ansible.module_utils.skbfleet_names import Refused, check_given, declared
from ansible.module_utils.skbfleet_settings import typed

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")    # of a run, as capture_run_id may be


def report_of(wanted, good, bad):
    """Return where the comparison of two runs goes; empty if it is not wanted. Raises Refused."""
    if not typed("compare_report", wanted, {"type": "bool"}):
        return ""
    return os.path.join(bad, "compared-with-%s.html" % os.path.basename(os.path.realpath(good)))


class ActionModule(ActionBase):
    """Returns the runs' directories, or one sentence."""

    _requires_connection = False
    _VALID_ARGS = frozenset(["roles", "output_dir", "report"])

    def run(self, tmp=None, task_vars=None):
        """Check names, then the directories."""
        super().run(tmp, task_vars)
        try:
            good, bad = self._runs(self._task.args)
            report = report_of(self._task.args.get("report", True), good, bad)
            return as_data({"changed": False, "runs": [good, bad],
                            "report": "" if self._task.check_mode else report})
        except Refused as error:
            return as_data({"failed": True, "msg": shown(error)})

    def _runs(self, args):
        given = load_extra_vars(self._loader)
        check_given(given, declared(args["roles"]))
        for name, value in given.items():
            if str(name).startswith("compare_"):
                check_plain(name, value, "-e")
        runs = given.get("compare_runs", "")
        names = runs.split(",") if isinstance(runs, str) else list(runs) if isinstance(runs, list) else []
        if len(names) != 2 or not all(isinstance(name, str) and NAME.match(name) for name in names):
            raise Refused("compare_runs is %s: it must be the names of two runs, the good one first, as GOOD,BAD"
                          % ("%.200r" % (runs,) if runs else "not set"))
        paths = [os.path.join(os.path.abspath(str(args["output_dir"])), name) for name in names]
        for name, path in zip(names, paths):
            if not os.path.isfile(os.path.join(path, "summary.json")):
                raise Refused("compare_runs has %r: there must be a merged run, with a summary.json, in %s"
                              % (name, path))
        return paths
