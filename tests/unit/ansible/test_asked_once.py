# SPDX-License-Identifier: Apache-2.0
"""A tracer is asked about its options once for all hosts that have the same ones."""
import os

import pytest
from ansible.module_utils import skbfleet_tracing
from ansible.module_utils.skbfleet_names import Refused


@pytest.fixture
def asked(monkeypatch) -> list:
    """What a tracer was asked; it refuses what has `bad` in it."""
    questions: list = []

    def answer(*question: object) -> list:
        questions.append(question)
        if "bad" in question[1]:
            raise Refused("bad")
        return ["--answer=%d" % len(questions)]
    monkeypatch.setattr(skbfleet_tracing, "ask_tracer", answer)
    return questions


def once(kept: object, *words: str, program: str = "tracer", duration: float = 5.0) -> list:
    return skbfleet_tracing.ask_once(program, list(words), duration, str(kept))


def test_the_same_is_asked_once_and_anything_else_by_itself(asked, tmp_path):
    assert once(tmp_path, "a") == once(tmp_path, "a") == ["--answer=1"]
    assert once(tmp_path, "b") == ["--answer=2"]
    assert once(tmp_path, "a", program="other") == ["--answer=3"]
    assert once(tmp_path, "a", duration=6.0) == ["--answer=4"]
    assert len(asked) == 4
    assert all(name.startswith("options-") for name in os.listdir(tmp_path))


def test_a_refusal_is_not_kept(asked, tmp_path):
    for _ in range(2):
        with pytest.raises(Refused):
            once(tmp_path, "bad")
    assert len(asked) == 2 and os.listdir(tmp_path) == []


def test_where_nothing_can_be_kept_each_host_asks(asked, tmp_path):
    assert [once(tmp_path / "gone", "a") for _ in range(2)] == [["--answer=1"], ["--answer=2"]]
    once(tmp_path, "a")
    (name,) = os.listdir(tmp_path)
    (tmp_path / name).write_text("")
    assert once(tmp_path, "a") == ["--answer=4"]
