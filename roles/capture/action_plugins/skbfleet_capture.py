# SPDX-License-Identifier: Apache-2.0
"""Runs the module skbfleet_capture on the host, or what was pushed there, and makes its answer data, whatever it says.

Its documentation is in library/skbfleet_capture.py.
"""
import os

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_contact import answer_of, ask
from ansible.module_utils.skbfleet_there import call, program


class ActionModule(ActionBase):
    """Returns the module's answer; a lost connection is a failure with `lost` set."""

    def run(self, tmp=None, task_vars=None):
        """Ask, and ask again within `patience` seconds if the host cannot be reached."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        patience = float(arguments.pop("patience", None) or 0)
        words = program(arguments, task_vars) if not self._task.check_mode else []
        answer = answer_of(lambda: call(self, words, arguments), self._connection, patience) if words else {}
        return answer or ask(self, task_vars, "skbfleet_capture", arguments, patience)
