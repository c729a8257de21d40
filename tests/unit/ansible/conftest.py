# SPDX-License-Identifier: Apache-2.0
"""Makes the modules' shared code, and the plugins, importable as Ansible imports them."""
import contextlib
import importlib
import importlib.util
import os
import pathlib
import shutil
import signal
import sys
import types

import ansible.module_utils
import pytest
from ansible import context
from ansible.utils.vars import load_extra_vars
from support.validation import action_of, ask_in_process, variables_of

ROOT = pathlib.Path(__file__).resolve().parents[3]
FAKE = ROOT / "tests" / "support" / "fake_tracer.py"
PROGRAMS = ("multi_protocol_drop_monitor.py", "packet_datapath_tracing.py")

ansible.module_utils.__path__.append(str(ROOT / "module_utils"))


def plugin(role: str, kind: str, name: str) -> types.ModuleType:
    """Import a role's plugin; kind: action, filter."""
    path = ROOT / "roles" / role / f"{kind}_plugins" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_{kind}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def validate() -> types.ModuleType:
    """The action plugin skbfleet_validate."""
    return plugin("capture", "action", "skbfleet_validate")


@pytest.fixture(scope="session")
def reach() -> types.ModuleType:
    """The action plugin skbfleet_reach."""
    return plugin("capture", "action", "skbfleet_reach")


@pytest.fixture(scope="session")
def runs() -> types.ModuleType:
    """The action plugin skbfleet_runs."""
    return plugin("compare", "action", "skbfleet_runs")


@pytest.fixture(scope="session")
def answers() -> types.ModuleType:
    """What is in the way on a host."""
    return importlib.import_module("ansible.module_utils.skbfleet_obstacles")


@pytest.fixture(scope="session")
def pack() -> types.ModuleType:
    """The filter skbfleet_pack."""
    return plugin("capture", "filter", "skbfleet_pack")


@pytest.fixture(scope="session")
def preflight() -> types.ModuleType:
    """The preflight's table."""
    return importlib.import_module("ansible.module_utils.skbfleet_preflight")


@pytest.fixture(scope="session")
def profiles() -> types.ModuleType:
    """The filter skbfleet_profiles."""
    return plugin("preflight", "filter", "skbfleet_profiles")


@pytest.fixture(scope="session")
def pair() -> types.ModuleType:
    """The action plugin skbfleet_pair."""
    return plugin("pair", "action", "skbfleet_pair")


@pytest.fixture(scope="session")
def decide() -> types.ModuleType:
    """Which hosts carry a pair."""
    return importlib.import_module("ansible.module_utils.skbfleet_decide")


@pytest.fixture
def plan(validate, monkeypatch, tmp_path):
    """Call the plugin with variables of the inventory, with -e, and with further arguments of the task."""
    monkeypatch.setattr(validate.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(importlib.import_module("ansible.module_utils.skbfleet_tracing").subprocess, "run",
                        ask_in_process)

    def run(inventory=None, given=None, check=False, own=(), extra_files=(), **arguments):
        inventory, given = {"capture_everything": True, **(inventory or {})}, given or {}
        monkeypatch.setattr(load_extra_vars, "extra_vars", given or {"unrelated": 1}, raising=False)
        monkeypatch.setattr(context, "CLIARGS", {"extra_vars": extra_files})
        for name, found in (("_own", own), ("_shared", inventory)):
            monkeypatch.setattr(validate.ActionModule, name, lambda self, task_vars, host, found=found: set(found))
        monkeypatch.setattr(validate.ActionModule, "_of_play", lambda self: {})
        action, _connection = action_of(validate.ActionModule, arguments, check)
        result = action._plan(action._task.args, variables_of(inventory, given))
        return dict(result, templar=action._templar)
    return run


@pytest.fixture
def refusal(plan, validate):
    """Return the sentences with which the plugin refuses, a line each."""
    def run(*args, **kwargs):
        with pytest.raises(validate.Refused) as caught:
            plan(*args, **kwargs)
        return str(caught.value)
    return run


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


@pytest.fixture
def host(tmp_path, fake_tools, python, monkeypatch):
    """One run on one host, of which nothing goes on behind the test."""
    from ansible.module_utils import skbfleet_rundir
    from support.states import BOTH, Host
    monkeypatch.setattr(skbfleet_rundir, "TERM_GRACE_S", 0.5)
    made = Host(tmp_path / "skbfleet", fake_tools, python)
    old = os.umask(0o077)
    yield made
    os.umask(old)
    for name in BOTH:
        pid = skbfleet_rundir.Tracer(str(made.run_dir), name).pid()
        if pid:
            with contextlib.suppress(ProcessLookupError):  # one that failed to arm ends by itself
                os.kill(pid, signal.SIGKILL)
