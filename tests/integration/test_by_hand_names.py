# SPDX-License-Identifier: Apache-2.0
"""Names that others chose, of devices and processes, harm neither tracer nor terminal."""
import json
import os
import pathlib
import subprocess

import pytest
from support.known import PORT
from support.lab import PYTHON, Lab
from support.tracers import COMMANDS

STRANGE = b"\xff\xfe\x1b[31m"
STRANGE_SHOWN = r"\xff\xfe\x1b[31m"
HOLD_DEVICE = """
import subprocess, sys
subprocess.run([b"ip", b"link", b"add", b"name", b"\\xff\\xfe\\x1b[31m", b"type", b"bridge"], check=True)
print("ready", flush=True)
sys.stdin.read()
"""
SEND_AS = """
import ctypes, socket, sys
ctypes.CDLL(None).prctl(15, b"\\xff\\x1b[2Jx", 0, 0, 0)
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (sys.argv[1], 5001))
"""
AS_ANYBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "unshare", "--user",
              "--map-root-user", "--net"]


def test_a_device_whose_name_is_no_text_harms_neither_tracer_nor_manifest(lab: Lab, tmp_path: pathlib.Path) -> None:
    """Anybody can make one, in a namespace of his own."""
    holder = lab.here().popen([*AS_ANYBODY, PYTHON, "-c", HOLD_DEVICE], stdin=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == "ready\n"
        done = lab.here().run([PYTHON, COMMANDS["drop_monitor"], "--run-dir", tmp_path / "run", "--duration", "0.1"])
    finally:
        holder.communicate()
    assert done.stderr == ""
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert STRANGE_SHOWN in {device["name"] for device in manifest["devices"]}


def test_a_strange_device_is_found_by_its_bytes_and_by_what_is_shown(lab: Lab) -> None:
    vm = lab.netns("vm-a")
    vm.run(["ip", "link", "add", "name", os.fsdecode(STRANGE), "type", "bridge"])
    try:
        for name in (os.fsdecode(STRANGE), STRANGE_SHOWN):
            done = lab.here().run([PYTHON, COMMANDS["drop_monitor"], "--netns", "vm-a", "--interface", name,
                                   "--duration", "0.1"])
            assert done.stdout == ""
        refused = lab.here().run([PYTHON, COMMANDS["drop_monitor"], "--netns", "vm-a", "--interface", "nope"],
                                 check=False)
    finally:
        vm.run(["ip", "link", "del", os.fsdecode(STRANGE)])
    assert f"it must be one of {STRANGE_SHOWN}, eth0, lo" in refused.stderr
    assert "\x1b" not in refused.stderr


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_name_of_a_process_never_reaches_the_terminal_raw(lab: Lab, form: str) -> None:
    options = ["--netns", "vm-a", "--protocol", "udp", "--dst-port", PORT, "--point", "dev.tx", "--max-records", 1]
    tracer = lab.here().popen([PYTHON, COMMANDS["datapath_tracing"], *options, "--format", form],
                              stderr=subprocess.PIPE, text=False)
    assert tracer.stderr.readline().startswith(b"tracing ")
    lab.netns("vm-a").python(SEND_AS, lab.address("vm-b"))
    output, _errors = tracer.communicate(timeout=20)
    assert output.count(b"\n") == 1
    assert output.strip().decode().isprintable()
    assert "\N{REPLACEMENT CHARACTER}\\x1b[2Jx" in (
        json.loads(output)["process"] if form == "json" else output.decode())
