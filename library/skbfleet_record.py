#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/capture/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_record
short_description: Write down what became of a run on each host
description:
  - Writes C(outcome.json) to the run's directory on the controller, from what was registered for each host of the play.
  - Every host of the run is named there, whatever it answered, or that it did not.
author: The skbfleet authors
options:
  run_dir:
    description: The run's directory.
    type: path
    required: true
  run_id:
    description: Name of the run.
    type: str
    required: true
  command:
    description: The command that was run on the controller while the window was open.
    type: str
attributes:
  check_mode:
    support: full
    description: Writes nothing, and fails if something was in the way on a host.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Write down what became of each host
  skbfleet_record:
    run_dir: captures/ticket-4711
    run_id: ticket-4711
  run_once: true
"""

RETURN = r"""
outcome:
  description: What was written.
  returned: success
  type: dict
"""
