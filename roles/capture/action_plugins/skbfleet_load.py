# SPDX-License-Identifier: Apache-2.0
"""Looks at what the hosts of a run would record, before its window opens.

Its documentation is in library/skbfleet_load.py.
"""
import os

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_foreign import as_data
from ansible.module_utils.skbfleet_load import busiest, in_words, refusal
from ansible.module_utils.skbfleet_shapes import load_of


def limit_of(variables):
    """Return the most records a second that a host may make, None if any load is accepted."""
    settings = variables["__capture_plan"]["settings"]
    return None if settings["accept_load"] else settings["max_load"]


class ActionModule(ActionBase):
    """Fails, on every host alike, if one of them would record too much."""

    _requires_connection = False
    _VALID_ARGS = frozenset()

    def run(self, tmp=None, task_vars=None):
        """Look at what every host of the play counted while it was armed."""
        super().run(tmp, task_vars)
        host = task_vars["inventory_hostname"]
        hosts = {name: task_vars["hostvars"].raw_get(name) for name in task_vars["ansible_play_hosts"]}
        loads = {name: load_of(variables.get("__capture_armed") or {}) for name, variables in hosts.items()}
        loads = {name: load for name, load in loads.items() if load}
        why = refusal(host, loads, {name: limit_of(hosts[name]) for name in loads})
        heard = host == busiest(loads) and loads[host]["records_per_s"]
        words = "it would make %s" % in_words(loads[host]) if heard else ""
        return as_data({"changed": False, "failed": bool(why), "msg": why, "words": words})
