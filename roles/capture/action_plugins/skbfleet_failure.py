# SPDX-License-Identifier: Apache-2.0
"""Keeps why a host left the run, as data.

Its documentation is in library/skbfleet_failure.py.
"""
import os

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_foreign import as_data, shown
from ansible.module_utils.skbfleet_obstacles import explained


def failure_of(variables):
    """Return a host's failed result and the name of its task; ({}, "") if it did not fail itself."""
    result, task = variables.get("ansible_failed_result"), variables.get("ansible_failed_task")
    if not isinstance(result, dict):
        return {}, ""
    return result, str(task.get("name") or "") if isinstance(task, dict) else ""


class ActionModule(ActionBase):
    """Returns `why`. No template is evaluated on the way: the words may be a host's."""

    _requires_connection = False
    _VALID_ARGS = frozenset()

    def run(self, tmp=None, task_vars=None):
        """Look at this host's failure; a step that is done once fails for all, and one host alone knows why."""
        super().run(tmp, task_vars)
        result, task = failure_of(task_vars)
        others = (task_vars["hostvars"].raw_get(host) for host in task_vars["ansible_play_hosts_all"])
        prefix = ""
        if not result:
            prefix = "a step for all hosts failed: "
            result, task = next((found for found in map(failure_of, others) if found[0]), ({}, ""))
        why = explained(result) or "failed: %s" % (task or "the reason was not told")
        if result.get("lost"):
            contact = task_vars.get("__capture_contact") or {}
            why = ("it cannot be reached: " if contact.get("lost") else "the connection was lost: ") + why
        return as_data({"changed": False, "why": shown(prefix + why)})
