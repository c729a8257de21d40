# SPDX-License-Identifier: Apache-2.0
"""The project as an Ansible collection: installed from its archive, and used without the checkout."""
import json
import os
import re
import subprocess
import sys

from support.lab import ELSEWHERE, ROOT
from support.playbooks import BIN, LOSS, NOTHING_MATCHED

HIDDEN = ("bpftools", "callback_plugins", "inventories", "library", "module_utils", "playbooks", "roles")
DROP = "table bridge lossy { chain lossy { type filter hook forward priority 0; icmp type echo-request drop; }; }"
SCRIPT = f"""
for folder in {" ".join(HIDDEN)}; do mount -t tmpfs none "$ROOT/$folder"; done
play() {{ ansible-playbook --inventory "$LAB" "skbfleet.tracing.$@"; }}
play lab_up
play preflight
play capture --extra-vars "$QUIET" || test $? = {NOTHING_MATCHED}
status=0
play reproduce --extra-vars "$GIVEN" || status=$?
play compare --extra-vars compare_runs=latest,latest
play lab_down
exit $status
"""
GIVEN = {"capture_src": "192.168.32.10", "capture_protocol": "icmp", "capture_bidirectional": True,
         "reproduce_command": f"ip netns exec hv-b nft '{DROP}'; "
                              "ip netns exec vm-a ping -q -c 5 -i 0.02 -W 1 192.168.32.20 || true"}
QUIET = {"capture_protocol": "sctp", "capture_duration": 7}


def test_a_capture_with_nothing_but_the_collection(tmp_path):
    subprocess.run([sys.executable, ROOT / "share" / "distribution" / "collection.py", tmp_path / "build"], check=True)
    (archive,) = (tmp_path / "build").glob("skbfleet-tracing-*.tar.gz")
    here = {name: tmp_path / name for name in ("collections", "home", "site")}
    for name in ("home", "site"):
        here[name].mkdir()
    installed = here["collections"] / "ansible_collections" / "skbfleet" / "tracing"
    environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "HOME": str(here["home"]),
                   "ANSIBLE_COLLECTIONS_PATH": str(here["collections"]), "ANSIBLE_FORCE_COLOR": "0",
                   "ANSIBLE_STDOUT_CALLBACK": "skbfleet.tracing.skbfleet", "ROOT": str(ROOT),
                   "LAB": str(installed / "inventories" / "lab"), "GIVEN": json.dumps(GIVEN),
                   "QUIET": json.dumps(QUIET)}
    subprocess.run(["ansible-galaxy", "collection", "install", "--offline", "-p", here["collections"], archive],
                   env=environment, cwd=here["site"], check=True)

    done = subprocess.run([ELSEWHERE, "sh", "-euc", SCRIPT], env=environment, cwd=here["site"], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
                          check=False)
    assert done.returncode == LOSS, done.stdout
    assert " s left, 0 records (0/s), 0 lost, 0 shed" in done.stdout
    assert re.search(r"ansible-playbook -i \S+ skbfleet\.tracing\.collect -e capture_run_id=", done.stdout)
    summary = json.loads((here["site"] / "captures" / "latest" / "summary.json").read_text())
    assert {name: host["status"] for name, host in summary["hosts"].items()} == {"hv-a": "complete", "hv-b": "complete"}
    assert [(loss["kind"], loss["host"], loss["packets"]) for loss in summary["losses"]] == [("drop", "hv-b", 5)]
    assert not (installed / "captures").exists()
