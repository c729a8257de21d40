#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/capture/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_reach
short_description: Reach a host and compare its clock with the controller's
description:
  - Asks the host for the user id that Ansible logs in with, and for its clock, which is compared with the controller's.
  - Each question is timed on the controller, and the fastest of a few answers counts, so that a slow connection or a
    busy controller is not taken for a wrong clock.
  - The host needs neither Python nor privileges for this.
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
- name: Reach the host
  skbfleet_reach:
  register: contact
"""

RETURN = r"""
uid:
  description: The user id that Ansible logs in with.
  returned: success
  type: int
clock_difference_ns:
  description: The host's clock minus the controller's, in nanoseconds.
  returned: success
  type: int
lost:
  description: Set if the connection broke.
  returned: failure
  type: bool
clock_error_ns:
  description: How far from the truth that can be, in nanoseconds, half the time of the fastest answer.
  returned: success
  type: int
"""
