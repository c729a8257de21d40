# SPDX-License-Identifier: Apache-2.0
"""What the module asks a host, with tools that answer well, badly, late or not at all."""
import base64
import io
import json
import os
import pathlib
import sys
import tarfile
import tempfile

import pytest
from ansible.module_utils import skbfleet_examine as examine
from ansible.module_utils.skbfleet_rundir import RunError, process_state

SAYS_ALL = ("import json, os, sys\n"
            "print(json.dumps([sys.argv[1:], os.environ['SKBTRACE_NAMES'], os.getcwd(), __file__]))")
REFUSES = 'import sys\nsys.stderr.write("warning: x\\nerror: no such device\\n")\nsys.exit(2)'


def tools(text: str, name: str = examine.PROGRAM) -> str:
    """Tools whose program is this text."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text.encode()))
    return base64.b64encode(memory.getvalue()).decode()


@pytest.fixture
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Where temporary directories are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(examine.signal, "signal", lambda *_words: None)
    return tmp_path


def ask(text: str, **changes) -> tuple:
    """Ask with tools of this text."""
    return examine.ask({"tools": tools(text), "python": sys.executable, "arguments": ["--netns=self"],
                        "remote_dir": "/var/tmp/skbfleet", "timeout": 30, **changes})


def test_a_trial_brings_what_the_tracer_says(place):
    why, (words, prefix, directory, program) = ask(SAYS_ALL)
    assert (why, words, prefix, directory) == ("", ["--netns=self", "--trial"], "capture_", "/")
    assert program.startswith(str(place))
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("keep", [False, True])
def test_a_check_compiles_nothing(tmp_path, monkeypatch, keep):
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    only_the_check = ("import os, sys\nsys.exit(sys.argv[1:] != ['--netns=self', '--check-host', "
                      "'--run-dir=/var/tmp/skbfleet'] or ('PYTHONDONTWRITEBYTECODE' in os.environ) == %s)" % keep)
    where = examine.unpack(tools(only_the_check), str(tmp_path))
    params = {"python": sys.executable, "arguments": ["--netns=self"], "remote_dir": "/var/tmp/skbfleet",
              "timeout": 30}
    assert examine.checked(where, params, keep) == ""


@pytest.mark.parametrize(("text", "changes", "why"), [
    (REFUSES, {}, "no such device"),
    ("raise KeyError('x')", {}, "KeyError: 'x'"),
    ("import sys\nsys.exit(3)", {}, "the tracer ended with status 3 and said nothing"),
    ("import os\nos.kill(os.getpid(), 9)", {}, "the tracer ended with status -9 and said nothing"),
    ("import time\ntime.sleep(60)", {"timeout": 0.3}, "the tracer did not answer within 0.3 s"),
    ("", {"python": "/nowhere/python3"}, "capture_tracer_python is '/nowhere/python3': it must be a Python that runs "
                                         "on this host: No such file or directory"),
])
def test_whatever_goes_wrong_is_one_sentence_and_nothing_is_left(place, text, changes, why):
    assert ask(text, **changes) == (why, {})
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(("bad", "error"), [("no base64!", RunError), (tools("", "../outside.py"), RunError),
                                            (base64.b64encode(b"no archive").decode(), tarfile.TarError)])
def test_tools_that_are_none_are_refused_and_nothing_is_left(place, bad, error):
    with pytest.raises(error):
        ask("", tools=bad)
    assert list(place.iterdir()) == []


def test_the_disk_is_that_of_the_directory_to_be_made(tmp_path):
    found = examine.facts(str(tmp_path / "not" / "yet"))
    assert found["free_bytes"] > 0
    assert found["kernel"] == os.uname().release


def test_runs_are_told_apart_by_whether_someone_is_at_work(tmp_path):
    for name, pid in (("busy", os.getpid()), ("over", 2 ** 30)):
        directory = tmp_path / name / "drop_monitor"
        directory.mkdir(parents=True)
        ticks = process_state(pid)[1] if process_state(pid) else 0
        (directory / "process.json").write_text(json.dumps({"pid": pid, "start_ticks": ticks}))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    found = examine.runs(str(tmp_path))
    assert found["over"] == "ended"
    assert "empty" not in found and "file" not in found
    assert examine.runs(str(tmp_path / "nowhere")) == {}
