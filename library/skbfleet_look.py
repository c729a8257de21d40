#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/capture/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_look
short_description: Ask a host what its tracers have counted so far
description:
  - M(skbfleet_wait) makes it ready for each host and asks with it, again and again, over the same connection. As a
    task it does nothing.
  - The host runs C(date) and C(cat) for it, and no Python.
author: The skbfleet authors
options:
  directories:
    description: The directories of the host's tracers, of which each has a C(status.json).
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Wait, and ask meanwhile
  skbfleet_wait:
    until_ns: 1763812800000000000
    watch_from_ns: 1763812740000000000
    what: The window lasts
"""

RETURN = r"""
"""
