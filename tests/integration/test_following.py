# SPDX-License-Identifier: Apache-2.0
"""Packets that are followed, and more of them at once than the tracer remembers."""
import json
import pathlib
import signal
import socket

import pytest
from support.lab import PYTHON, Lab
from support.tracers import COMMANDS, open_window, until

ADDRESS = "127.0.0.9"
REMEMBERED = 1 << 14    # ENTRY_BITS of bpf/follow.h
HELD = REMEMBERED + 1000
ROOM = 64 << 20         # bytes: for all that are held
SO_RCVBUFFORCE = 33     # of asm-generic/socket.h


def hold() -> None:
    """Send more datagrams than are remembered to a socket that holds all of them, and let go of them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
        receiver.bind((ADDRESS, 0))
        for _ in range(HELD):
            sender.sendto(b"held", receiver.getsockname())


@pytest.mark.parametrize("inside", [False, True], ids=["before the window", "inside the window"])
def test_only_who_is_forgotten_inside_the_window_counts(lab: Lab, tmp_path: pathlib.Path, inside: bool) -> None:
    run = tmp_path / "run"
    tracer = lab.here().popen([PYTHON, COMMANDS["datapath_tracing"], "--follow", "--dst", ADDRESS,
                               "--max-rate", "1000000", "--run-dir", run, "--wait-window", "60"])
    until("armed", run)
    if inside:
        open_window(run)
    hold()
    if not inside:
        open_window(run)
    tracer.send_signal(signal.SIGTERM)
    assert tracer.communicate(timeout=60)[0] == ""
    counters = json.loads((run / "manifest.json").read_text())["counters"]
    assert counters["matched" if inside else "outside_window"] >= HELD
    assert (counters["forgotten"] > 0) == inside
