# SPDX-License-Identifier: Apache-2.0
"""What a tracer that a person runs refuses, in one sentence, before it touches anything."""
import pathlib
import shutil
import subprocess

import pytest
from support.lab import PYTHON, Lab
from support.tracers import COMMANDS

OLDEST = pathlib.Path("~/.pyenv/versions/3.6.15/bin/python").expanduser()
REFUSED = [
    (["--interface", "vnet9"], 2, "--interface is 'vnet9': there is no such device in network namespace self; "),
    (["--netns", "hv-z"], 2, "--netns is 'hv-z': there is no such network namespace; "),
    (["--netns", "/etc/passwd"], 2, "--netns is '/etc/passwd': there is no such network namespace; "),
    (["--require-point", "ovs.ct"], 1,
     "--require-point is 'ovs.ct', which cannot be had on this host: module openvswitch is not loaded"),
    (["--point", "ovs.ct"], 1, "none of the points is in this kernel: ovs.ct: module openvswitch is not loaded"),
    (["--run-dir", "/proc/nowhere"], 2, "--run-dir is '/proc/nowhere': it must be a directory that can be written"),
]


@pytest.mark.parametrize(("options", "status", "sentence"), REFUSED, ids=[" ".join(case[0]) for case in REFUSED])
def test_refused_in_one_sentence_before_anything_is_loaded(lab: Lab, options: list, status: int, sentence: str) -> None:
    done = lab.netns("hv-a").run([PYTHON, COMMANDS["drop_monitor"], *options], check=False)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith("error: " + sentence)
    assert done.stderr.count("\n") == 1


def test_not_root() -> None:
    done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", PYTHON,
                           str(readable_copy() / "multi_protocol_drop_monitor.py")],
                          capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: this must run as root: loading BPF programs is not allowed to user 65534\n"


def readable_copy() -> pathlib.Path:
    """The host side where anybody can read it, as `bpftools/` copied to a host: it needs nothing else."""
    target = pathlib.Path("/run/skbfleet-test-bpftools")
    shutil.rmtree(target, ignore_errors=True)
    source = COMMANDS["drop_monitor"].parent
    shutil.copytree(source / "skbtrace", target / "skbtrace")
    shutil.copy(COMMANDS["drop_monitor"], target)
    return target


def test_no_bcc(tmp_path: pathlib.Path) -> None:
    done = subprocess.run([PYTHON, "-S", COMMANDS["drop_monitor"]], capture_output=True, text=True, timeout=60,
                          check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("has no module bcc: install python3-bpfcc (Debian, openEuler) or python3-bcc "
                                "(RHEL family)\n")
    assert done.stderr.count("\n") == 1


def test_no_btf(lab: Lab) -> None:
    """A kernel without BTF or headers, as far as the tracer can see."""
    hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh"]
    done = lab.here().run([*hide, PYTHON, COMMANDS["drop_monitor"]], check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: this kernel has neither BTF (/sys/kernel/btf/vmlinux) nor headers")
    assert done.stderr.count("\n") == 1


def test_a_full_disk_is_refused_before_it_is_used(lab: Lab, tmp_path: pathlib.Path) -> None:
    small = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs -o size=8m none {tmp_path} && exec "$@"', "sh"]
    done = lab.here().run([*small, PYTHON, COMMANDS["drop_monitor"], "--run-dir", tmp_path / "run"], check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "has 8 MiB free: a capture needs at least 64 MiB" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(not OLDEST.exists(), reason="no Python 3.6 on this machine")
@pytest.mark.parametrize("name", COMMANDS)
def test_the_oldest_python_checks_options(name: str) -> None:
    good = subprocess.run([OLDEST, COMMANDS[name], "--check-options", "--src", "192.168.32.0/24", "--protocol", "tcp",
                           "--dst-port", "443"], capture_output=True, text=True, timeout=60, check=False)
    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    bad = subprocess.run([OLDEST, COMMANDS[name], "--src", "nobody"], capture_output=True, text=True, timeout=60,
                         check=False)
    assert bad.returncode == 2
    assert bad.stderr.startswith("error: --src is 'nobody': ")
