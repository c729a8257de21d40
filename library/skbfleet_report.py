#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/preflight/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_report
short_description: Make one table of what all hosts answered
description:
  - Takes what M(skbfleet_reach) and M(skbfleet_info) answered on every host of the play, as it is, and judges it.
  - Writes all answers to a file on the controller.
author: The skbfleet authors
options:
  profiles:
    description: Profile to its points.
    type: dict
    required: true
  required:
    description: The profiles of which every point must be there.
    type: list
    elements: str
    required: true
  dest:
    description: The file on the controller, made 0600.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Writes no file.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Make the table
  skbfleet_report:
    profiles: {nic: [dev.rx, dev.tx]}
    required: [nic]
    dest: captures/preflight.json
  run_once: true
  register: report
"""

RETURN = r"""
text:
  description: The table.
  returned: success
  type: str
ready:
  description: Host to whether it is ready.
  returned: success
  type: dict
"""
