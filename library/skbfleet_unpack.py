#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Unpacks a fetched bundle on the controller."""
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
  delegate_to: localhost
"""

RETURN = r"""
files:
  description: The files that were unpacked, relative to O(dest).
  returned: success
  type: list
  elements: str
"""

import os
import shutil
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.skbfleet_bundle import check_origin, unpack
from ansible.module_utils.skbfleet_rundir import RunError

ARGUMENTS = {
    "src": {"type": "path", "required": True},
    "sha256": {"type": "str", "required": True},
    "dest": {"type": "path", "required": True},
    "host": {"type": "str", "required": True},
    "run_id": {"type": "str", "required": True},
    "most": {"type": "int", "required": True},
}


def unpack_whole(params):
    """Unpack beside the bundle, check, and only then put the files where they belong."""
    source, target = params["src"], params["dest"]
    directory = tempfile.mkdtemp(dir=os.path.dirname(os.path.abspath(source)), prefix=".unpack-")
    try:
        files = unpack(source, params["sha256"], directory, params["most"])
        check_origin(directory, params["host"], params["run_id"])
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        os.rename(directory, target)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.unlink(source)
    return files


def main():
    """Unpack, and say in one sentence what is wrong with a bundle that cannot be."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if module.check_mode:
        module.exit_json(changed=True, files=[])
    os.umask(0o077)
    try:
        files = unpack_whole(module.params)
    except RunError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg="%s: %s" % (error.filename or module.params["src"], error.strerror or error))
    module.exit_json(changed=True, files=files)


if __name__ == "__main__":
    main()
