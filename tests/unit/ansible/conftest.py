# SPDX-License-Identifier: Apache-2.0
"""Makes the modules' shared code, and the action plugin, importable as Ansible imports them."""
import importlib.util
import pathlib
import shutil
import sys
import types

import ansible.module_utils
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
FAKE = ROOT / "tests" / "support" / "fake_tracer.py"
PROGRAMS = ("multi_protocol_drop_monitor.py", "packet_datapath_tracing.py")

ansible.module_utils.__path__.append(str(ROOT / "module_utils"))


def action_plugin(name: str) -> types.ModuleType:
    """Import one of the role's action plugins."""
    path = ROOT / "roles" / "capture" / "action_plugins" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_action", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def validate() -> types.ModuleType:
    """The action plugin skbfleet_validate."""
    return action_plugin("skbfleet_validate")


@pytest.fixture(scope="session")
def reach() -> types.ModuleType:
    """The action plugin skbfleet_reach."""
    return action_plugin("skbfleet_reach")


@pytest.fixture
def fake_tools(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory of tools in which both tracers are fakes."""
    tools = tmp_path / "fakes"
    tools.mkdir()
    for program in PROGRAMS:
        shutil.copy(FAKE, tools / program)
    return tools


@pytest.fixture
def python() -> str:
    """The Python that runs the fakes."""
    return sys.executable
