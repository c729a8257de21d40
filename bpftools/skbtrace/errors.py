# SPDX-License-Identifier: Apache-2.0
"""What a person is told when something cannot be done: one sentence, never a traceback."""
import os


class InputError(ValueError):
    """Something that the user gave is wrong; the message names it, its value and what is allowed (exit status 2)."""


class TracerError(RuntimeError):
    """The host cannot do what was asked; the message says why and what would help (exit status 1)."""


# how the caller speaks of options that are not simply the option's name with another prefix
_VARIABLES = {"both-directions": "bidirectional", "interface": "interfaces", "point": "points",
              "exclude-point": "excluded_points", "require-point": "required_points",
              "field": "fields", "stack": "stacks"}


def option(name: str) -> str:
    """Return what the caller calls this option: `--src`, or `capture_src` where Ansible runs the tracer.

    The environment variable SKBTRACE_NAMES holds the prefix of the caller's variables.
    """
    prefix = os.environ.get("SKBTRACE_NAMES")
    if not prefix:
        return "--" + name
    return prefix + _VARIABLES.get(name, name).replace("-", "_")
