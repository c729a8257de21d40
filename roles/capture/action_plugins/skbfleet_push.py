# SPDX-License-Identifier: Apache-2.0
"""Brings the tracers to a host, and says in plain words what is in the way of a capture there.

Its documentation is in library/skbfleet_push.py.
"""
import os

import ansible.module_utils
from ansible import constants
from ansible.plugins.action import ActionBase

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_contact import ask
from ansible.module_utils.skbfleet_foreign import as_data
from ansible.module_utils.skbfleet_obstacles import obstacles, of_error, of_failure, sentence
from ansible.module_utils.skbfleet_once import once
from ansible.module_utils.skbfleet_shapes import info_fits
from ansible.module_utils.skbfleet_tools import pack

TOLD = ("run_id", "remote_dir", "python", "arguments", "timeout")  # to the module as they are


def judged(answer, run_id):
    """Return an answer with `obstacles`, failed if there are any."""
    if answer.get("lost") or answer.get("taken"):
        return answer
    if "unknown" in answer:  # it refused, in its own words
        found = [of_error(str(answer.get("msg")))]
    elif answer.get("failed"):
        found = [of_failure(answer)]
    elif info_fits(answer):
        found = obstacles(answer, run_id=run_id)
    else:
        found = [of_failure({"msg": "its answer is none that skbfleet_capture gives"})]
    return dict(answer, obstacles=found, failed=bool(found), msg=sentence(found))


class ActionModule(ActionBase):
    """Returns the module's answer with `obstacles`; it fails if there are any."""

    _VALID_ARGS = frozenset(["tools", *TOLD])

    def run(self, tmp=None, task_vars=None):
        """Push and judge."""
        super().run(tmp, task_vars)
        args = self._task.args
        try:
            tools = once(os.path.join(constants.DEFAULT_LOCAL_TMP, "tools.json"), lambda: pack(args["tools"]))
        except OSError as error:
            return as_data({"failed": True, "msg": "the tracers cannot be packed: %s" % (error.strerror or error)})
        answer = ask(self, task_vars, "skbfleet_capture",
                     {"state": "prepared", "tools": tools, **{name: args[name] for name in TOLD}})
        return as_data(judged(answer, args["run_id"]))
