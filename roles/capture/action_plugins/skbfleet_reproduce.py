# SPDX-License-Identifier: Apache-2.0
"""Runs a command while a window is open, and shows what the hosts have counted meanwhile.

Its documentation is in library/skbfleet_reproduce.py.
"""
import os
import threading
import time

import ansible.module_utils
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_watch import Watch


def tell(watch, over):
    """Show what is for a log, until it is over."""
    for moment in watch.moments():
        if over.wait(max(0.0, moment - time.time())):
            return
        for text in watch.said():
            Display().display(text)


class ActionModule(ActionBase):
    """Returns what the module command returns."""

    _VALID_ARGS = frozenset(["command", "chdir", "until_ns", "watch_from_ns"])

    def run(self, tmp=None, task_vars=None):
        """Run it, and watch the hosts until it ends."""
        super().run(tmp, task_vars)
        given, over = self._task.args, threading.Event()
        with Watch(self, task_vars, int(given["watch_from_ns"]) / 1e9, int(given["until_ns"]) / 1e9) as watch:
            teller = threading.Thread(target=tell, args=(watch, over))
            teller.start()
            try:
                return self._execute_module(
                    module_name="ansible.builtin.command", task_vars=task_vars,
                    module_args={"argv": ["/bin/sh", "-c", given["command"]], "chdir": given["chdir"]})
            finally:
                over.set()
                teller.join()
