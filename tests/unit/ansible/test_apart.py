# SPDX-License-Identifier: Apache-2.0
"""What is done apart answers, or is known to have died."""
import os
import signal

from ansible.module_utils.skbfleet_apart import apart


def test_an_answer_comes_back_and_nothing_else_does():
    kept: list = []

    def call() -> dict:
        kept.append(1)
        return {"pid": os.getpid()}
    assert apart(call)["pid"] != os.getpid()
    assert kept == []


def test_whoever_dies_is_a_failure_that_says_so():
    answer = apart(lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert answer == {"failed": True, "msg": "the process that looked at it was ended by signal 9"}


def test_a_call_that_fails_unforeseen_is_a_failure(capfd):
    answer = apart(lambda: 1 / 0)
    assert answer == {"failed": True, "msg": "the process that looked at it was ended by an error"}
