#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/capture/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_fetch
short_description: Bring a file home from a host, up to a size
description:
  - Fetches a file as the user who logs in. Nothing that the host says has a part in where it is written.
  - A host that sends more than O(most) is cut off, and its file removed.
author: The skbfleet authors
options:
  src:
    description: The file on the host.
    type: path
    required: true
  dest:
    description: The file on the controller, made 0600.
    type: path
    required: true
  most:
    description: Bytes that it may have.
    type: int
    required: true
attributes:
  check_mode:
    support: full
    description: Is not meant for check mode.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Bring the bundle home
  skbfleet_fetch:
    src: /var/tmp/skbfleet/ticket-4711/bundle/bundle.tar.gz
    dest: captures/ticket-4711/hv-a.tar.gz
    most: 2147483648
"""

RETURN = r"""
bytes:
  description: How many bytes came.
  returned: success
  type: int
lost:
  description: Set if the connection broke.
  returned: failure
  type: bool
"""
