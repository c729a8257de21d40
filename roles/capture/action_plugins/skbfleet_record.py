# SPDX-License-Identifier: Apache-2.0
"""Writes down what became of a run on each host.

Its documentation is in library/skbfleet_record.py.
"""
import json
import os

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_foreign import Unfit, as_data, shown
from ansible.module_utils.skbfleet_outcome import LOST, failures, of_host, read_case, read_outcome, read_run

STEPS = {"contact": "__capture_contact", "pushed": "__capture_pushed", "armed": "__capture_armed",
         "load": "__capture_load", "ended": "__capture_ended", "unpacked": "__capture_unpacked",
         "removed": "__capture_removed", "failure": "__capture_failure", "recalled": "__capture_known"}


def known_of(variables):
    """Return what was registered for a host, by step, as it is: nothing is evaluated."""
    return {step: variables[name] for step, name in STEPS.items()
            if isinstance(variables.get(name), dict) and not variables[name].get("skipped")}


def failure_for_all(everyone):
    """Return the failure of a step for all hosts; some versions of Ansible let one host alone tell of it."""
    found = [known["failure"]["why"] for known in everyone.values() if known.get("failure", {}).get("for_all")]
    return {"failure": {"why": "a step for all hosts failed: " + str(found[0])}} if found else {}


def write(path, content):
    """Write a JSON file as a whole, 0600."""
    with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        json.dump(content, handle, indent=4, sort_keys=True)
        handle.write("\n")
    os.rename(path + ".new", path)


class ActionModule(ActionBase):
    """Returns the outcome of the run."""

    _requires_connection = False
    _VALID_ARGS = frozenset(["run_dir", "run_id", "command"])

    def run(self, tmp=None, task_vars=None):
        """Gather what every host came to, and write it."""
        super().run(tmp, task_vars)
        directory = self._task.args["run_dir"]
        try:
            outcome = self._outcome(task_vars)
            if self._task.check_mode:
                return as_data(self._would(task_vars, outcome))
            if not os.path.isdir(directory):  # nobody began this run, and no host has anything of it
                return as_data({"failed": True, "msg": failures(outcome)})
            write(os.path.join(directory, "outcome.json"), outcome)
        except Unfit as error:
            return as_data({"failed": True, "msg": shown(error)})
        except OSError as error:
            return as_data({"failed": True, "msg": "outcome.json cannot be written: %s" % (error.strerror or error)})
        return as_data({"changed": True, "outcome": outcome})

    def _outcome(self, task_vars):
        directory = self._task.args["run_dir"]
        recorded, before = read_run(directory), read_outcome(directory)
        hosts = {host: before["hosts"].get(host, LOST) for host in recorded or task_vars["ansible_play_hosts_all"]}
        hosts.update(before["hosts"])
        everyone = {host: known_of(task_vars["hostvars"].raw_get(host)) for host in task_vars["ansible_play_hosts_all"]}
        for host, known in everyone.items():
            if "failure" not in known and "unpacked" not in known:
                known.update(failure_for_all(everyone))
            if set(known) - {"recalled"} and hosts.get(host, {}).get("status") == "missing":
                hosts[host] = of_host(known, recorded.get(host, {}).get("tracers", ()))
        return {"run_id": self._task.args["run_id"], "hosts": hosts, "case": read_case(directory),
                "reproduce": self._reproduce(task_vars) or before["reproduce"]}

    @staticmethod
    def _would(task_vars, outcome):
        """Return what check mode came to: a host fails if something was in its way."""
        raw = task_vars["hostvars"].raw_get
        failed = {host: one for host, one in outcome["hosts"].items()
                  if host in task_vars["ansible_play_hosts_all"] and "failure" in known_of(raw(host))}
        said = failures({"hosts": failed})
        return {"changed": True, "failed": bool(said), "msg": said}

    def _reproduce(self, task_vars):
        command = task_vars.get("__capture_command")
        if not isinstance(command, dict) or not isinstance(command.get("rc"), int):
            return {}
        return {"command": self._task.args["command"], "exit_status": command["rc"]}
