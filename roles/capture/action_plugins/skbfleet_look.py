# SPDX-License-Identifier: Apache-2.0
"""Asks a host what its tracers have counted so far, by one command and no module, as often as whoever made it likes.

Its documentation is in library/skbfleet_look.py.
"""
import os

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_contact import answer_of
from ansible.module_utils.skbfleet_counted import question, read_answer


class ActionModule(ActionBase):
    """Returns nothing: skbfleet_wait has it made ready, with its connection, and calls `look`."""

    _VALID_ARGS = frozenset(["directories"])

    def run(self, tmp=None, task_vars=None):
        """Be ready."""
        super().run(tmp, task_vars)
        return {"changed": False}

    def look(self):
        """Return what the host says, or why it does not."""
        return answer_of(self._ask, self._connection)

    def _ask(self):
        said = self._low_level_execute_command(question(self._task.args["directories"]))
        if said["rc"]:
            return {"failed": True, "msg": said["stderr"] or said["stdout"]}
        return read_answer(said["stdout"]) or {"failed": True, "msg": "its answer is no status of tracers"}
