#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/capture/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_reproduce
short_description: Run a command while a window is open
description:
  - Runs a shell command where the task is delegated to, and shows meanwhile what the hosts have counted, as
    M(skbfleet_wait) does.
author: The skbfleet authors
options:
  command:
    description: The command.
    type: str
    required: true
  chdir:
    description: The directory in which it runs.
    type: path
    required: true
  until_ns:
    description: When the window closes, in nanoseconds since 1970.
    type: int
    required: true
  watch_from_ns:
    description: When it opens, or 0 to show nothing.
    type: int
    required: true
attributes:
  check_mode:
    support: none
    description: The command would run.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Run it on the controller
  skbfleet_reproduce:
    command: curl --max-time 5 https://203.0.113.20/
    chdir: /tmp
    until_ns: 1763812800000000000
    watch_from_ns: 1763812740000000000
  delegate_to: localhost
"""

RETURN = r"""
rc:
  description: The command's exit status.
  returned: always
  type: int
stdout:
  description: What it said.
  returned: always
  type: str
stderr:
  description: What it said of errors.
  returned: always
  type: str
"""
