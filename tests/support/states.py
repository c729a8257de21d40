# SPDX-License-Identifier: Apache-2.0
"""The states of skbfleet_capture on a host, without Ansible around them, and with tracers that are fakes."""
import base64
import io
import os
import pathlib
import tarfile
import time

from ansible.module_utils.skbfleet_states import STATES

BOTH: dict[str, list] = {"drop_monitor": [], "datapath_tracing": []}


class Host:
    """One run on one host: the module without Ansible around it."""

    def __init__(self, base: pathlib.Path, fakes: pathlib.Path, python: str) -> None:
        self.base = base
        self.run_dir = base / "run1"
        self.fakes = fakes
        self.python = python

    def push(self, run_id: str = "run1") -> None:
        """What the role does before it arms."""
        (self.base / run_id).mkdir(parents=True, mode=0o711)
        (self.base / run_id / "tools.tar.gz").write_bytes(self._packed())

    def tools(self) -> str:
        """What the role pushes."""
        return base64.b64encode(self._packed()).decode()

    def _packed(self) -> bytes:
        memory = io.BytesIO()
        with tarfile.open(fileobj=memory, mode="w:gz") as tar:
            for path in self.fakes.iterdir():
                tar.add(path, arcname=path.name)
        return memory.getvalue()

    def state(self, state: str, check_mode: bool = False, **params) -> dict:
        """Call the module."""
        defaults = {"run_id": "run1", "remote_dir": str(self.base), "tracers": BOTH, "python": self.python,
                    "host": "hv-a", "wait_window": 20, "measure": 0, "timeout": 10, "close": False,
                    "owner": os.getuid(), "clock_difference_ns": 0, "unit": False, "max_cpu": 200,
                    "max_memory": 512 << 20, "lasts": 0, "tools": self.tools(), "arguments": []}
        return STATES[state]({**defaults, **params}, check_mode)

    def start(self, opens_in: float = 0.1, seconds: float = 0.1, clock_ahead_s: float = 0, **params) -> dict:
        """Set a window; `clock_ahead_s`: by how much this host's clock is ahead of the controller's."""
        now = int((time.time() - clock_ahead_s) * 1e9)
        return self.state("started", start_ns=now + int(opens_in * 1e9), end_ns=now + int((opens_in + seconds) * 1e9),
                          clock_difference_ns=int(clock_ahead_s * 1e9), **params)
