# SPDX-License-Identifier: Apache-2.0
"""One way to ask a host something, for action plugins: whatever comes back is an answer, and only data.

A connection that breaks would take the host out of the play without a word, and some versions of Ansible evaluate
templates in the words of a connection's error. Here it becomes an ordinary failure with `lost` set.
"""
import re
import time

from ansible.module_utils.skbfleet_foreign import Unfit, as_data, inert, shown

# what a module may not decide: variables, the inventory, and what is printed beside its answer
_NOT_AN_ANSWER = ("ansible_facts", "add_host", "add_group", "ansible_stats", "invocation", "warnings", "deprecations",
                  "exception", "diff", "unreachable", "skipped", "results", "ansible_job_id")
_INTERPRETER = re.compile(r"/[\w./+-]{1,200}")
_PAUSE_S = 1.0  # between attempts to reach a host that was lost


def ask(action, task_vars, name, arguments, patience=0.0):
    """Return a module's answer; a host that is lost is tried again for `patience` seconds."""
    return answer_of(lambda: action._execute_module(module_name=name, module_args=arguments, task_vars=task_vars),
                     action._connection, patience)


def answer_of(call, connection, patience=0.0):
    """Return what a call to a host came to, as data."""
    from ansible.errors import AnsibleConnectionFailure, AnsibleError
    deadline = time.monotonic() + patience
    while True:
        try:
            return as_data(_clean(call()))
        except AnsibleConnectionFailure as error:
            if time.monotonic() >= deadline:
                return as_data({"failed": True, "lost": True, "msg": shown(error)})
            _forget(connection)
        except (AnsibleError, Unfit, ValueError, KeyError, TypeError, RecursionError) as error:
            return as_data({"failed": True, "msg": shown(error)})


def _forget(connection):
    """Close what is left of a broken connection, and give the network a moment."""
    try:
        connection.reset()
    except Exception:  # of any plugin, for any reason: the next attempt will tell
        pass
    time.sleep(_PAUSE_S)


def _clean(answer):
    facts = answer.get("ansible_facts")
    python = facts.get("discovered_interpreter_python") if isinstance(facts, dict) else None
    clean = inert({key: value for key, value in answer.items()
                   if key not in _NOT_AN_ANSWER and not str(key).startswith("_")})
    if isinstance(python, str) and _INTERPRETER.fullmatch(python):
        clean["ansible_facts"] = {"discovered_interpreter_python": python}  # or it is looked for with every task
    return clean
