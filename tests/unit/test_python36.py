# SPDX-License-Identifier: Apache-2.0
"""What runs on hypervisors runs on Python 3.6: its grammar and library always, a real one where there is one."""
import ast
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOST_SIDE = sorted([*(ROOT / "bpftools").glob("*_*.py"), *(ROOT / "bpftools" / "skbtrace").rglob("*.py"),
                    *(ROOT / "library").glob("*.py"), *(ROOT / "module_utils").glob("*.py")])
CONTROLLER_ONLY = {"merge_captures.py"}
FILES = [path for path in HOST_SIDE if path.name not in CONTROLLER_ONLY]

NEWER_NAMES = {"dataclasses", "contextvars", "nullcontext", "removeprefix", "removesuffix", "cached_property",
               "fromisoformat", "Protocol", "Literal", "Final", "TypedDict"}
NEWER_CLOCKS = {"time_ns", "monotonic_ns", "perf_counter_ns", "clock_gettime_ns"}  # of the module time
NEWER_KEYWORDS = {"run": {"capture_output", "text"}, "check_output": {"text"}, "Popen": {"text"},
                  "add_subparsers": {"required"}, "copytree": {"dirs_exist_ok"}, "unlink": {"missing_ok"}}
GENERICS = {"list", "dict", "tuple", "set", "frozenset", "type"}


def newer_than_36(tree: ast.AST) -> list[str]:
    """Return what Python 3.6 does not have, as line: name."""
    found = []
    for node in ast.walk(tree):
        names = set()
        if isinstance(node, ast.Attribute):
            clocks = NEWER_CLOCKS if getattr(node.value, "id", "") == "time" else set()
            names = {node.attr} & (NEWER_NAMES | clocks)
        elif isinstance(node, ast.ImportFrom):
            newer = NEWER_NAMES | ({"annotations"} if node.module == "__future__" else set())
            newer |= NEWER_CLOCKS if node.module == "time" else set()
            names = ({alias.name for alias in node.names} | {node.module}) & newer
        elif isinstance(node, ast.Import):
            names = {alias.name for alias in node.names} & NEWER_NAMES
        elif isinstance(node, ast.Call):
            function = getattr(node.func, "attr", getattr(node.func, "id", ""))
            names = {keyword.arg for keyword in node.keywords} & NEWER_KEYWORDS.get(function, set())
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            names = {node.value.id} & GENERICS
        found += [f"{node.lineno}: {name}" for name in sorted(names)]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_source_is_of_python_36(path):
    tree = ast.parse(path.read_text(), feature_version=(3, 6))
    assert newer_than_36(tree) == []


@pytest.mark.parametrize("source", [
    "import dataclasses", "from __future__ import annotations", "x: list[str] = []", "subprocess.run([], text=True)",
    "time.time_ns()", "parser.add_subparsers(required=True)", "contextlib.nullcontext()"])
def test_what_is_newer_is_found(source):
    assert newer_than_36(ast.parse(source))


def test_a_walrus_is_newer():
    with pytest.raises(SyntaxError):
        ast.parse("(x := 1)", feature_version=(3, 6))


@pytest.fixture(scope="module")
def python36() -> str:
    """A real Python 3.6."""
    pyenv = pathlib.Path.home().glob(".pyenv/versions/3.6.*/bin/python3.6")
    for found in [shutil.which("python3.6"), *map(str, pyenv)]:
        if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
            return found
    pytest.skip("there is no Python 3.6 on this machine")


def test_the_tracers_check_their_options_on_a_real_one(python36):
    for tracer in ("multi_protocol_drop_monitor.py", "packet_datapath_tracing.py"):
        done = subprocess.run([python36, ROOT / "bpftools" / tracer, "--check-options", "--src=192.0.2.1"], text=True,
                              capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        done = subprocess.run([python36, ROOT / "bpftools" / tracer, "--check-options", "--src=bad"], text=True,
                              capture_output=True, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith("error: --src is 'bad'")


IMPORTS = """
import importlib, os, pkgutil, sys, types
root = sys.argv[1]
for name in ("ansible", "ansible.module_utils", "ansible.module_utils.basic"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["ansible.module_utils"].__path__ = [os.path.join(root, "module_utils")]
sys.modules["ansible.module_utils.basic"].AnsibleModule = object
for name in sorted(os.listdir(os.path.join(root, "module_utils"))):
    if name.endswith(".py"):
        importlib.import_module("ansible.module_utils." + name[:-3])
sys.path[:0] = [os.path.join(root, "library"), os.path.join(root, "bpftools")]
for name in sorted(os.listdir(os.path.join(root, "library"))):
    if name.endswith(".py"):
        importlib.import_module(name[:-3])
import skbtrace
for module in pkgutil.walk_packages(skbtrace.__path__, "skbtrace."):
    importlib.import_module(module.name)
"""


def test_everything_can_be_imported_by_a_real_one(python36):
    done = subprocess.run([python36, "-B", "-c", IMPORTS, ROOT], text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


CAPTURE = """
import json, os, sys, time, types
root, base = sys.argv[1:]
for name in ("ansible", "ansible.module_utils"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["ansible.module_utils"].__path__ = [os.path.join(root, "module_utils")]
from ansible.module_utils.skbfleet_states import STATES
params = {"run_id": "r", "remote_dir": base, "tracers": {"drop_monitor": []}, "python": sys.executable, "host": "h",
          "wait_window": 20, "measure": 0, "timeout": 10, "close": False, "owner": os.getuid(),
          "clock_difference_ns": 0, "unit": True, "max_cpu": 200, "max_memory": 512 << 20, "lasts": 60,
          "start_ns": int((time.time() + 0.5) * 1e9), "end_ns": int((time.time() + 0.6) * 1e9)}
os.umask(0o077)
states = [STATES[state](params, False) for state in ("armed", "started", "finished", "absent")]
print(json.dumps([states[2]["status"], states[2]["why"], os.path.exists(base)]))
"""


def test_the_module_captures_on_a_real_one(python36, tmp_path):
    fakes, run = tmp_path / "fakes", tmp_path / "skbfleet" / "r"
    fakes.mkdir()
    run.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "support" / "fake_tracer.py", fakes / "multi_protocol_drop_monitor.py")
    subprocess.run([sys.executable, "-m", "tarfile", "-c", run / "tools.tar.gz", "multi_protocol_drop_monitor.py"],
                   cwd=fakes, check=True)
    done = subprocess.run([python36, "-B", "-c", CAPTURE, ROOT, tmp_path / "skbfleet"], text=True, capture_output=True,
                          check=False)
    assert (done.stdout, done.stderr) == ('["complete", "", false]\n', "")
