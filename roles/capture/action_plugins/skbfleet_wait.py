# SPDX-License-Identifier: Apache-2.0
"""Waits on the controller until a window is over, or until Ctrl-C; its documentation is in library/skbfleet_wait.py."""
import os
import time

import ansible.module_utils
from ansible.errors import AnsiblePromptInterrupt, AnsiblePromptNoninteractive
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_watch import Watch

CTRL_C = (b"\x03",)


def clock(seconds):
    """Return a moment as a watch on the wall shows it."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


class ActionModule(ActionBase):
    """Returns whether the user ended the wait."""

    BYPASS_HOST_LOOP = True
    _requires_connection = False
    _VALID_ARGS = frozenset(["until_ns", "what", "interruptible", "watch_from_ns"])

    def run(self, tmp=None, task_vars=None):
        """Wait; on a terminal Ctrl-C ends it, if it may. Later ones are Ansible's again, and end everything."""
        result = super().run(tmp, task_vars)
        end, watch_from = (int(self._task.args.get(name) or 0) / 1e9 for name in ("until_ns", "watch_from_ns"))
        words = "%s until %s, %d s from now" % (self._task.args["what"], clock(end), max(1, round(end - time.time())))
        hint, self._keys = "; Ctrl-C ends it early", boolean(self._task.args.get("interruptible", True))
        with Watch(self, task_vars, watch_from, end) as watch:
            for moment in [*watch.moments(), end]:
                early = self._pause(words, hint, moment)
                if early:
                    break
                words, hint = "\n".join(watch.said()) or "The window is still open", ""
        result.update(changed=False, early=early)
        return result

    def _pause(self, words, hint, end):
        """Show words, with a hint for those who have a keyboard; wait, and return whether Ctrl-C ended that."""
        display = Display()
        try:
            if self._keys:
                display.prompt_until(words + hint, private=True, seconds=max(0.0, end - time.time()),
                                     interrupt_input=CTRL_C, complete_input=())
        except AnsiblePromptInterrupt:
            return True
        except AnsiblePromptNoninteractive:
            self._keys = False    # nobody is asked again: if Ansible's main process has died, there is no answer
        if not self._keys:
            display.display(words)
        time.sleep(max(0.0, end - time.time()))
        return False
