#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/capture/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_wait
short_description: Wait until a window is over
description:
  - Waits on the controller, once for all hosts, until a moment by its own clock. Where there is a terminal, Ctrl-C ends
    the wait, and nothing else; the play goes on.
  - Meanwhile it shows what the hosts have counted, on a terminal in lines that are refreshed, in a log a few times. It
    asks by M(skbfleet_look), from a process of its own; a host that does not answer costs its line.
author: The skbfleet authors
options:
  until_ns:
    description: The moment, in nanoseconds since 1970.
    type: int
    required: true
  what:
    description: What lasts until then, for the line that is shown.
    type: str
    required: true
  watch_from_ns:
    description:
      - When the window opens that is watched, in nanoseconds since 1970; 0 to watch none.
      - The hosts are those that were told the window, as the role capture has registered them.
    type: int
    default: 0
  interruptible:
    description: Whether Ctrl-C ends the wait alone; if not, it ends everything, as elsewhere in a playbook.
    type: bool
    default: true
attributes:
  check_mode:
    support: none
    description: It waits in any mode.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Wait for the end of the window
  skbfleet_wait:
    until_ns: 1763812800000000000
    what: The window lasts
"""

RETURN = r"""
early:
  description: Whether the user ended the wait.
  returned: always
  type: bool
"""
