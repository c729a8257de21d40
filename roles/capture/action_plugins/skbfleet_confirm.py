# SPDX-License-Identifier: Apache-2.0
"""Asks a person at a terminal whether to go on; its documentation is in library/skbfleet_confirm.py."""
from ansible.errors import AnsiblePromptInterrupt, AnsiblePromptNoninteractive
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

YES = ("y", "yes")


class ActionModule(ActionBase):
    """Fails if a person says anything but yes; without a terminal nobody is asked."""

    BYPASS_HOST_LOOP = True
    _requires_connection = False
    _VALID_ARGS = frozenset(["what"])

    def run(self, tmp=None, task_vars=None):
        """Ask."""
        result = super().run(tmp, task_vars)
        asked, answer = True, ""
        try:
            said = Display().prompt_until("%s (yes/no) " % self._task.args["what"])
            answer = said.decode("utf-8", "replace").strip().lower()
        except AnsiblePromptNoninteractive:
            asked = False
        except AnsiblePromptInterrupt:
            pass
        result.update(changed=False, asked=asked, failed=asked and answer not in YES)
        if result["failed"]:
            result["msg"] = ("capture_yes is false and nobody said yes, so no host was touched: answer yes, or set "
                             "capture_yes=true")
        return result
