# SPDX-License-Identifier: Apache-2.0
"""What was pushed to a host answers for the module, if it does so in JSON; whatever else it says, the module is run."""
import json
import shlex
import types

import pytest
from ansible.module_utils import skbfleet_there

ARGUMENTS = {"state": "started", "run_id": "r'1", "start_ns": "7", "end_ns": 8}
PUSHED = {"__capture_pushed": {"changed": True}, "__capture_plan": {"settings": {"tracer_python": "/usr/bin/python3"}}}


def said(text: str) -> tuple[dict, list[str]]:
    """Return what becomes of what a host prints, and the command that it was given."""
    given: list[str] = []
    action = types.SimpleNamespace(_low_level_execute_command=lambda words: given.append(words) or {"stdout": text})
    return skbfleet_there.call(action, ["/usr/bin/python3", "/x y"], ARGUMENTS), shlex.split(given[0])


def test_the_answer_and_the_command():
    answer, words = said('a banner\n{"changed": true}')
    assert answer == {"changed": True}
    assert words[:2] == ["/usr/bin/python3", "/x y"]
    assert {name: json.loads(words[2])[name] for name in ("run_id", "start_ns")} == {"run_id": "r'1", "start_ns": 7}


@pytest.mark.parametrize("text", [
    pytest.param("", id="nothing"), pytest.param("no", id="no JSON"), pytest.param("{", id="cut off"),
    pytest.param('{"a": 1} and more', id="more than JSON"), pytest.param('{"a":' * 200_000, id="too deep"),
    pytest.param('{"a": "%s"}' % ("x" * (1 << 24)), id="too long")])
def test_what_is_no_answer(text):
    assert said(text)[0] == {}


@pytest.mark.parametrize("variables", [
    {}, {"__capture_pushed": "x"}, dict(PUSHED, __capture_pushed={"failed": True}),
    dict(PUSHED, __capture_plan={"settings": {"tracer_python": "python3; id"}})])
def test_nothing_is_run_that_was_not_pushed(variables):
    assert skbfleet_there.program({"remote_dir": "/var/tmp/skbfleet", "run_id": "r1"}, variables) == []


def test_what_was_pushed_is_run():
    assert skbfleet_there.program({"remote_dir": "/d", "run_id": "r1"}, PUSHED) == [
        "/usr/bin/python3", "/d/r1/tools/states/skbfleet_capture.py"]
