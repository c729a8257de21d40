# SPDX-License-Identifier: Apache-2.0
"""The kit for a site without internet installs where no network is, and then captures."""
import json
import os
import pathlib
import subprocess
import tarfile

import kit
import pytest
from support.lab import ELSEWHERE, ROOT
from support.playbooks import LOSS

RELEASES = [(name, release) for name, origin, release in kit.RELEASES if origin == "Debian"]
DROP = "table bridge lossy { chain lossy { type filter hook forward priority 0; icmp type echo-request drop; }; }"
GIVEN = {"capture_src": "192.168.32.10", "capture_protocol": "icmp", "capture_bidirectional": True,
         "reproduce_command": f"ip netns exec hv-b nft '{DROP}'; "
                              "ip netns exec vm-a ping -q -c 5 -i 0.02 -W 1 192.168.32.20 || true"}
CONTROLLER = """
test -z "$(ip -4 route; ip -6 route show default)"
mount -t tmpfs none "$ROOT"
"$KIT/install.sh" controller venv
export ANSIBLE_CONFIG=$PWD/venv/ansible.cfg PATH=$PWD/venv/bin:$PATH
lab=$PWD/venv/collections/ansible_collections/skbfleet/tracing/inventories/lab
ansible-playbook -i "$lab" skbfleet.tracing.lab_up
status=0
ansible-playbook -i "$lab" skbfleet.tracing.reproduce --extra-vars "$GIVEN" || status=$?
ansible-playbook -i "$lab" skbfleet.tracing.lab_down
exit $status
"""
HYPERVISOR = """
mount -o bind "$KIT" root/mnt
mount -t proc proc root/proc
chroot root /mnt/install.sh hypervisor
chroot root python3 -c 'import bcc; bcc.BPF.get_kprobe_functions'
"""


def elsewhere(script: str, cwd: pathlib.Path, unpacked: pathlib.Path, **more: str) -> subprocess.CompletedProcess:
    """Run a script where no network is, with nothing in its environment that would find packages."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(cwd), "ROOT": str(ROOT),
                   "KIT": str(unpacked), "PIP_CONFIG_FILE": os.devnull, **more}
    return subprocess.run([ELSEWHERE, "sh", "-euc", script], env=environment, cwd=cwd, text=True, timeout=600,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> pathlib.Path:
    """The kit, as it is after `tar xf`."""
    directory = tmp_path_factory.mktemp("kit")
    with tarfile.open(ROOT / "build" / f"skbfleet-kit-{kit.VERSION}.tar") as tar:
        tar.extractall(directory, filter="data")
    (found,) = directory.iterdir()
    return found


def test_a_controller_captures(unpacked, tmp_path):
    done = elsewhere(CONTROLLER, tmp_path, unpacked, GIVEN=json.dumps(GIVEN))
    assert done.returncode == LOSS, done.stdout
    summary = json.loads((tmp_path / "captures" / "latest" / "summary.json").read_text())
    assert [(loss["kind"], loss["host"], loss["packets"]) for loss in summary["losses"]] == [("drop", "hv-b", 5)]
    assert (tmp_path / "captures" / "latest" / "journeys.perfetto-trace").exists()    # its package came with the kit


@pytest.mark.parametrize(("name", "release"), RELEASES)
def test_a_hypervisor_gets_bcc(unpacked, tmp_path, name, release):
    assert (unpacked / "packages" / name).is_dir(), f"{name} is missing in the kit; its README says why"
    subprocess.run(["mmdebstrap", "--quiet", "--variant=important", "--aptopt=Acquire::Check-Valid-Until false",
                    release, tmp_path / "root", kit.mirror("Debian")], check=True)
    done = elsewhere(HYPERVISOR, tmp_path, unpacked)
    assert done.returncode == 0, done.stdout


def test_a_file_that_was_changed_is_refused(unpacked, tmp_path):
    changed = unpacked / "requirements.txt"
    text = changed.read_text()
    changed.write_text(text + "\nother\n")
    try:
        done = elsewhere('"$KIT/install.sh" controller venv', tmp_path, unpacked)
    finally:
        changed.write_text(text)
    assert done.returncode != 0
    assert "requirements.txt: FAILED" in done.stdout
    assert not (tmp_path / "venv").exists()
