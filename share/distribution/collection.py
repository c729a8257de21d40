#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lay the project out as an Ansible collection, in DIRECTORY/ansible_collections, and build its archive beside it."""
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bpftools"))

from skbtrace import VERSION  # noqa: E402

NAMESPACE, NAME = "skbfleet", "tracing"
COLLECTION = NAMESPACE + "." + NAME

# What goes to which folder of the collection; "" keeps its path.
LAYOUT = (
    ("library/*.py", "plugins/modules"),
    ("module_utils/*.py", "plugins/module_utils"),
    ("callback_plugins/*.py", "plugins/callback"),
    ("roles/*/action_plugins/*.py", "plugins/action"),
    ("roles/*/filter_plugins/*.py", "plugins/filter"),
    ("roles/*/defaults/*", ""), ("roles/*/files/*", ""), ("roles/*/meta/*", ""), ("roles/*/tasks/*", ""),
    ("roles/*/vars/*", ""),
    ("playbooks/**/*", ""),
    ("bpftools/**/*", ""),
    ("inventories/lab/**/*", ""), ("inventories/example/**/*", ""),
    ("share/wireshark/**/*", ""),
    ("*.md", ""), ("LICENSE", ""), ("requirements*.txt", ""), ("bindep.txt", ""),
)
# What is for a checkout only.
LEFT_OUT = ("playbooks/setup.yml", "playbooks/demo.yml", "roles/case/files/schema.py", "requirements-dev.txt",
            "CONTRIBUTING.md")

GALAXY = f"""\
namespace: {NAMESPACE}
name: {NAME}
version: {VERSION}
readme: README.md
authors: [The skbfleet authors]
description: Finds where packets get lost on a fleet of hypervisors, with two BPF tracers
license: [Apache-2.0]
tags: [networking, linux, bpf, tracing, monitoring]
"""
RUNTIME = """\
---
requires_ansible: ">=2.16.19"
"""

# In a checkout a plugin looks for module_utils by itself; in a collection Ansible finds them.
SEARCH = re.compile(r"^import ansible\.module_utils\n|^SHARED = .*\nif SHARED not in .*\n +.+\(SHARED\)\n\n", re.M)


def lay_out(directory: pathlib.Path) -> pathlib.Path:
    """Make DIRECTORY/ansible_collections/NAMESPACE/NAME anew, and return it."""
    stage = directory / "ansible_collections" / NAMESPACE / NAME
    shutil.rmtree(stage, ignore_errors=True)
    for source, target in files():
        (stage / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, stage / target)
    (stage / "galaxy.yml").write_text(GALAXY)
    (stage / "meta").mkdir()
    (stage / "meta" / "runtime.yml").write_text(RUNTIME)
    plugins = "|".join(path.stem for kind in ("modules", "filter") for path in stage.glob(f"plugins/{kind}/*.py"))
    for path in stage.rglob("*"):
        if path.suffix in (".py", ".yml", ".md"):
            path.write_text(adapted(path.read_text(), plugins))
    return stage


def files() -> Iterator[tuple[pathlib.Path, pathlib.Path]]:
    """Yield each file of the collection: where it is, and where it goes."""
    for pattern, folder in LAYOUT:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT)
            if path.is_file() and "__pycache__" not in name.parts and str(name) not in LEFT_OUT:
                yield path, pathlib.Path(folder, name.name) if folder else name


def adapted(text: str, plugins: str) -> str:
    """Return a file's text with everything under its name in the collection; plugins: names, for an expression."""
    if SEARCH.search(text):
        text = SEARCH.sub("", text)
        if not re.search(r"\bos\.", text):
            text = text.replace("import os\n", "")
    text = re.sub(r"ansible\.module_utils(?=\.skbfleet_| import skbfleet_)",
                  f"ansible_collections.{COLLECTION}.plugins.module_utils", text)
    # where a task calls a module, a template a filter, and where a manual names them
    text = re.sub(rf"(^ +)({plugins})(?=:$)|(\| |\b[MP]\()({plugins})\b",
                  lambda found: f"{found[1] or found[3]}{COLLECTION}.{found[2] or found[4]}", text, flags=re.M)
    text = text.replace("author: The skbfleet authors", "author: The skbfleet authors (!UNKNOWN)")  # of no GitHub name
    return re.sub(r"\bplaybooks/(\w+)\.yml", COLLECTION + r".\1", text)


def build(directory: pathlib.Path) -> None:
    """Make the collection, and its archive in the directory."""
    subprocess.run(["ansible-galaxy", "collection", "build", lay_out(directory), "--output-path", directory, "--force"],
                   check=True)


if __name__ == "__main__":
    build(pathlib.Path(sys.argv[1]).absolute())
