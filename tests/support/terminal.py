# SPDX-License-Identifier: Apache-2.0
"""Run a command on a terminal of its own, as a person would."""
import fcntl
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Callable

from .lab import wait_until

CONTROL = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])")
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
            keys = answers.pop(0)[1]
            typed = keys.encode() if isinstance(keys, str) else b""    # what interrupts is not for twice
            pressed = typed or keys().encode()
            if pressed:
                wait_until(lambda: not termios.tcgetattr(own)[3] & termios.ICANON, "the terminal is read by keys", 10)
                os.write(own, pressed)
    os.close(own)
    return process.wait(timeout=20), shown


def screen(shown: str) -> list[str]:
    """Return the lines that are there in the end on a terminal, high enough, that was sent this."""
    lines, row = [""], 0
    for part in re.split(r"(\r|\n|\x1b\[\??[0-9;]*[A-Za-z])", shown):
        control = CONTROL.fullmatch(part)
        if part == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif control and control[2] == "A":
            row -= int(control[1])
        elif control and control[2] == "K":
            lines[row] = ""
        elif control and control[2] == "J":
            lines[row:] = [""]
        elif not control and part != "\r":
            lines[row] += part
    return lines
