# SPDX-License-Identifier: Apache-2.0
"""Asks a host for the places of the pair's addresses, and makes its answer data.

Its documentation is in library/skbfleet_locate.py.
"""
import os

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_contact import ask
from ansible.module_utils.skbfleet_decide import answers_of, macs_of


class ActionModule(ActionBase):
    """Returns the module's answer; with `pair`, the MACs that any host of the play has told go along."""

    def run(self, tmp=None, task_vars=None):
        """Ask."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        pair = arguments.pop("pair", None)
        if pair:
            answers = answers_of(task_vars["ansible_play_hosts_all"], task_vars["hostvars"].raw_get, pair)
            arguments["macs"] = macs_of(answers, pair)
        return ask(self, task_vars, "skbfleet_locate", arguments)
