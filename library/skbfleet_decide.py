#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/pair/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_decide
short_description: Decide which hosts carry a pair
description:
  - Takes what M(skbfleet_locate) answered on every host of the play, as it is, and decides; fails with one sentence if
    that is not clear.
author: The skbfleet authors
options:
  pair:
    description: The two ends, as M(skbfleet_pair) returns them.
    type: dict
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
- name: Decide which hosts carry the pair
  skbfleet_decide:
    pair: "{{ checked.pair }}"
  run_once: true
  register: decision
"""

RETURN = r"""
hosts:
  description: The hosts that carry the pair.
  returned: always
  type: list
  elements: str
topology:
  description: What the verdict needs to know of these hosts.
  returned: success
  type: dict
text:
  description: Where each end is, in words.
  returned: success
  type: list
  elements: str
"""
