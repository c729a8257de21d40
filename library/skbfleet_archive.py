#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Packs a run into one file to send, on the controller."""
DOCUMENTATION = r"""
---
module: skbfleet_archive
short_description: Pack a run into one file to send
description:
  - Runs skbfleet's merger, C(bpftools/merge_captures.py --archive), on the controller.
  - Makes C(RUN.tar.zst) beside the run's directory, for its owner alone. An archive that is there is replaced.
author: The skbfleet authors
options:
  run_dir:
    description: The run's directory, with C(hosts/NAME/TRACER/) below it.
    type: path
    required: true
  command:
    description: The merger.
    type: path
    required: true
  python:
    description: The interpreter that has numpy, pyarrow and duckdb; that of this module if not given.
    type: path
  pseudonymise:
    description:
      - Pack it under other names, into C(RUN-pseudonymised.tar.zst); this is the file with the key to them, made if
        needed.
    type: path
attributes:
  check_mode:
    support: full
    description: Does nothing and says that it would.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Pack a run
  skbfleet_archive:
    run_dir: captures/20261122T113800Z
    command: bpftools/merge_captures.py
"""

RETURN = r"""
path:
  description: The archive.
  returned: success, not in check mode
  type: str
msg:
  description: What was done, or why it could not be done.
  returned: always
  type: str
"""

import sys

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.skbfleet_merger import why_failed

ARGUMENTS = {
    "run_dir": {"type": "path", "required": True},
    "command": {"type": "path", "required": True},
    "python": {"type": "path"},
    "pseudonymise": {"type": "path"},
}


def command_line(params):
    """Return the words that run the merger."""
    words = [params["python"] or sys.executable, params["command"], "--archive"]
    if params["pseudonymise"]:
        words += ["--pseudonymise", params["pseudonymise"]]
    return words + ["--", params["run_dir"]]


def main():
    """Run the merger and hand on what it says."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if module.check_mode:
        module.exit_json(changed=True, msg="would pack %s" % module.params["run_dir"])
    status, stdout, stderr = module.run_command(command_line(module.params))
    if status:
        module.fail_json(msg=why_failed(status, stderr))
    path = stdout.strip()
    module.exit_json(changed=True, path=path, msg="packed into %s" % path)


if __name__ == "__main__":
    main()
