#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Asks one host what the tracers find there."""
DOCUMENTATION = r"""
---
module: skbfleet_info
short_description: Ask a host whether, and how well, packets can be traced there
description:
  - Looks at what skbfleet's tracers need on a host, and lets the tracers themselves check it and try it, compile, and
    attach every point for a moment, with a window that stays closed.
  - They are brought along in a temporary directory (0700), which is removed before the module returns. Nothing that
    the module does stays on the host.
  - A host that cannot be traced is an answer and no failure, see RV(error).
  - Whatever the host answers is an answer, and only data; a lost connection is a failure with RV(lost).
author: The skbfleet authors
options:
  tools:
    description: The tracers, C(bpftools/) as a C(.tar.gz) in base64, as the filter P(skbfleet_pack#filter) makes it.
    type: str
    required: true
  python:
    description: Python interpreter for the tracers, with bcc.
    type: path
    default: /usr/bin/python3
  arguments:
    description: Words of the tracer's command line, for example C(--netns=self) or C(--profile=full).
    type: list
    elements: str
    default: []
  remote_dir:
    description: Directory of all runs on the host, of which the disk and the runs are looked at.
    type: path
    default: /var/tmp/skbfleet
  timeout:
    description: Seconds that the check, and then the trial, may take.
    type: float
    default: 60
attributes:
  check_mode:
    support: full
    description: Does the same, for it changes nothing.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Ask what can be traced here
  skbfleet_info:
    tools: "{{ (playbook_dir ~ '/../bpftools') | skbfleet_pack }}"
    arguments: [--profile=full]
  become: true
  register: answer
"""

RETURN = r"""
obstacles:
  description: What is in the way of a capture, most important first, each with C(what) and C(do).
  returned: always
  type: list
  elements: dict
lost:
  description: Set if the connection broke.
  returned: failure
  type: bool
error:
  description: Why the tracers cannot be used here, one sentence; empty if they can.
  returned: success
  type: str
facts:
  description: What the host is.
  returned: success
  type: dict
  contains:
    kernel:
      description: Release of the running kernel.
      type: str
    machine:
      description: Type of the machine, for example x86_64.
      type: str
    btf:
      description: Whether the kernel describes its types.
      type: bool
    headers:
      description: Whether the kernel's headers are installed.
      type: bool
    free_bytes:
      description: Free space on the disk of O(remote_dir).
      type: int
    cpus:
      description: Number of CPUs.
      type: int
    load:
      description: Load average of the last minute.
      type: float
runs:
  description: Runs of skbfleet on this host, V(running), or V(ended), whose records wait to be collected.
  returned: success
  type: dict
trial:
  description:
    - What the tracer's C(--trial) says, C(attached) (point to hook), C(skipped) (point to reason), C(absent) (point to
      reason, where there is nothing to look at), C(profiles) (name to points that cannot be had), C(bcc), C(buffer),
      C(seconds), C(devices) with their roles, C(clock), C(netns).
    - Empty if there is an RV(error).
  returned: success
  type: dict
"""

import tarfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.skbfleet_examine import ask, facts, runs
from ansible.module_utils.skbfleet_rundir import RunError

ARGUMENTS = {
    "tools": {"type": "str", "required": True, "no_log": True},  # no secret, but nothing that a log should hold
    "python": {"type": "path", "default": "/usr/bin/python3"},
    "arguments": {"type": "list", "elements": "str", "default": []},
    "remote_dir": {"type": "path", "default": "/var/tmp/skbfleet"},
    "timeout": {"type": "float", "default": 60},
}


def main():
    """Look, ask, and tell."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    result = {"changed": False, "error": "", "runs": {}, "trial": {}}
    try:
        result["facts"] = facts(params["remote_dir"])
        result["runs"] = runs(params["remote_dir"])
        result["error"], result["trial"] = ask(params)
    except RunError as error:
        result["error"] = str(error)
    except tarfile.TarError as error:
        module.fail_json(msg="tools cannot be unpacked: %s" % error)
    except OSError as error:
        result["error"] = "%s: %s" % (error.filename or "the tracers cannot be tried", error.strerror or error)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
