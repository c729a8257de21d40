#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/capture/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_failure
short_description: Keep why a host left the run
description:
  - For a C(rescue), runs on the controller. Takes the failed task's words as they are, without evaluating them.
  - Where a step that is done once for all hosts failed, each host gets the reason.
author: The skbfleet authors
options: {}
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Keep what went wrong on this host
  skbfleet_failure:
  register: failure
"""

RETURN = r"""
for_all:
  description: Whether the step that failed here is done once for all hosts, so that all failed with it.
  returned: success
  type: bool
why:
  description: The reason, one sentence.
  returned: success
  type: str
"""
