#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/capture/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_unpack
short_description: Check and unpack a bundle that was fetched from a host
description:
  - Compares the bundle's SHA-256 with what the host said, and unpacks it.
  - Refuses anything but regular files with the names that a bundle has, so that a host cannot write elsewhere on the
    controller, and more bytes than O(most).
  - Refuses a manifest that speaks for another host, tracer or run. What is refused leaves no files.
  - Runs on the controller.
author: The skbfleet authors
options:
  src:
    description: The fetched bundle. It is removed in any case.
    type: path
    required: true
  sha256:
    description: Its hexadecimal SHA-256, as M(skbfleet_capture) returned it.
    type: str
    required: true
  dest:
    description: Directory for the bundle's files, made if needed (0700; the files are 0600).
    type: path
    required: true
  host:
    description: The host that the bundle was fetched from, as its manifest has to name it.
    type: str
    required: true
  run_id:
    description: The run, as the manifest has to name it.
    type: str
    required: true
  most:
    description: Bytes that the bundle's files may take.
    type: int
    required: true
attributes:
  check_mode:
    support: full
    description: Does nothing and says that it would.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Unpack what the host handed over
  skbfleet_unpack:
    src: "captures/ticket-4711/hv-a.tar.gz"
    sha256: "{{ outcome.bundle.sha256 }}"
    dest: "captures/ticket-4711/hosts/hv-a"
    host: hv-a
    run_id: ticket-4711
    most: 2147483648
"""

RETURN = r"""
files:
  description: The files that were unpacked, relative to O(dest).
  returned: success
  type: list
  elements: str
"""
