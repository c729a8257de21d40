# SPDX-License-Identifier: Apache-2.0
"""Says which hosts of a run failed.

Its documentation is in library/skbfleet_failures.py.
"""
import os

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_foreign import Unfit, as_data, shown
from ansible.module_utils.skbfleet_outcome import failures, read_outcome


class ActionModule(ActionBase):
    """Fails with one sentence if a host failed."""

    _requires_connection = False
    _VALID_ARGS = frozenset(["run_dir"])

    def run(self, tmp=None, task_vars=None):
        """Read what the capture wrote down."""
        super().run(tmp, task_vars)
        try:
            said = failures(read_outcome(os.path.abspath(self._task.args["run_dir"])))
        except Unfit as error:
            said = shown(error)
        return as_data({"changed": False, "failed": bool(said), "msg": said})
