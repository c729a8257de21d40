# SPDX-License-Identifier: Apache-2.0
"""Reads what a run was and what became of it so far, as data.

Its documentation is in library/skbfleet_recall.py.
"""
import os

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_foreign import Unfit, as_data, shown
from ansible.module_utils.skbfleet_outcome import read_outcome, read_run


class ActionModule(ActionBase):
    """Returns `recorded` (host -> remote_dir, tracers) and `before` (hosts, reproduce)."""

    _requires_connection = False
    _VALID_ARGS = frozenset(["run_dir"])

    def run(self, tmp=None, task_vars=None):
        """Read both files; neither has to be there."""
        super().run(tmp, task_vars)
        directory = self._task.args["run_dir"]
        try:
            return as_data({"changed": False, "recorded": read_run(directory), "before": read_outcome(directory)})
        except Unfit as error:
            return as_data({"failed": True, "msg": shown(error)})
