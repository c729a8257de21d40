#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/pair/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_pair
short_description: Check the pair_ variables before any host is touched
description:
  - Runs on the controller alone. Looks at all variables that begin with C(pair_), wherever they were set.
  - Refuses a variable that is not declared (and names the nearest that is), a value that cannot be used, and a template
    in a value given with C(-e), before it is evaluated.
  - Every refusal is one sentence that names the variable, its value and what is allowed.
author: The skbfleet authors
options:
  specification:
    description: The file C(meta/argument_specs.yml) that declares the variables.
    type: path
    required: true
  settings:
    description:
      - What M(skbfleet_validate) made of the C(capture_) variables. If given, source, destination and direction must be
        the pair's.
    type: dict
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Check the pair
  skbfleet_pair:
    specification: "{{ role_path }}/meta/argument_specs.yml"
  register: checked
"""

RETURN = r"""
pair:
  description: The ends C(src) and C(dst), each with C(address), C(host), C(mac), C(device), and whether to C(probe).
  returned: success
  type: dict
"""
