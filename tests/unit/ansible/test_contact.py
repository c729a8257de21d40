# SPDX-License-Identifier: Apache-2.0
"""A host's answer is only data, whatever it is, and a lost connection is an answer, too."""
import subprocess
import types

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.skbfleet_contact import answer_of
from ansible.module_utils.skbfleet_foreign import TEXT, Unfit, inert, read_json, shown
from support.attack import OLDEST, ROOT

LINE = types.SimpleNamespace(reset=lambda: None)


def test_what_is_no_answer_is_dropped():
    facts = {"capture_src": "y", "discovered_interpreter_python": "/usr/bin/py"}
    said = {"changed": True, "msg": "x", "ansible_facts": facts,
            "add_host": {"host_name": "evil"}, "_ansible_x": 1, "warnings": ["x"], "unreachable": True, "skipped": True}
    assert answer_of(lambda: said, LINE) == {
        "changed": True, "msg": "x", "ansible_facts": {"discovered_interpreter_python": "/usr/bin/py"}}
    for odd in ("/bin/sh -c x", ["/x"], "{{ x }}", "/bin/sh\n"):
        assert "ansible_facts" not in answer_of(lambda odd=odd: {"ansible_facts": {
            "discovered_interpreter_python": odd}}, LINE)
    assert answer_of(lambda: {"ansible_facts": ["x"]}, LINE) == {}


@pytest.mark.parametrize(("error", "lost"), [(AnsibleConnectionFailure("a\x1b\nb"), True),
                                             (AnsibleError("a\x1b\nb"), False), (RecursionError("a\x1b\nb"), False)])
def test_what_goes_wrong_is_a_failure_in_words(error, lost):
    def call():
        raise error
    answer = answer_of(call, LINE)
    assert answer["failed"]
    assert answer.get("lost", False) is lost
    assert answer["msg"] == "a\\x1b b"


def test_a_host_that_was_lost_is_tried_again_in_time(monkeypatch):
    monkeypatch.setattr("ansible.module_utils.skbfleet_contact._PAUSE_S", 0)
    left = [AnsibleConnectionFailure("gone"), AnsibleConnectionFailure("gone")]

    def call():
        if left:
            raise left.pop()
        return {"back": True}
    assert answer_of(call, LINE, patience=60) == {"back": True}


def test_large_and_deep_answers_are_refused():
    assert answer_of(lambda: {"x": [1] * 200_000}, LINE)["msg"].startswith("it answers more than 100000 values")
    deep: list = []
    for _level in range(50):
        deep = [deep]
    assert answer_of(lambda: {"x": deep}, LINE)["failed"]
    with pytest.raises(Unfit):
        inert(deep)


@pytest.mark.parametrize(("text", "is_shown"), [
    ("plain ü 漢 text", "plain ü 漢 text"), ("a\nb\r\n\tc", "a b c"), ("\x1b[31m", "\\x1b[31m"), ("\x9b", "\\x9b"),
    ("a\u202eb", "a\\u202eb"), ("\ud800", "\\ud800"), ("\u2028", ""), (7, "7"), ("\0", "\\x00"),
    ("x" * (TEXT + 1), "x" * (TEXT - 1) + "…")])
def test_text_is_made_printable(text, is_shown):
    assert shown(text) == is_shown
    assert shown(text).isprintable()


def test_files_have_limits(tmp_path):
    path = tmp_path / "x.json"
    for text, sentence in (("1" * 2000, "is larger than 1 KiB"), ("[" * 999, "is not JSON"), ("{", "is not JSON")):
        path.write_text(text)
        with pytest.raises(Unfit, match=sentence):
            read_json(str(path), 1024)
    with pytest.raises(Unfit, match="cannot be read: No such file"):
        read_json(str(tmp_path / "none"), 1024)


MARKED = """
import sys
import ansible.module_utils
ansible.module_utils.__path__.append(sys.argv[1])
from ansible.module_utils.skbfleet_foreign import as_data
value = as_data({"{{ a }}": ["{{ b }}", {"c": ("{{ d }}",)}]})
(key, (first, inner)), = value.items()
print(all(hasattr(text, "__UNSAFE__") for text in (key, first, inner["c"][0])))
"""


def test_the_oldest_ansible_is_told_that_it_is_data():
    python = OLDEST / "python"
    if not python.exists():
        pytest.skip("there is no .venv/oldest: `make oldest` makes it, with the oldest Ansible that is supported")
    done = subprocess.run([python, "-c", MARKED, ROOT / "module_utils"], capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr
