#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/capture/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_fetch
short_description: Bring a bundle home from a host, check and unpack it
description:
  - Fetches the bundle as the user who logs in. Nothing that the host says has a part in where it is written.
  - A host that sends more than O(most) is cut off.
  - Compares the bundle's SHA-256 with what the host said, and unpacks it.
  - Refuses anything but regular files with the names that a bundle has, so that a host cannot write elsewhere on the
    controller, and more bytes than O(most).
  - Refuses a manifest that speaks for another host, tracer or run. What is refused leaves no files.
author: The skbfleet authors
options:
  src:
    description: The bundle on the host.
    type: path
    required: true
  sha256:
    description: Its hexadecimal SHA-256, as M(skbfleet_capture) returned it.
    type: str
    required: true
  archive:
    description: The file on the controller that it is brought to, made 0600. It is removed in any case.
    type: path
    required: true
  dest:
    description: Directory for the bundle's files, made if needed (0700; the files are 0600).
    type: path
    required: true
  host:
    description: The host that the bundle is fetched from, as its manifest has to name it.
    type: str
    required: true
  run_id:
    description: The run, as the manifest has to name it.
    type: str
    required: true
  most:
    description: Bytes that the bundle, and that its files, may take.
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
    sha256: "{{ outcome.bundle.sha256 }}"
    archive: captures/ticket-4711/hv-a.tar.gz
    dest: captures/ticket-4711/hosts/hv-a
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
lost:
  description: Set if the connection broke.
  returned: failure
  type: bool
"""
