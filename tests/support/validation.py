# SPDX-License-Identifier: Apache-2.0
"""The validation of a capture's variables, without Ansible around it and with the tracers in this process."""
import contextlib
import io
import os
import pathlib
import subprocess
from unittest import mock

import yaml

from skbtrace.command import main

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPECIFICATION = ROOT / "roles" / "capture" / "meta" / "argument_specs.yml"
KNOWN = list(yaml.safe_load(SPECIFICATION.read_text())["argument_specs"]["main"]["options"])
DEFAULTS = {**yaml.safe_load((ROOT / "roles" / "capture" / "defaults" / "main.yml").read_text()),
            "capture_output_dir": "/nowhere/captures", "capture_start_delay": 3.5}
PROFILES = {"multi_protocol_drop_monitor.py": ("drop_monitor", "drop"),
            "packet_datapath_tracing.py": ("datapath_tracing", "nic")}


def ask_in_process(command: list[str], env: dict[str, str], **_options: object) -> subprocess.CompletedProcess:
    """Do what subprocess.run does with a tracer that only checks its options: starting one takes long."""
    tracer, profile = PROFILES[os.path.basename(command[1])]
    said, complained = io.StringIO(), io.StringIO()
    with mock.patch.dict(os.environ, env), contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
        status = main(tracer, "", "", profile, command[2:])
    return subprocess.CompletedProcess(command, status, said.getvalue().encode(), complained.getvalue().encode())


class Templar:
    """Evaluates nothing but shows what it was asked to evaluate."""

    def __init__(self) -> None:
        self.asked: list = []

    def template(self, value: object) -> object:
        self.asked.append(value)
        return value


def action_of(plugin: type, arguments: dict, check_mode: bool = False) -> tuple[object, mock.Mock]:
    """Return (an action that runs on no host, the connection that it must not use)."""
    task = mock.Mock(args={"specification": str(SPECIFICATION), "tools": str(ROOT / "bpftools"),
                           "stamp": "20261122T113800Z", **arguments}, async_val=0, check_mode=check_mode)
    loader = mock.Mock(load_from_file=lambda path: yaml.safe_load(pathlib.Path(path).read_text()))
    connection = mock.Mock()
    return plugin(task, connection, mock.Mock(), loader, Templar(), mock.Mock()), connection


def variables_of(inventory: dict, given: dict) -> dict:
    """Return the variables of the host hv-a, which is in a play with hv-b; in the inventory is hv-c, too."""
    hosts = ["hv-a", "hv-b"]
    return {"inventory_hostname": "hv-a", "ansible_play_hosts_all": hosts, "groups": {"all": [*hosts, "hv-c"]},
            **DEFAULTS, **inventory, **given}

