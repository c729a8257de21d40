#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/case/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_write_case
short_description: Write a case file
description:
  - Runs on the controller alone. Takes what is given with C(-e) for a case, checks it as a capture would, says all that
    is wrong at once, and else writes C(case_file), with a comment for each variable.
  - A file that is there is left alone.
author: The skbfleet authors
options:
  roles:
    description: The directory of the roles, which declare the variables.
    type: path
    required: true
  tools:
    description: The directory of the tracers on the controller.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Checks everything and writes nothing.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Write the case
  skbfleet_write_case:
    roles: roles
    tools: bpftools
  register: written
"""

RETURN = r"""
path:
  description: The file, absolute.
  returned: success
  type: str
refusals:
  description: All that is wrong, a sentence each.
  returned: failure
  type: list
  elements: str
"""
