#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Merges a run's bundles on the controller."""
DOCUMENTATION = r"""
---
module: skbfleet_merge
short_description: Merge the bundles of a run and say what they show
description:
  - Runs skbfleet's merger, C(bpftools/merge_captures.py), on the controller, and returns its verdict.
  - Makes C(timeline.log), C(events.parquet), C(journeys.parquet), C(capture.pcapng), C(summary.json), C(verdict.txt),
    C(journeys.perfetto-trace), C(evidence.parquet) and C(report.html) in the run's directory, and lets the link
    C(latest) beside it point to it. Products that are there are replaced.
  - Works on bundles alone; no host is asked.
author: The skbfleet authors
options:
  run_dir:
    description:
      - The run's directory, with C(hosts/NAME/TRACER/) below it, or its archive, C(RUN.tar.zst), which is opened beside
        itself.
    type: path
    required: true
  command:
    description: The merger.
    type: path
    required: true
  python:
    description: The interpreter that has numpy, pyarrow and duckdb; that of this module if not given.
    type: path
  expected:
    description:
      - What was expected of each host, name to tracers and why one is missing, as C(outcome.json) in the run's
        directory has it, which is read if this is not given.
    type: dict
  pcapng:
    description: Whether to make C(capture.pcapng), which takes about a tenth of the time and half of the space.
    type: bool
    default: true
  report:
    description: Whether to make C(report.html), a page of at most 2 MB to look at in a browser.
    type: bool
    default: true
  perfetto:
    description: Whether to make C(journeys.perfetto-trace), some hundreds of journeys for Perfetto's viewer.
    type: bool
    default: true
  filter:
    description:
      - An expression in the tracers' own language, that of tcpdump. Then only a part of the run is merged, the packets
        of which a record fits, into a directory of its own below the run's, C(excerpts/NAME).
    type: str
  after:
    description:
      - Likewise, the packets of which a record is not older than this, C(2026-11-22T11:27:51.25Z) as in
        C(timeline.log), or C(+1.25), seconds since the window opened.
    type: str
  before:
    description: Likewise, the packets of which a record is older than this.
    type: str
  scheduler:
    description:
      - A Dask cluster that does the work, C(tls://HOST:PORT). Its workers see the run's directory under the same path.
    type: str
  certificates:
    description: With O(scheduler), the directory of the cluster's certificates.
    type: path
attributes:
  check_mode:
    support: full
    description: Only checks whether the bundles can be merged; no verdict is returned.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Merge a run
  skbfleet_merge:
    run_dir: captures/20261122T113800Z
    command: bpftools/merge_captures.py
  register: merged

- name: Merge what happened to one service in three seconds of it
  skbfleet_merge:
    run_dir: captures/20261122T113800Z
    command: bpftools/merge_captures.py
    filter: tcp port 443
    after: "+12"
    before: "+15"
"""

RETURN = r"""
verdict:
  description: What the run shows, a sentence each.
  returned: success, not in check mode
  type: list
  elements: str
doubts:
  description: What limits the trust in the verdict, a sentence each.
  returned: success, not in check mode
  type: list
  elements: str
text:
  description: The lines that show verdict and doubts to a person, and where the products are.
  returned: success, not in check mode
  type: list
  elements: str
hosts:
  description: Host name to C(complete), C(partial) or C(missing).
  returned: success, not in check mode
  type: dict
result:
  description: The run in a word, C(no loss), C(loss), C(unknown), C(nothing matched) or C(partial).
  returned: success, not in check mode
  type: str
drops:
  description: How many packets were dropped.
  returned: success, not in check mode
  type: int
records:
  description: How many records were merged.
  returned: success, not in check mode
  type: int
products:
  description: Name to path of every file that was made.
  returned: success, not in check mode
  type: dict
msg:
  description: What was done, or why it could not be done.
  returned: always
  type: str
"""

import json
import os
import sys
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.skbfleet_foreign import shown
from ansible.module_utils.skbfleet_merger import why_failed
from ansible.module_utils.skbfleet_told import verdict

ARGUMENTS = {
    "run_dir": {"type": "path", "required": True},
    "command": {"type": "path", "required": True},
    "python": {"type": "path"},
    "expected": {"type": "dict"},
    "pcapng": {"type": "bool", "default": True},
    "report": {"type": "bool", "default": True},
    "perfetto": {"type": "bool", "default": True},
    "filter": {"type": "str"},
    "after": {"type": "str"},
    "before": {"type": "str"},
    "scheduler": {"type": "str"},
    "certificates": {"type": "path"},
}
LINE = 4000  # characters of what is printed, and
LINES = 200  # lines; the products have all of it
PRODUCTS = ("verdict.txt", "report.html", "summary.json", "timeline.log", "journeys.parquet", "events.parquet",
            "capture.pcapng", "journeys.perfetto-trace", "evidence.parquet")


def command_line(params, check_mode, expected_file):
    """Return the words that run the merger."""
    words = [params["python"] or sys.executable, params["command"], "--quiet"]
    if check_mode:
        words.append("--check")
    if expected_file:
        words += ["--expect", expected_file]
    words += ["--no-" + name for name in ("pcapng", "report", "perfetto") if not params[name]]
    words += ["--%s=%s" % (name, params[name]) for name in ("filter", "after", "before") if params[name] is not None]
    for name in ("scheduler", "certificates"):
        if params[name]:
            words += ["--" + name, params[name]]
    return words + ["--", params["run_dir"]]


def outcome(run_dir):
    """Return what the merge made, from its summary."""
    with open(os.path.join(run_dir, "summary.json")) as handle:
        summary = json.load(handle)
    return {
        # with words of hosts and VMs in them: devices, processes, reasons
        "verdict": [shown(line, LINE) for line in summary["verdict"][:LINES]],
        "doubts": [shown(line, LINE) for line in summary["doubts"][:LINES]], "drops": summary["drops"],
        "records": summary["records"], "result": summary["result"],
        "hosts": {name: host["status"] for name, host in summary["hosts"].items()},
        "products": {name: os.path.join(run_dir, name) for name in PRODUCTS
                     if os.path.exists(os.path.join(run_dir, name))},
    }


def main():
    """Run the merger and hand on what it says."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    with tempfile.TemporaryDirectory(dir=module.tmpdir) as directory:
        expected_file = ""
        if params["expected"] is not None:
            expected_file = os.path.join(directory, "expected.json")
            with open(expected_file, "w") as handle:
                json.dump(params["expected"], handle)
        status, stdout, stderr = module.run_command(command_line(params, module.check_mode, expected_file),
                                                    environ_update={"SKBTRACE_NAMES": "merge_"})
    if status:
        module.fail_json(msg=why_failed(status, stderr))
    if module.check_mode:
        module.exit_json(changed=True, msg=stdout.strip())
    # of an excerpt, or an archive, the merger says where it is
    into = stdout.strip() or params["run_dir"]
    made = outcome(into)
    module.exit_json(changed=True, msg="merged into %s" % into,
                     text=verdict(made["verdict"], made["doubts"], made["products"], made["result"]), **made)


if __name__ == "__main__":
    main()
