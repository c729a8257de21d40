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
from ansible.module_utils.skbfleet_obstacles import NOT_REACHED, explained, of_connection, sentence

PREFIX = "a step for all hosts failed: "


def failure_of(variables):
    """Return a host's failed result and its task; ({}, {}) if it did not fail itself."""
    result, task = variables.get("ansible_failed_result"), variables.get("ansible_failed_task")
    if not isinstance(result, dict):
        return {}, {}
    return result, task if isinstance(task, dict) else {}


def is_for_all(task):
    """Return whether a task is done once for all hosts."""
    return bool(task.get("run_once")) or str(task.get("action")).endswith("pause")


class ActionModule(ActionBase):
    """Returns `why`, and `for_all` if the step was for all hosts. No template sees the words: they may be a host's."""

    _requires_connection = False
    _VALID_ARGS = frozenset()

    def run(self, tmp=None, task_vars=None):
        """Look at this host's failure; a step that is done once fails for all, and one host alone knows why."""
        super().run(tmp, task_vars)
        result, task = failure_of(task_vars)
        others = (task_vars["hostvars"].raw_get(host) for host in task_vars["ansible_play_hosts_all"])
        prefix, for_all = "", is_for_all(task)
        if not result:
            prefix = PREFIX
            result, task = next((found for found in map(failure_of, others) if found[0]), ({}, {}))
        why = explained(result) or "failed: %s" % (task.get("name") or "the reason was not told")
        if result.get("lost"):
            contact = task_vars.get("__capture_contact") or {}
            why = (sentence([of_connection(NOT_REACHED, result)]) if contact.get("lost") else
                   "the connection was lost: " + why)
        return as_data({"changed": False, "why": shown(prefix + why), "for_all": for_all})
