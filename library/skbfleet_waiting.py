#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/capture/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_waiting
short_description: Say which records on the hosts would be lost
description:
  - Takes what M(skbfleet_capture) answered on every host of the play to C(state=absent) in check mode, and leaves out
    what is on this controller.
author: The skbfleet authors
options:
  output_dir:
    description: The directory of all runs on the controller.
    type: path
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
- name: Say what would be lost
  skbfleet_waiting:
    output_dir: captures
  run_once: true
  register: waiting
"""

RETURN = r"""
text:
  description: A line for each run on each host.
  returned: success
  type: list
  elements: str
refusal:
  description: Why nothing should be removed, and what to do, one sentence; empty if nothing would be lost.
  returned: success
  type: str
"""
