# SPDX-License-Identifier: Apache-2.0
"""Run a command on a terminal of its own, as a person would."""
import fcntl
import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Callable

from .lab import wait_until

Answer = tuple[str, str | Callable[[], str]]   # a text that appears, and the keys pressed then


def terminal(command: list, environment: dict, answers: list[Answer], timeout: float = 120) -> tuple[int, str]:
    """Run a command on a terminal; answer each text with keys once it appears. Return (status, what was shown).

    Ansible throws away what was typed before it began to read: where nothing follows, keys are typed again.
    """
    own, other = pty.openpty()
    process = subprocess.Popen(command, env=environment, stdin=other, stdout=other, stderr=other,
                               start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(other)
    shown, seen, typed, deadline = "", 0, b"", time.monotonic() + timeout
    while time.monotonic() < deadline:
        if not select.select([own], [], [], 1)[0]:
            os.write(own, typed)
            continue
        typed = b""
        try:
            part = os.read(own, 65536).decode("utf-8", "replace")
        except OSError:
            break
        shown += part
        if answers and answers[0][0] in shown[seen:]:
            seen = len(shown)
            wait_until(lambda: not termios.tcgetattr(own)[3] & termios.ICANON, "the terminal is read by keys", 10)
            keys = answers.pop(0)[1]
            typed = keys.encode() if isinstance(keys, str) else b""    # what interrupts is not for twice
            os.write(own, typed or keys().encode())
    os.close(own)
    return process.wait(timeout=20), shown
