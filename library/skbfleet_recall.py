#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/capture/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_recall
short_description: Read what a run was and what became of it so far
description:
  - Reads C(run.json) and C(outcome.json) in the run's directory on the controller, as data. Neither has to be there.
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
- name: Look up what the run was
  skbfleet_recall:
    run_dir: captures/ticket-4711
  register: known
"""

RETURN = r"""
recorded:
  description: Host to C(remote_dir) and C(tracers); empty if another controller began the run.
  returned: success
  type: dict
before:
  description: C(hosts) and C(reproduce) of the outcome; both are empty if nothing was written.
  returned: success
  type: dict
"""
