# SPDX-License-Identifier: Apache-2.0
"""Where things are kept: $SKBFLEET_CACHE, else $XDG_CACHE_HOME/skbfleet, else ~/.cache/skbfleet."""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FIRST_PORT = int(os.environ.get("SKBFLEET_PORTS", "42220"))  # management ssh of the first machine


def cache() -> Path:
    """Return the cache directory, which is made on first use."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skbfleet"
    path = Path(os.environ.get("SKBFLEET_CACHE") or default)
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def state(name: str) -> Path:
    """Return the directory that holds pid file, sockets and logs of the machine called `name`."""
    return cache() / "machines" / name


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Keep two processes from building the same thing at the same time."""
    with open(cache() / f"{name}.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def key(name: str) -> Path:
    """Return the private key called `name` (`access`: ours, `host`: the machines'); make it on first use."""
    path = cache() / f"{name}_key"
    with lock("keys"):
        if not path.exists():
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "skbfleet", "-f", str(path)]
            subprocess.run(command, check=True)
    return path


def public(name: str) -> str:
    """Return the public half of key `name` as one line of text."""
    return key(name).with_name(f"{name}_key.pub").read_text()


def known_hosts() -> Path:
    """Return a known_hosts file: all machines share one host key and are known by one alias."""
    path = cache() / "known_hosts"
    path.write_text(f"skbfleet-machine {public('host')}")
    return path
