# SPDX-License-Identifier: Apache-2.0
"""Brings a host into a state of skbfleet_capture with what was pushed there.

As a module it would take three times as long, most of it for files of Ansible's, which are compiled anew each time.
"""
import json
import os
import shlex

from ansible.module_utils.skbfleet_arguments import ARGUMENTS
from ansible.module_utils.skbfleet_tools import ENTRY

_MOST = 1 << 24    # characters of an answer; `absent` tells of each run that was there


def program(arguments, variables):
    """Return the words that run the pushed program on a host, [] if none was pushed; variables: of the task."""
    pushed, plan = (variables.get(name) for name in ("__capture_pushed", "__capture_plan"))
    if not isinstance(pushed, dict) or pushed.get("changed") is not True or pushed.get("failed"):
        return []
    python = plan["settings"]["tracer_python"]
    path = os.path.join(arguments["remote_dir"], arguments["run_id"], "tools", ENTRY)
    return [python, path] if python.startswith("/") else []


def call(action, words, arguments):
    """Return what the program on the host answers, {} if that is no answer, as when somebody removed it."""
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
    typed = ArgumentSpecValidator(ARGUMENTS).validate(arguments)
    if typed.error_messages:
        return {}
    words = [*words, json.dumps(typed.validated_parameters)]
    said = action._low_level_execute_command(" ".join(map(shlex.quote, words)))["stdout"]
    try:
        return json.loads(said[said.index("{"):]) if len(said) < _MOST else {}
    except (ValueError, RecursionError):
        return {}
