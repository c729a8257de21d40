# SPDX-License-Identifier: Apache-2.0
"""The runbook's form: what it asks people to run exists, and each situation can be made on the lab."""
import re

import pytest
import yaml
from runbook.book import Situation, missing, situations
from runbook.scenes import SCENES
from support.lab import ROOT

DECLARED = {name for specs in ROOT.glob("roles/*/meta/argument_specs.yml")
            for entry in yaml.safe_load(specs.read_text())["argument_specs"].values() for name in entry["options"]}


def test_each_situation_has_a_scene() -> None:
    titles = [situation.title for situation in situations()]
    assert len(titles) >= 15 and sorted(titles) == sorted(SCENES)


@pytest.mark.parametrize("situation", situations(), ids=lambda situation: situation.title)
def test_a_situation(situation: Situation) -> None:
    assert situation.commands and situation.shown
    for command in situation.commands:
        for playbook in re.findall(r"ansible-playbook (\S+)", command):
            assert (ROOT / playbook).is_file()
        assert set(re.findall(r"-e (\w+)=", command)) <= DECLARED


@pytest.mark.parametrize(("shown", "said", "gone"), [
    ("- 47 packets were lost […] by\n  the rule", "- 9 packets were lost on hv-b, by the rule", []),
    ("- 47 packets were lost", "- packets were lost", ["- 47 packets were lost"]),
    ("exit status 10", "exit status 0", ["exit status 10"]), ("exit status 1", "exit status 10", ["exit status 1"]),
    ("run 20261122T112750Z on hv-a", "run 20261127T054159Z on hv-a", []),
    ("run 20261122T112750Z on hv-a", "run 20261127T054159Z on hv-b", ["run 20261122T112750Z on hv-a"]),
    ("src=192.168.32.10", "src=192.168.32.20", ["src=192.168.32.10"]),
    ("52:54:00:32:00:14 at vnet0", "52:54:00:32:00:0a at vnet0", ["52:54:00:32:00:14 at vnet0"]),
    ("- a: 1\n- b: 2.5 of", "- b: 3.75 of […]\n- a: 22", [])])
def test_what_is_compared(shown: str, said: str, gone: list[str]) -> None:
    assert missing(shown, said) == gone
