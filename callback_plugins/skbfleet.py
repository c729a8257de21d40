# SPDX-License-Identifier: Apache-2.0
"""What a person sees of a playbook: its phases, a line for each host, errors once, the verdict whole.

With -v everything is as Ansible shows it.
"""
DOCUMENTATION = r"""
name: skbfleet
type: stdout
short_description: Show phases, hosts and the verdict
description:
  - Shows what a person wants to know of a capture, each thing once. With C(-v) it is Ansible's own C(default).
extends_documentation_fragment:
  - default_callback
  - result_format_callback
"""

import os
from typing import Any

import ansible.module_utils
from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.utils.display import Display

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils import skbfleet_told as told


def _will_be_rescued(task: Any) -> bool:
    """Whether a failure of this task ends nothing: the block around it goes on without the host."""
    child, parent = task, task._parent
    while parent:
        if getattr(parent, "rescue", None):
            beyond = {one._uuid for one in [*parent.rescue, *parent.always]}
            return child._uuid not in beyond
        child, parent = parent, parent._parent
    return False


class Brief(CallbackBase):
    """Shows what a task came to when it has ended, so that what several hosts say alike is one line."""

    def __init__(self) -> None:
        super().__init__()
        self._said: list[tuple[str, str, str]] = []      # label, host or "", text

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Name the part of the work that begins."""
        self._flush()
        self._display.display("== %s" % told.clean(play.get_name()), constants.COLOR_HIGHLIGHT)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Say that there is nobody to do it."""
        self._display.display("no host matches", constants.COLOR_SKIP)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Show what the task before came to."""
        self._flush()

    v2_playbook_on_handler_task_start = v2_playbook_on_task_start

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Show what the last task came to."""
        self._flush()

    def v2_runner_on_ok(self, result: Any) -> None:
        """Say what this task has for a person."""
        self._handle_warnings(result._result)
        self._say(result, told.of_success(result._task.action, result._task.args, result._result))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Say why, unless it is told later with all the hosts that failed."""
        self._handle_warnings(result._result)
        if ignore_errors:
            return
        if _will_be_rescued(result._task):
            self._say(result, [(told.FAILED, "takes no further part; why is told at the end")])
        else:
            self._say(result, [(told.ERROR, text) for text in told.of_failure(result._result)])

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Say that the host cannot be reached."""
        if not result._task.ignore_unreachable:
            self._say(result, [(told.ERROR, "it cannot be reached: " + text)
                               for text in told.of_failure(result._result)])

    def _say(self, result: Any, lines: list[tuple[str, str]]) -> None:
        name = result._host.get_name()
        alone = result._task.run_once or name == "localhost"
        self._said += [(label, "" if alone else name, text) for label, text in lines]

    def _flush(self) -> None:
        groups: dict[tuple[str, str, int], list[str]] = {}
        for number, (label, host, text) in enumerate(self._said):
            groups.setdefault((label, text, 0 if host else number), []).append(host)
        self._said = []
        for (label, text, _number), hosts in groups.items():
            color = constants.COLOR_ERROR if label in (told.ERROR, told.FAILED) else None
            self._display.display(told.line(label, sorted(filter(None, hosts)), text), color)


Base: Any = Default if Display().verbosity else Brief


class CallbackModule(Base):
    """Brief, or with -v Ansible's own; its exit status says what a capture came to, which Ansible has no number for."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "skbfleet"

    def __init__(self) -> None:
        super().__init__()
        self._result = ""           # of the last merge
        self._refused = False

    def v2_runner_on_ok(self, result: Any) -> None:
        """Remember what a merge came to."""
        super().v2_runner_on_ok(result)
        if result._task.action.split(".")[-1] == "skbfleet_merge":
            self._result = str(result._result.get("result", ""))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Remember that a role, or a person, refused what was given: all that validate.yml and confirm.yml do comes
        before the first host is touched."""
        super().v2_runner_on_failed(result, ignore_errors)
        where = result._task.get_path().rpartition(":")[0]
        self._refused |= not ignore_errors and os.path.basename(where) in ("validate.yml", "confirm.yml")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """End with the status of what the capture came to; a failure that is no part of that keeps Ansible's."""
        super().v2_playbook_on_stats(stats)
        failed = bool(stats.failures or stats.dark)
        status = told.exit_status(self._result, failed, self._refused)
        if status:
            raise SystemExit(status)
