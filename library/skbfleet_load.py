#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/capture/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_load
short_description: Stop a capture before its window opens if a host would record too much
description:
  - Looks at what the tracers counted before they were armed (M(skbfleet_capture), C(measure)), on the controller.
  - If a tracer on one host would make more records a second than C(capture_max_load), the task fails on every host,
    unless C(capture_accept_load) is set.
author: The skbfleet authors
options: {}
attributes:
  check_mode:
    support: none
    description: In check mode nothing is armed, and nothing can be measured.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Look at what the hosts would record
  skbfleet_load:
"""

RETURN = r"""
words:
  description: On the host that would record most, how much that is; empty on the others.
  returned: always
  type: str
"""
