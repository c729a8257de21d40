#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/compare/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_runs
short_description: Find two merged runs
description:
  - Runs on the controller alone. Reads C(compare_runs) from C(-e). Refuses a variable given with C(-e) that looks like
    one of skbfleet's and is none, and a run that is not there or was not merged, in one sentence that names the
    variable, its value and what is allowed.
author: The skbfleet authors
options:
  roles:
    description: The directory of the roles, which declare the variables.
    type: path
    required: true
  output_dir:
    description: The directory that has the runs.
    type: path
    required: true
  report:
    description: Whether their comparison is to be written, C(compare_report); anything but true or false is refused.
    type: raw
    default: true
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Look for the runs
  skbfleet_runs:
    roles: roles
    output_dir: captures
  register: found
"""

RETURN = r"""
runs:
  description: The directories of both runs, absolute, in the order given.
  returned: success
  type: list
  elements: str
report:
  description: Where their comparison goes, beside the second one's report; empty if it is not to be written.
  returned: success
  type: str
"""
