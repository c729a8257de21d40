# SPDX-License-Identifier: Apache-2.0
"""Hundreds of bad case files and vars files: each is refused in sentences of which one names the variable."""
import subprocess

import pytest
import yaml
from ansible import context
from ansible.module_utils import skbfleet_tracing
from ansible.utils.vars import load_extra_vars
from support.bad_cases import KINDS, make
from support.validation import action_of, ask_in_process, variables_of

EACH = 24
SEED = 1
LONGEST = 3000  # characters
OF_VARS = [kind for kind in KINDS if kind not in ("no_yaml", "no_mapping", "expired")]  # Ansible itself refuses these


@pytest.fixture
def answer(validate, monkeypatch):
    """Return what the action comes to with a file that is given, and fail if it speaks to a host."""
    asked = []

    def ask(command, **options):
        asked.append(command)
        return ask_in_process(command, **options)
    monkeypatch.setattr(subprocess, "run", ask)
    assert skbfleet_tracing.subprocess.run is ask
    for name in ("_own", "_shared"):
        monkeypatch.setattr(validate.ActionModule, name, lambda self, task_vars, host: set())
    monkeypatch.setattr(validate.ActionModule, "_of_play", lambda self: {})

    def run(given, files=()):
        monkeypatch.setattr(load_extra_vars, "extra_vars", given, raising=False)
        monkeypatch.setattr(context, "CLIARGS", {"extra_vars": files})
        action, connection = action_of(validate.ActionModule, {})
        result = action.run(task_vars=variables_of({}, given))
        assert connection.mock_calls == []
        assert all("--check-options" in command for command in asked)
        return result
    return run


def check(result, names, text):
    """It is refused, each sentence is one line that can be shown, and one of them names what is wrong."""
    assert result.get("failed"), text[:300]
    for sentence in result["refusals"]:
        assert sentence.isprintable(), text[:300]
        assert 0 < len(sentence) <= LONGEST
        assert "Traceback" not in sentence
        assert ": " in sentence
    assert any(name in sentence for name in names for sentence in result["refusals"]), (
        text[:300], result["refusals"])
    assert len(result["refusals"]) <= 2, (text[:300], result["refusals"])


@pytest.mark.parametrize("kind", KINDS)
def test_bad_case_files_are_refused(answer, tmp_path, kind):
    path = tmp_path / "c.yml"
    for text, names in make(kind, EACH, SEED):
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        check(answer({"capture_case": str(path)}), names, text)


@pytest.mark.parametrize("kind", OF_VARS)
def test_bad_vars_files_are_refused(answer, tmp_path, kind):
    path = tmp_path / "v.yml"
    for text, names in make(kind, EACH // 2, SEED + 1, case=False):
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            given = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, LookupError):
            continue  # Ansible refuses it before anything of this project is asked
        check(answer(given, ("@" + str(path),)), [*names, "capture_hosts"], text)


def test_there_are_as_many_as_are_said():
    assert sum(len(make(kind, EACH, SEED)) for kind in KINDS) >= 320
