# SPDX-License-Identifier: Apache-2.0
"""What hosts answer becomes plain words: what is in the way, and what to do about it."""
import base64
import io
import json
import subprocess
import sys
import tarfile

import pytest

CONTACT = {"uid": 0, "clock_difference_ns": 1000, "clock_error_ns": 500000}


def answer(**changes) -> dict:
    """An answer of a host where nothing is in the way."""
    return {"facts": {"kernel": "6.1.0"}, "error": "", "runs": {}, "trial": {}, **changes}


def test_a_good_answer_has_no_obstacle(answers):
    assert answers.obstacles(answer(), CONTACT) == []
    assert answers.obstacles(answer(runs={"old": "ended"}), CONTACT) == []
    assert answers.obstacles(answer(runs={"other": "running"}), run_id="mine") == []


@pytest.mark.parametrize(("error", "what", "do"), [
    ("/usr/bin/python3 has no module bcc: install python3-bpfcc (Debian) or python3-bcc (RHEL family)",
     "/usr/bin/python3 has no module bcc",
     "install python3-bpfcc (Debian) or python3-bcc (RHEL family), or run playbooks/prereqs.yml, or set "
     "capture_tracer_python to a Python with bcc"),
    ("this kernel has neither BTF (/b) nor headers (/h): install linux-headers-5 or kernel-devel-5",
     "this kernel has neither BTF (/b) nor headers (/h)", "install linux-headers-5 or kernel-devel-5"),
    ("this must run as root: loading BPF programs is not allowed to user 7",
     "this must run as root: loading BPF programs is not allowed to user 7", "let Ansible become root there"),
    ("the disk of /var/tmp has 3 MiB free: a capture needs at least 64 MiB",
     "the disk of /var/tmp has 3 MiB free: a capture needs at least 64 MiB",
     "make room there, or set capture_remote_dir to a directory on another disk"),
    ("capture_interfaces is 'eth9': there is no such device",
     "capture_interfaces is 'eth9': there is no such device", "correct this variable for this host"),
    ("something new", "something new", "look at what the tracer says"),
])
def test_the_tracer_s_sentence_comes_with_what_to_do(answers, error, what, do):
    assert answers.obstacles(answer(error=error), CONTACT) == [{"what": what, "do": do}]
    assert answers.sentence([{"what": what, "do": do}] * 2) == f"{what}, do this: {do}; {what}, do this: {do}"


@pytest.mark.parametrize(("failure", "begin", "do"), [
    ({"rc": 127, "module_stderr": "/bin/sh: 1: /usr/bin/python3: not found\n", "msg": "The module interpreter …"},
     "Ansible finds no Python there: /bin/sh: 1: /usr/bin/python3: not found", "install python3 there"),
    ({"rc": 1, "module_stderr": '  File "<stdin>", line 3\nSyntaxError: invalid syntax', "msg": "deserialization"},
     "its Python is too old for this Ansible", "set ansible_python_interpreter"),
    ({"msg": "ansible-core requires a minimum of Python version 3.8. Current version: 3.6.15"},
     "its Python is too old for this Ansible", "set ansible_python_interpreter"),
    ({"msg": "Task failed: Missing sudo password"}, "Ansible cannot become root there: Missing sudo password",
     "log in as root, allow sudo"),
    ({"rc": 127, "module_stderr": "/bin/sh: 1: sudo: not found"}, "Ansible cannot become root there: /bin/sh: 1: sudo",
     "log in as root, allow sudo"),
    ({"rc": 1, "module_stderr": "Shared connection to 192.0.2.1 closed.\n",
      "module_stdout": "This account is currently not available.\r\n"},
     "Ansible cannot become root there: This account is currently not available", "log in as root"),
    ({"msg": "OSError: [Errno 28] No space left on device"}, "its disk is full: ", "make room on it"),
    ({"msg": "who knows"}, "it could not be asked: who knows", "run this again with -vvv"),
    ({}, "it could not be asked: no reason was given", "run this again with -vvv"),
])
def test_a_task_that_failed_is_explained(answers, failure, begin, do):
    (found,) = answers.obstacles({"failed": False, **failure}, CONTACT)
    assert found["what"].startswith(begin)
    assert found["do"].startswith(do)
    assert "\n" not in found["what"]
    assert not failure.get("rc") or answers.explained(failure) == answers.sentence([found])


def test_what_a_module_says_of_itself_is_the_explanation(answers):
    assert answers.explained({"failed": True, "msg": "Task failed: the disk is full"}) == "the disk is full"
    assert answers.explained({}) == ""
    assert answers.explained({"msg": "Task failed: Missing sudo password"}).endswith("(--ask-become-pass)")


def test_a_host_that_cannot_be_reached(answers):
    lost = {"lost": True, "msg": "Task failed: Failed to connect to the host via ssh: No route to host"}
    (found,) = answers.obstacles({"skipped": True}, lost)
    assert found == {"what": "it cannot be reached: Failed to connect to the host via ssh: No route to host",
                     "do": "check its address, its ssh daemon and the network in between"}
    (found,) = answers.obstacles(lost, CONTACT)
    assert found["what"].startswith("the connection to it was lost: ")
    (found,) = answers.obstacles({}, dict(lost, msg="Permission denied (publickey)."))
    assert found["do"] == "check ansible_user and its key"


def test_a_host_that_answers_something_else(answers):
    (found,) = answers.obstacles({"skipped": True}, {"msg": "it answers 'hello' to 'id -u'"})
    assert found["what"] == "it could not be asked: it answers 'hello' to 'id -u'"


def test_runs_that_are_there(answers):
    (found,) = answers.obstacles(answer(runs={"a": "running", "b": "ended"}), CONTACT)
    assert found["what"] == "the run a is in progress there"
    assert "collect.yml -e capture_run_id=a" in found["do"]
    for state, begin in (("running", "the run a is in progress"), ("ended", "records of an earlier run a wait")):
        first, second = answers.obstacles(answer(runs={"a": state}, error="x"), run_id="a")
        assert first["what"].startswith(begin)
        assert second["what"] == "x"


def test_the_tools_are_the_tracers_and_nothing_else(pack, tmp_path):
    for name in ("a.py", "skbtrace/b.py", "skbtrace/bpf/c.h", "skbtrace/b.pyc", "fleetmerge/d.py", "skbtrace/note.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    packed = base64.b64decode(pack.pack(str(tmp_path)))
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        names = sorted(tar.getnames())
    assert [name for name in names if not name.startswith("states/")] == ["a.py", "skbtrace/b.py", "skbtrace/bpf/c.h"]


def test_the_states_run_from_what_was_packed(pack, tmp_path):
    """With nothing of Ansible's, and whatever of it is on the host."""
    packed = base64.b64decode(pack.pack(str(tmp_path)))
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        tar.extractall(tmp_path, filter="data")
    asked = json.dumps({"state": "absent", "run_id": None, "remote_dir": str(tmp_path / "none" / "skbfleet")})
    done = subprocess.run([sys.executable, "-S", tmp_path / "states" / "skbfleet_capture.py", asked], text=True,
                          capture_output=True, check=True)
    assert json.loads(done.stdout) == {"changed": False, "stopped": {}, "removed": [], "waiting": {}}
