#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/capture/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_push
short_description: Bring the tracers to a host, unless something is in the way of a capture there
description:
  - Makes the run's directory on the host and brings the tracers there, which check the host, by M(skbfleet_capture)
    with C(state=prepared). Fails if anything is in the way of the run; then nothing of it is there.
  - Whatever the host answers is an answer, and only data; a lost connection is a failure with RV(lost).
author: The skbfleet authors
options:
  tools:
    description: The directory of the tracers on the controller.
    type: path
    required: true
  run_id:
    description: Name of the run.
    type: str
    required: true
  remote_dir:
    description: Directory of all runs on the host.
    type: path
    required: true
  python:
    description: Python interpreter for the tracers, with bcc.
    type: path
    required: true
  arguments:
    description: Words of the tracer's command line.
    type: list
    elements: str
    required: true
  timeout:
    description: Seconds that the check may take.
    type: float
    required: true
attributes:
  check_mode:
    support: full
    description: Checks the host, and leaves nothing there.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Bring the tracers there
  skbfleet_push:
    tools: bpftools
    run_id: ticket-4711
    remote_dir: /var/tmp/skbfleet
    python: /usr/bin/python3
    arguments: [--interface=vnet0]
    timeout: 60
  become: true
"""

RETURN = r"""
obstacles:
  description: What is in the way of the run, most important first, each with C(what) and C(do).
  returned: unless RV(lost) or RV(taken)
  type: list
  elements: dict
lost:
  description: Set if the connection broke.
  returned: failure
  type: bool
taken:
  description: Set if the run was begun there by someone else, whose it stays.
  returned: failure
  type: bool
"""
