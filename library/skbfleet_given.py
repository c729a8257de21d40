#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/merge/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_given
short_description: Check what was given for a merge
description:
  - Runs on the controller alone. Refuses a variable given with C(-e) that looks like one of skbfleet's and is none, and
    a run's directory that is not there, in one sentence that names the variable, its value and what is allowed.
author: The skbfleet authors
options:
  roles:
    description: The directory of the roles, which declare the variables.
    type: path
    required: true
  made:
    description: The run's directory if a capture has just made it; C(merge_run_dir), given with C(-e), otherwise.
    type: path
  variable:
    description: The variable that names the run's directory.
    type: str
    default: merge_run_dir
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Check what was given
  skbfleet_given:
    roles: roles
  register: given
"""

RETURN = r"""
run_dir:
  description: The run's directory, absolute.
  returned: success
  type: str
next:
  description: What the run's case says is to be done with the result, in lines; empty if it says nothing.
  returned: success
  type: list
  elements: str
"""
