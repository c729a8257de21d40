# SPDX-License-Identifier: Apache-2.0
"""The module around the merger: run as Ansible runs it."""
import json
import os
import subprocess
import sys
from typing import Any

from support.bundles import RUN_ID, Bundle, ethernet, ipv4, udp

ROOT = os.path.join(os.path.dirname(__file__), "..", "..", "..")
COMMAND = os.path.join(ROOT, "bpftools", "merge_captures.py")
# Ansible hands a module what it imports; here it is imported from where it lies.
RUN = """
import runpy, sys
import ansible.module_utils
ansible.module_utils.__path__.append(sys.argv[1])
path, sys.argv = sys.argv[2], sys.argv[:1]
runpy.run_path(path, run_name="__main__")
"""


def call(check: bool = False, **options: Any) -> tuple[int, dict[str, Any]]:
    """Return (exit status, result) of the module."""
    given = {"ANSIBLE_MODULE_ARGS": dict(options, command=COMMAND, _ansible_check_mode=check)}
    module = os.path.join(ROOT, "library", "skbfleet_merge.py")
    done = subprocess.run([sys.executable, "-c", RUN, os.path.join(ROOT, "module_utils"), module],
                          input=json.dumps(given), capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout)


def test_merges_and_returns_the_verdict(tmp_path: Any) -> None:
    bundle = Bundle("hv-a")
    bundle.event(0, "dev.rx", 0, ethernet(ipv4("10.0.0.1", "10.0.0.2", udp(1, 2))))
    run = tmp_path / RUN_ID
    bundle.write(run)
    status, result = call(run_dir=str(run), check=True)
    assert (status, result["changed"]) == (0, True)
    assert os.listdir(run) == ["hosts"]
    status, result = call(run_dir=str(run), expected={"hv-a": {}, "hv-b": {"why": "switched off"}})
    assert (status, result["changed"], result["records"], result["drops"]) == (0, True, 1, 0)
    assert result["hosts"] == {"hv-a": "complete", "hv-b": "missing"}
    assert "Nothing came from hv-b: switched off." in result["doubts"]
    assert all(os.path.isfile(path) for path in result["products"].values())
    for option, product in (("pcapng", "capture.pcapng"), ("report", "report.html"),
                            ("perfetto", "journeys.perfetto-trace")):
        assert set(result["products"]) - set(call(run_dir=str(run), **{option: False})[1]["products"]) == {product}


def test_fails_with_the_merger_s_sentence(tmp_path: Any) -> None:
    status, result = call(run_dir=str(tmp_path / "nothing"))
    assert status == 1
    assert result["failed"] is True
    assert result["msg"] == "%s does not exist" % (tmp_path / "nothing")
    assert call(run_dir=str(tmp_path), python="/bin/false")[1]["msg"] == (
        "the merger ended with status 1: it said nothing")
