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
from ansible.module_utils.skbfleet_obstacles import obstacles, sentence
from ansible.module_utils.skbfleet_shapes import info_fits


class ActionModule(ActionBase):
    """Returns the module's answer with `obstacles`; with `new_run` it fails if there are any."""

    def run(self, tmp=None, task_vars=None):
        """Ask and judge."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        new_run = arguments.pop("new_run", None)
        answer = ask(self, task_vars, "skbfleet_info", arguments)
        if not answer.get("failed") and not info_fits(answer):
            answer = {"failed": True, "msg": "its answer is none that skbfleet_info gives"}
        found = obstacles(answer, run_id=new_run)
        if new_run:
            answer = dict(answer, failed=bool(found), msg=sentence(found))
        return as_data(dict(answer, obstacles=found))
