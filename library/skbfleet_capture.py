#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Runs the tracers on one host through the four states of a capture."""
DOCUMENTATION = r"""
---
module: skbfleet_capture
short_description: Arm, start, finish and remove packet tracers on a host
description:
  - Runs skbfleet's tracers on a host, detached from the connection, and speaks with them through files in the
    directory of the run.
  - Everything in O(remote_dir) must belong to root alone, and nobody else may be able to exchange a directory above it;
    else nothing is read, written or removed there.
  - The tracers end by themselves when their window is over, whatever becomes of the controller or the network.
  - Whatever the host answers is an answer, and only data; a lost connection is a failure with RV(lost).
  - Where M(skbfleet_push) brought the tracers in the same play, the action plugin of the same name has that which came
    with them do the same, which is faster.
  - The module needs neither bcc nor a kernel feature itself; O(python) is the interpreter that has bcc.
author: The skbfleet authors
options:
  state:
    description:
      - V(prepared) makes the directory of the run, brings the tracers there, and lets them check the host, which takes
        less than a second and loads nothing. It is whether they can be started with these O(arguments), privileges,
        bcc, kernel types, devices, disk. Where something is in the way, nothing stays, and it is told in RV(error) or
        RV(runs). Fails with RV(taken) if the directory is there.
      - V(armed) starts the tracers; their programs are loaded and attached, and their window is closed. Returns when
        all are armed or have failed; fails if none is armed.
      - V(started) tells the tracers when their window is and returns at once, before it opens.
      - V(finished) waits until the tracers have ended, and packs what they recorded for the user who fetches it. Fails
        only if there is no such run or the bundle cannot be written; how the tracers fared is in RV(status).
      - V(absent) ends the tracers and removes everything of the run.
    type: str
    choices: [prepared, armed, started, finished, absent]
    required: true
  run_id:
    description: Name of the run. For O(state=absent) it may be left out, which means all runs.
    type: str
  remote_dir:
    description: Directory of all runs on the host. Its last part has to be C(skbfleet).
    type: path
    default: /var/tmp/skbfleet
  tools:
    description:
      - The tracers, C(bpftools/) as a C(.tar.gz) in base64, as the filter P(skbfleet_pack#filter) makes it. Required
        for O(state=prepared).
    type: str
  arguments:
    description: Words of a tracer's command line, for example C(--netns=self), for O(state=prepared).
    type: list
    elements: str
    default: []
  tracers:
    description:
      - The tracers to arm, C(drop_monitor) and C(datapath_tracing), each with the list of the words of its command line
        that say what to record. Required for O(state=armed).
    type: dict
  python:
    description: Python interpreter for the tracers, with bcc.
    type: path
    default: /usr/bin/python3
  host:
    description: Name of the host in the bundle; the inventory's name. Required for O(state=armed).
    type: str
  evidence:
    description:
      - Whether the tracers also read what of the host's configuration can drop packets, before the window and after
        it, ask Open vSwitch what it would do with packets that were recorded, and look in between at those who take
        packets from taps and UDP sockets. Used by O(state=armed).
    type: bool
    default: false
  wait_window:
    description: Seconds that an armed tracer waits for its window before it gives up.
    type: float
    default: 600
  measure:
    description:
      - For so many seconds a tracer counts, before it is armed, how much it would record. 0 leaves that out.
    type: float
    default: 0
  unit:
    description:
      - Whether O(state=armed) starts each tracer as a transient unit of systemd, C(skbfleet-RUN-TRACER.service), where
        systemd runs. The unit has the limits below; it can send nothing over IP, write nothing but its own files and to
        C(/run), and has only the capabilities that it uses. A systemd that is too old for some of that leaves it out.
      - Where there is none, the tracer is a process by itself, with a lower priority, and those of the limits that a
        process can have. RV(units) says what it is.
      - Either way the kernel ends it before anything else when the host has no memory left.
    type: bool
    default: true
  max_cpu:
    description:
      - How much of the CPUs each tracer may take, in percent of one. A unit is slowed down to that; a process by itself
        is ended when it has taken so much of O(lasts).
    type: int
    default: 200
  max_memory:
    description:
      - How many bytes of memory each tracer may take; it is killed or fails when it needs more. To a unit count its
        child processes and its maps in the kernel, too, and no swap is used; a process by itself has that much data.
    type: int
    default: 536870912
  lasts:
    description:
      - Seconds after which a tracer is ended that should long have ended by itself; 0 for never. A unit is ended then;
        of a process by itself it counts for O(max_cpu) alone.
    type: float
    default: 0
  start_ns:
    description: When the window opens, in nanoseconds of the controller's clock. Required for O(state=started).
    type: int
  end_ns:
    description: When the window closes, in nanoseconds of the controller's clock. Required for O(state=started).
    type: int
  clock_difference_ns:
    description:
      - The host's clock minus the controller's, as M(skbfleet_reach) measures it. A host whose clock is right to two
        seconds keeps the window in its own clock; for any other host the window is corrected by the difference.
    type: int
    default: 0
  close:
    description: Whether O(state=finished) closes a window that is still open. If not, it waits for the window's end.
    type: bool
    default: false
  owner:
    description: User id that the bundle is given to, 0600; the user who will fetch it. Used by O(state=finished).
    type: int
    default: 0
  timeout:
    description:
      - Seconds to wait, for O(state=prepared) until checked, for O(state=armed) until armed, for O(state=finished) from
        the end of the window.
    type: float
    default: 60
  patience:
    description:
      - Seconds for which a host that was lost is tried again.
      - The action plugin of the same name takes it; the module itself ignores it.
    type: float
    default: 0
attributes:
  check_mode:
    support: full
    description: Says what would be run, stopped or removed, and does nothing.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Arm the drop monitor for TCP port 443
  skbfleet_capture:
    state: armed
    run_id: ticket-4711
    host: "{{ inventory_hostname }}"
    tracers:
      drop_monitor: [--src=192.168.32.10, --dst=192.168.32.20, --protocol=tcp, --dst-port=443]

- name: Give all hosts the same window
  skbfleet_capture:
    state: started
    run_id: ticket-4711
    start_ns: "{{ start_ns }}"
    end_ns: "{{ start_ns | int + 10 * 1000000000 }}"

- name: Collect what was recorded
  skbfleet_capture:
    state: finished
    run_id: ticket-4711
    owner: 1000

- name: Leave nothing behind
  skbfleet_capture:
    state: absent
    run_id: ticket-4711
"""

