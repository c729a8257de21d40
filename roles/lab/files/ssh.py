# SPDX-License-Identifier: Apache-2.0
"""The lab's ssh: keys that are made here and die with the lab, known hosts, and connections that linger."""
import contextlib
import os
import socket
import subprocess
import time
from typing import List

import state
from namespaces import LabError, run
from plan import Hypervisor


def _make_key(name: str, comment: str) -> bool:
    if os.path.exists(state.path(name + ".pub")):
        return False
    with contextlib.suppress(FileNotFoundError):  # its public half is missing: it was never finished
        os.unlink(state.path(name))
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", state.path(name)])
    return True


def make_keys(hosts: List[Hypervisor]) -> List[str]:
    """Make the keys that are missing and write known_hosts; returns what was made."""
    made = ["ssh_key"] if _make_key("ssh_key", "skbfleet-lab") else []
    made += [host.name + ".key" for host in hosts if _make_key(host.name + ".key", host.name)]
    lines = []
    for host in hosts:
        kind, key = (state.read(host.name + ".key.pub") or "").split()[:2]
        lines.append("%s %s %s\n" % (host.mgmt_address, kind, key))
    content = "".join(lines)
    known = state.read("known_hosts") or ""
    if not known.startswith(content):  # more hosts than these may be known
        state.write("known_hosts", content)
    return made


def wait_until_ready(host: Hypervisor, deadline_s: float = 10.0) -> None:
    """Return when the hypervisor's sshd answers; LabError with its last words if it does not."""
    end = time.monotonic() + deadline_s
    while True:
        try:
            with socket.create_connection((host.mgmt_address, 22), timeout=1) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        if state.process(host.name) is None or time.monotonic() > end:
            words = (state.read(host.name + ".log") or "").strip().splitlines()[-1:]
            raise LabError("sshd of %s does not answer at %s: %s" % (host.name, host.mgmt_address, " ".join(words)))
        time.sleep(0.005)


def end_lingering_connections() -> None:
    """End ssh's control masters to the lab's hosts; the lab's inventory keeps their sockets in one directory."""
    try:
        sockets = os.listdir(state.CONTROL_DIR)
    except FileNotFoundError:
        return
    for name in sockets:
        path = os.path.join(state.CONTROL_DIR, name)
        subprocess.run(["ssh", "-F", "none", "-O", "exit", "-o", "ControlPath=" + path, "lab"],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
