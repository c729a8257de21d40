# SPDX-License-Identifier: Apache-2.0
"""The execution environment is one that ansible-builder takes, with the project's own versions and packages."""
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFINITION = yaml.safe_load((ROOT / "execution-environment.yml").read_text())


@pytest.fixture(scope="module")
def version() -> str:
    """The project's version."""
    return re.search(r'^VERSION = "(.+)"$', (ROOT / "bpftools/skbtrace/__init__.py").read_text(), re.M)[1]


def test_ansible_builder_makes_its_context_from_it(tmp_path, version):
    for name in ("execution-environment.yml", "requirements.txt", "bindep.txt"):
        shutil.copy(ROOT / name, tmp_path)
    archive = tmp_path / "build" / f"skbfleet-tracing-{version}.tar.gz"
    archive.parent.mkdir()
    archive.write_bytes(b"a collection")
    done = subprocess.run([sys.executable, "-m", "ansible_builder", "create", "--context", "context"], cwd=tmp_path,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "context/_build/collection" / archive.name).read_bytes() == b"a collection"
    assert (tmp_path / "context/_build/requirements.txt").read_text() == (ROOT / "requirements.txt").read_text()
    (collection,) = yaml.safe_load((tmp_path / "context/_build/requirements.yml").read_text())["collections"]
    assert pathlib.Path(collection["name"]).name == archive.name


def test_its_ansible_is_the_projects():
    pin = DEFINITION["dependencies"]["ansible_core"]["package_pip"]
    assert re.search(rf"^{re.escape(pin)}\b", (ROOT / "requirements.txt").read_text(), re.M)


def test_its_packages_are_the_controllers():
    packages = yaml.safe_load((ROOT / "roles/prereqs/vars/main.yml").read_text())["__prereqs_packages"]
    wanted = re.findall(r"^(\S+) \[platform:rpm\]$", (ROOT / "bindep.txt").read_text(), re.M)
    assert sorted([*wanted, "python3"]) == sorted(packages["RedHat"]["controller"])
