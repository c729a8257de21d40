# SPDX-License-Identifier: Apache-2.0
"""Waits on the controller until a window is over, or until Ctrl-C; its documentation is in library/skbfleet_wait.py."""
import time

from ansible.errors import AnsiblePromptInterrupt, AnsiblePromptNoninteractive
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

CTRL_C = (b"\x03",)


def clock(seconds):
    """Return a moment as a watch on the wall shows it."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


class ActionModule(ActionBase):
    """Returns whether the user ended the wait."""

    BYPASS_HOST_LOOP = True
    _requires_connection = False
    _VALID_ARGS = frozenset(["until_ns", "what", "interruptible"])

    def run(self, tmp=None, task_vars=None):
        """Wait; on a terminal Ctrl-C ends it, if it may. Later ones are Ansible's again, and end everything."""
        result = super().run(tmp, task_vars)
        end = int(self._task.args["until_ns"]) / 1e9
        left = max(1, round(end - time.time()))
        words = "%s until %s, %d s from now" % (self._task.args["what"], clock(end), left)
        display, early = Display(), False
        try:
            if not boolean(self._task.args.get("interruptible", True)):
                raise AnsiblePromptNoninteractive
            display.prompt_until(words + "; Ctrl-C ends it early", private=True, seconds=left,
                                 interrupt_input=CTRL_C, complete_input=())
        except AnsiblePromptInterrupt:
            early = True
        except AnsiblePromptNoninteractive:
            display.display(words)
        time.sleep(0 if early else max(0.0, end - time.time()))
        result.update(changed=False, early=early)
        return result
