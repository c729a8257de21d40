# SPDX-License-Identifier: Apache-2.0
"""Makes one table of what all hosts of the play answered, with a verdict for each.

Its documentation is in library/skbfleet_report.py.
"""
import json
import os

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_foreign import as_data
from ansible.module_utils.skbfleet_obstacles import obstacles
from ansible.module_utils.skbfleet_preflight import report
from ansible.module_utils.skbfleet_shapes import info_fits

NO_ANSWER = {"failed": True, "msg": "it gave no answer"}


def host_of(variables):
    """Return what a host answered, with what is in the way there; variables: its own, as they were registered."""
    contact = variables.get("__preflight_contact") or NO_ANSWER
    answer = variables.get("__preflight_answer") or NO_ANSWER
    if not info_fits(answer):
        answer = {key: answer[key] for key in ("failed", "lost", "msg", "module_stderr", "module_stdout")
                  if key in answer}
    return {"contact": contact, "answer": answer, "obstacles": obstacles(answer, contact)}


class ActionModule(ActionBase):
    """Returns text (lines) and ready (host -> whether)."""

    _requires_connection = False
    _VALID_ARGS = frozenset(["profiles", "required", "dest"])

    def run(self, tmp=None, task_vars=None):
        """Gather, judge, and write all answers down."""
        super().run(tmp, task_vars)
        arguments, raw = self._task.args, task_vars["hostvars"].raw_get
        hosts = {host: host_of(raw(host)) for host in task_vars["ansible_play_hosts_all"]}
        made = report(hosts, arguments["profiles"], arguments["required"])
        text = made["text"]
        if not self._task.check_mode:
            try:
                self._write(arguments["dest"], {"hosts": made["hosts"], "profiles": arguments["profiles"]})
                text = text + ["All answers are in %s." % arguments["dest"]]
            except OSError as error:
                text = text + ["The answers cannot be written to %s: %s" % (arguments["dest"], error.strerror)]
        return as_data({"changed": False, "text": "\n".join(text),
                        "ready": {host: one["ready"] for host, one in made["hosts"].items()}})

    @staticmethod
    def _write(path, content):
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
            json.dump(content, handle, indent=4, sort_keys=True)
            handle.write("\n")
        os.rename(path + ".new", path)
