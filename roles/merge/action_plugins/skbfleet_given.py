# SPDX-License-Identifier: Apache-2.0
"""Checks what was given for a merge.

Its documentation is in library/skbfleet_given.py.
"""
import os

import ansible.module_utils
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_case import check_plain
from ansible.module_utils.skbfleet_foreign import as_data, shown
from ansible.module_utils.skbfleet_names import Refused, check_given, declared
from ansible.module_utils.skbfleet_outcome import read_next
from ansible.module_utils.skbfleet_told import following

ARCHIVE = ".tar.zst"


class ActionModule(ActionBase):
    """Returns run_dir and what is to be done next, or sentences."""

    _requires_connection = False
    _VALID_ARGS = frozenset(["roles", "made", "variable"])

    def run(self, tmp=None, task_vars=None):
        """Check names, then the directory."""
        super().run(tmp, task_vars)
        try:
            run_dir = self._run_dir(self._task.args)
            return as_data({"changed": False, "run_dir": run_dir, "next": following(read_next(run_dir))})
        except Refused as error:
            return as_data({"failed": True, "msg": str(error), "refusals": [shown(one) for one in error.args]})

    def _run_dir(self, args):
        given = load_extra_vars(self._loader)
        check_given(given, declared(args["roles"]))
        variable = args.get("variable") or "merge_run_dir"
        for name, value in given.items():
            if str(name).startswith(variable.split("_")[0] + "_"):
                check_plain(name, value, "-e")
        path = given.get(variable) or args.get("made")
        if not path:
            raise Refused("%s is not set: it must be the directory of a run, as captures/RUN" % variable)
        mergeable = variable == "merge_run_dir" and str(path).endswith(ARCHIVE)
        if not os.path.isdir(str(path)) and not (mergeable and os.path.isfile(str(path))):
            raise Refused("%s is %.200r: it must be the directory of a run, as captures/RUN%s"
                          % (variable, path, ", or its archive, RUN" + ARCHIVE if variable == "merge_run_dir" else ""))
        return os.path.abspath(str(path))
