# SPDX-License-Identifier: Apache-2.0
"""Asks a host who is logged in and what its clock shows, with the controller's clock read before and after.

This is an action plugin because only here the answer can be timed: before a module runs, seconds may pass.
Its documentation is in library/skbfleet_reach.py.
"""
import os
import re
import time

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_contact import answer_of

QUESTION = "id -u; date +%s%N"
SAMPLES = 3  # the first one may include the time to log in


def read_answer(stdout):
    """Return (user id, host's clock in ns) from what the host said, None if it said something else."""
    found = re.search(r"^(\d+)\r?\n(\d{18,20})\s*$", stdout, re.MULTILINE)
    return (int(found.group(1)), int(found.group(2))) if found else None


def best(samples):
    """Return (difference, error) in ns, host minus controller, of the sample with the fastest answer."""
    before, host, after = min(samples, key=lambda sample: sample[2] - sample[0])
    return host - (before + after) // 2, (after - before + 1) // 2


class ActionModule(ActionBase):
    """Returns uid, clock_difference_ns and clock_error_ns."""

    _VALID_ARGS = frozenset()

    def run(self, tmp=None, task_vars=None):
        """Ask a few times and keep the best answer."""
        super().run(tmp, task_vars)
        return answer_of(self._ask, self._connection)

    def _ask(self):
        samples = []
        for _sample in range(SAMPLES):
            before = time.time_ns()
            said = self._low_level_execute_command(QUESTION, sudoable=False)
            after = time.time_ns()
            answer = read_answer(said["stdout"])
            if answer is None:
                return {"failed": True, "msg": "it answers %r to %r: it must be a user id and a time"
                                               % ((said["stdout"] + said["stderr"]).strip()[-200:], QUESTION)}
            samples.append((before, answer[1], after))
        difference, error = best(samples)
        return {"changed": False, "uid": answer[0], "clock_difference_ns": difference, "clock_error_ns": error}
