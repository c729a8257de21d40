# SPDX-License-Identifier: Apache-2.0
"""Runs the module skbfleet_info on the host, and says in plain words what is in the way of a capture there.

Its documentation is in library/skbfleet_info.py.
"""
import os

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_contact import ask
from ansible.module_utils.skbfleet_foreign import as_data
from ansible.module_utils.skbfleet_obstacles import obstacles
from ansible.module_utils.skbfleet_shapes import info_fits


class ActionModule(ActionBase):
    """Returns the module's answer with `obstacles`."""

    def run(self, tmp=None, task_vars=None):
        """Ask and judge."""
        super().run(tmp, task_vars)
        answer = ask(self, task_vars, "skbfleet_info", dict(self._task.args))
        if answer.get("failed"):
            answer.pop("facts", None)  # which stand for an answer that is whole
        elif not info_fits(answer):
            answer = {"failed": True, "msg": "its answer is none that skbfleet_info gives"}
        return as_data(dict(answer, obstacles=obstacles(answer)))
