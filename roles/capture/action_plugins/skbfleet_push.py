# SPDX-License-Identifier: Apache-2.0
"""Makes the run's directory on the host and copies the tracers there.

Its documentation is in library/skbfleet_push.py.
"""
import os

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_contact import answer_of, ask


class ActionModule(ActionBase):
    """Returns whether anything was changed, or why not."""

    _VALID_ARGS = frozenset(["src", "dest"])

    def run(self, tmp=None, task_vars=None):
        """Make the directory, then copy the archive into it."""
        super().run(tmp, task_vars)
        archive, directory = self._task.args["src"], self._task.args["dest"]
        base, run_id = os.path.split(directory)
        made = ask(self, task_vars, "skbfleet_capture", {"state": "prepared", "run_id": run_id, "remote_dir": base})
        if made.get("failed") or self._task.check_mode:
            return made
        return answer_of(lambda: self._copy(archive, os.path.join(directory, "tools.tar.gz"), task_vars),
                         self._connection)

    def _copy(self, source, target, task_vars):
        task = self._task.copy()
        task.args = {"src": source, "dest": target, "mode": "0600"}
        action = self._shared_loader_obj.action_loader.get(
            "ansible.legacy.copy", task=task, connection=self._connection, play_context=self._play_context,
            loader=self._loader, templar=self._templar, shared_loader_obj=self._shared_loader_obj)
        done = action.run(task_vars=task_vars)
        return {key: done[key] for key in ("changed", "failed", "msg", "module_stderr", "module_stdout") if key in done}
