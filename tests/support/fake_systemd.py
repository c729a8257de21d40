#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""systemd-run and systemctl without systemd: units are processes, and files in a directory.

Called by either name; FAKE_SYSTEMD is the directory: calls.json has the words of all calls of systemd-run, refuses.txt
what it answers to a property (NAME: SENTENCE, a line each), NAME.service the number of the process, NAME.failed of a
unit that failed the result, the status, and how many seconds it lived.
"""
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(os.environ["FAKE_SYSTEMD"])


def run(words):
    """Start a unit, or refuse it for one of its properties, as systemd-run does."""
    calls = HERE / "calls.json"
    calls.write_text(json.dumps((json.loads(calls.read_text()) if calls.exists() else []) + [words]))
    name = words[0].split("=", 1)[1]
    refuses = HERE / "refuses.txt"
    for line in refuses.read_text().splitlines() if refuses.exists() else []:
        refused, _colon, sentence = line.partition(": ")
        if any(word.startswith(f"--property={refused}=") for word in words) or refused == "all":
            sys.exit(sentence)
    null = subprocess.DEVNULL
    unit = subprocess.Popen(words[words.index("--") + 1:], stdin=null, stdout=null, stderr=null, start_new_session=True)
    (HERE / name).write_text(str(unit.pid))


def control(words):
    """Show, stop or forget a unit."""
    name = words[-1]
    if words == ["show", "--property=Version"]:
        print("Version=252")
    elif words[0] == "show":
        failed = HERE / f"{name}.failed"
        result, status, lived = failed.read_text().split() if failed.exists() else ("success", "0", "0")
        pid = (HERE / name).read_text() if (HERE / name).exists() else "0"
        print(f"MainPID={pid}\nResult={result}\nExecMainStatus={status}\nExecMainStartTimestampMonotonic=7000000")
        print(f"ExecMainExitTimestampMonotonic={7000000 + int(lived) * 1000000}")
    elif words[0] == "stop":
        (HERE / name).unlink(missing_ok=True)
    elif words[0] == "reset-failed":
        (HERE / f"{name}.failed").unlink(missing_ok=True)


{"systemd-run": run, "systemctl": control}[os.path.basename(sys.argv[0])](sys.argv[1:])
