# SPDX-License-Identifier: Apache-2.0
"""The tracers, packed for a host, with what brings them into their states there."""
import base64
import io
import os
import tarfile

KINDS = (".py", ".h", ".c")
ENTRY = "states/skbfleet_capture.py"  # in the archive
_OWN = os.path.dirname(os.path.abspath(__file__))
_STATES = ("bundle", "ending", "examine", "owner", "rundir", "states", "unit")
_PACKAGE = __name__.split(".")[:-1]  # as they import each other


def pack(directory):
    """Return the tracers in a directory as a .tar.gz in base64; raises OSError."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as tar:
        for folder, _folders, names in os.walk(directory):
            inner = os.path.relpath(folder, directory)
            for name in sorted(names):
                if name.endswith(KINDS) and inner.split(os.sep)[0] in (".", "skbtrace"):
                    tar.add(os.path.join(folder, name), arcname=os.path.normpath(os.path.join(inner, name)))
        _add_states(tar)
    return base64.b64encode(memory.getvalue()).decode()


def _add_states(tar):
    """Add what the states of skbfleet_capture are made of, as packages of its own."""
    home = os.path.dirname(ENTRY)
    for depth in range(len(_PACKAGE)):
        tar.addfile(tarfile.TarInfo("/".join([home, *_PACKAGE[:depth + 1], "__init__.py"])))
    for part in _STATES:
        name = "skbfleet_%s.py" % part
        tar.add(os.path.join(_OWN, name), arcname="/".join([home, *_PACKAGE, name]))
    tar.add(os.path.join(_OWN, "skbfleet_entry.py"), arcname=ENTRY)
