# SPDX-License-Identifier: Apache-2.0
"""Says which records on the hosts would be lost.

Its documentation is in library/skbfleet_waiting.py.
"""
import os

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_foreign import as_data
from ansible.module_utils.skbfleet_waiting import in_words, refusal, waiting_on


class ActionModule(ActionBase):
    """Returns text (a line for each run on each host) and refusal (one sentence), both empty if nothing waits."""

    _requires_connection = False
    _VALID_ARGS = frozenset(["output_dir"])

    def run(self, tmp=None, task_vars=None):
        """Look at what every host of the play answered."""
        super().run(tmp, task_vars)
        raw = task_vars["hostvars"].raw_get
        answers = {host: raw(host).get("__capture_found") or {} for host in task_vars["ansible_play_hosts_all"]}
        found = waiting_on(answers, self._task.args["output_dir"])
        return as_data({"changed": False, "text": in_words(found), "refusal": refusal(found) if found else ""})
