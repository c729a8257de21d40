# SPDX-License-Identifier: Apache-2.0
"""The Ansible collection has everything that the checkout has, by its names there."""
import pathlib
import re

import collection
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> pathlib.Path:
    """The collection, laid out."""
    return collection.lay_out(tmp_path_factory.mktemp("build"))


def names(folder: pathlib.Path, pattern: str) -> set[str]:
    return {path.name for path in folder.glob(pattern)}


@pytest.mark.parametrize(("here", "there"), [
    ("library/*.py", "plugins/modules/*.py"), ("module_utils/*.py", "plugins/module_utils/*.py"),
    ("callback_plugins/*.py", "plugins/callback/*.py"), ("roles/*/action_plugins/*.py", "plugins/action/*.py"),
    ("roles/*/filter_plugins/*.py", "plugins/filter/*.py"), ("roles/*", "roles/*"), ("bpftools/*.py", "bpftools/*.py"),
    ("bpftools/skbtrace/programs/bpf/*", "bpftools/skbtrace/programs/bpf/*")])
def test_nothing_is_missing(stage, here, there):
    assert names(stage, there) - {"__pycache__"} == names(ROOT, here) - {"__pycache__"} != set()


def test_only_what_is_the_checkouts_own_is_left_out(stage):
    assert names(ROOT, "playbooks/*.yml") - names(stage, "playbooks/*.yml") == {"demo.yml", "setup.yml"}


def test_no_name_of_the_checkout_is_left(stage):
    checkouts = re.compile(r"ansible\.module_utils(\.| import )skbfleet|SHARED not in|^ +skbfleet_\w+:$|\| skbfleet_|"
                           r"\b[MP]\(skbfleet_|playbooks/\w+\.yml", re.M)
    left = {path: found.group() for path in stage.rglob("*") if path.suffix in (".py", ".yml", ".md")
            for found in checkouts.finditer(path.read_text())}
    assert left == {}


def test_there_is_one_version(stage):
    version = re.search(r'^VERSION = "(.+)"$', (ROOT / "bpftools/skbtrace/__init__.py").read_text(), re.M)[1]
    assert yaml.safe_load((stage / "galaxy.yml").read_text())["version"] == version
    assert f"## {version}" in (stage / "CHANGELOG.md").read_text()
