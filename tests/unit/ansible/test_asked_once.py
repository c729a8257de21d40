# SPDX-License-Identifier: Apache-2.0
"""A tracer is asked about its options once for all hosts that have the same ones."""
import concurrent.futures
import os
import threading

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


def test_a_refusal_is_the_same_for_all(asked, tmp_path):
    for _ in range(2):
        with pytest.raises(Refused, match="^bad$"):
            once(tmp_path, "bad")
    assert len(asked) == 1


def test_who_asks_the_same_at_the_same_time_waits_for_the_answer(monkeypatch, tmp_path):
    questions: list = []
    begun, goes_on = threading.Event(), threading.Event()

    def answer(*question: object) -> list:
        questions.append(question)
        begun.set()
        assert goes_on.wait(10)
        return ["--answer=%d" % len(questions)]
    monkeypatch.setattr(skbfleet_tracing, "ask_tracer", answer)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        first = pool.submit(once, tmp_path, "a")
        assert begun.wait(10)
        others = [pool.submit(once, tmp_path, "a") for _ in range(2)]
        goes_on.set()
        assert {tuple(one.result(10)) for one in (first, *others)} == {("--answer=1",)}
    assert len(questions) == 1


def test_where_nothing_can_be_kept_each_host_asks(asked, tmp_path):
    assert [once(tmp_path / "gone", "a") for _ in range(2)] == [["--answer=1"], ["--answer=2"]]
    once(tmp_path, "a")
    (kept,) = tmp_path.glob("*.json")
    kept.write_text("")
    assert once(tmp_path, "a") == ["--answer=4"]