RETURN = r"""
lost:
  description: Set if the connection broke.
  returned: failure
  type: bool
unknown:
  description: Whether it failed because there is no such run on this host.
  returned: failure
  type: bool
taken:
  description: Set if the run was begun by someone else, whose it stays.
  returned: failure
  type: bool
tracers:
  description: What each tracer has come to.
  returned: always, but for O(state=absent)
  type: dict
  contains:
    state:
      description: starting, armed, started, finished, failed, or killed (ended without a word).
      type: str
    why:
      description: Why it failed or was cut short; empty if all is well.
      type: str
    records:
      description: Records written so far.
      type: int
    lost:
      description: Records lost so far.
      type: int
    shed:
      description: Records not made so far, to keep to the limit of records a second.
      type: int
    bytes:
      description: Bytes of records written so far.
      type: int
    load:
      description:
        - Of a tracer that is armed, what it would have recorded while O(measure) lasted, C(records_per_s), and how
          many packets matched at its busiest C(point), C(packets_per_s).
      type: dict
    window:
      description: The window as the tracer understood it, with C(late_by_ns) if it was told too late.
      type: dict
status:
  description: complete if all tracers ended as they should, partial if some did, missing if none did.
  returned: O(state=finished)
  type: str
why:
  description: One sentence, if O(state=finished) finds anything but complete and in time; else empty.
  returned: O(state=armed) and O(state=finished)
  type: str
late_by_ns:
  description: By how much the host missed the start of the window, in nanoseconds; 0 if it was in time.
  returned: O(state=started) and O(state=finished)
  type: int
clock_correction_ns:
  description: What was added to the window for this host; 0 if its clock was taken to be right.
  returned: O(state=started)
  type: int
bundle:
  description: C(path), C(bytes) and C(sha256) of the bundle; empty if there is nothing to hand over.
  returned: O(state=finished)
  type: dict
commands:
  description: The command line of each tracer.
  returned: O(state=armed)
  type: dict
units:
  description:
    - For each tracer the C(name) of its unit of systemd, or C(why) it is none, and which properties systemd C(refused).
  returned: O(state=armed)
  type: dict
stopped:
  description: The signal that ended each tracer that was still running.
  returned: O(state=absent)
  type: dict
waiting:
  description:
    - What was lost with the runs that were removed, or would be lost in check mode, for each run C(records), C(bytes)
      and whether it was C(running). Runs without records are not named.
  returned: O(state=absent)
  type: dict
removed:
  description: The directories that were removed.
  returned: O(state=absent)
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.skbfleet_arguments import ARGUMENTS, REQUIRED
from ansible.module_utils.skbfleet_states import answer


def main():
    """Do what the state asks for."""
    module = AnsibleModule(argument_spec=ARGUMENTS, required_if=REQUIRED, supports_check_mode=True)
    os.umask(0o077)
    result = answer(module.params, module.check_mode)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
