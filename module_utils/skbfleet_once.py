# SPDX-License-Identifier: Apache-2.0
"""What is the same for all hosts of a run is done once on the controller, though each host has a process of its own."""
import contextlib
import fcntl
import json
import os
import tempfile


def once(path, call):
    """Return what a call returns (JSON), which is kept in a file for whoever needs the same.

    path: in a directory of this run's alone. Where nothing can be kept, each host calls.
    """
    with _alone(path + ".lock"):
        try:
            with open(path) as handle:
                return json.load(handle)
        except (OSError, ValueError):
            answer = call()
        _keep(path, answer)
    return answer


@contextlib.contextmanager
def _alone(path):
    """Let nobody else do the same meanwhile: the hosts of all forks would, at once."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    except OSError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _keep(path, answer):
    with contextlib.suppress(OSError):    # the disk is full, say
        with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(path), delete=False) as made:
            json.dump(answer, made)
        os.replace(made.name, path)    # whole, whoever reads it now
