#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/merge/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_failures
short_description: Say which hosts of a run failed
description:
  - Reads C(outcome.json) in the run's directory on the controller, as data, and fails with one sentence if a
    host failed.
author: The skbfleet authors
options:
  run_dir:
    description: The run's directory.
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
- name: Fail if a host failed
  skbfleet_failures:
    run_dir: captures/ticket-4711
"""

RETURN = r"""
msg:
  description: Which hosts failed, and why.
  returned: always
  type: str
"""
