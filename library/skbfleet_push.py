#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/capture/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_push
short_description: Copy the tracers to a host
description:
  - Makes the run's directory on the host and copies the packed tracers there.
  - Whatever the host answers is an answer, and only data; a lost connection is a failure with RV(lost).
author: The skbfleet authors
options:
  src:
    description: The tracers on the controller, C(.tar.gz).
    type: path
    required: true
  dest:
    description: The run's directory on the host.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Makes nothing and says whether it would.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Copy the tracers
  skbfleet_push:
    src: captures/ticket-4711/tools.tar.gz
    dest: /var/tmp/skbfleet/ticket-4711
  become: true
"""

RETURN = r"""
lost:
  description: Set if the connection broke.
  returned: failure
  type: bool
taken:
  description: Set if the run was begun there by someone else, whose it stays.
  returned: failure
  type: bool
"""
