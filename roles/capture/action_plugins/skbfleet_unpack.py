# SPDX-License-Identifier: Apache-2.0
"""Checks and unpacks a fetched bundle on the controller.

Its documentation is in library/skbfleet_unpack.py.
"""
import os

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_apart import apart
from ansible.module_utils.skbfleet_bundle import unpack_whole
from ansible.module_utils.skbfleet_foreign import as_data, shown
from ansible.module_utils.skbfleet_rundir import RunError


def answer_of(args):
    """Unpack; return the names of the files, or in one sentence what is wrong with the bundle."""
    os.umask(0o077)
    try:
        return {"changed": True, "files": unpack_whole(
            args["src"], args["sha256"], args["dest"], int(args["most"]), args["host"], args["run_id"])}
    except RunError as error:
        return {"failed": True, "msg": shown(error)}
    except OSError as error:
        return {"failed": True, "msg": shown("%s: %s" % (error.filename or args["src"], error.strerror or error))}


class ActionModule(ActionBase):
    """Returns the names of the files, or what is wrong with the bundle."""

    _requires_connection = False
    _VALID_ARGS = frozenset(["src", "sha256", "dest", "host", "run_id", "most"])

    def run(self, tmp=None, task_vars=None):
        """Unpack, without the start of a module, which takes longer than most bundles."""
        super().run(tmp, task_vars)
        if self._task.check_mode:
            return {"changed": True, "files": []}
        return as_data(apart(lambda: answer_of(self._task.args)))
