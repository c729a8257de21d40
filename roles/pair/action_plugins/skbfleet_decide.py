# SPDX-License-Identifier: Apache-2.0
"""Decides which hosts carry the pair, from what all hosts of the play answered.

Its documentation is in library/skbfleet_decide.py.
"""
import os

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_decide import answers_of, decide
from ansible.module_utils.skbfleet_foreign import as_data, inert


class ActionModule(ActionBase):
    """Returns hosts, topology and text, or one sentence."""

    _requires_connection = False
    _VALID_ARGS = frozenset(["pair"])

    def run(self, tmp=None, task_vars=None):
        """Decide."""
        super().run(tmp, task_vars)
        pair = self._task.args["pair"]
        decision = decide(answers_of(task_vars["ansible_play_hosts_all"], task_vars["hostvars"].raw_get, pair), pair)
        if decision["error"]:
            return as_data({"failed": True, "msg": decision["error"], "hosts": []})
        return as_data(dict(inert(decision), changed=False))
