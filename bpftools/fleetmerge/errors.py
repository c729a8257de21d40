# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with the input; each message is one sentence for the user."""
import sys


class MergeError(Exception):
    """The merge cannot be done at all; nothing has been written."""


class BundleError(MergeError):
    """One bundle cannot be used; the others can."""


def packages_missing(error: ModuleNotFoundError) -> str:
    """Return what to tell whoever runs a command with a Python that lacks a package; other errors are raised again."""
    if not error.name or error.name.partition(".")[0] in ("fleetmerge", "skbtrace"):
        raise error
    return "error: %s has no package %s: run the command with a Python that has the packages of requirements.txt" % (
        sys.executable, error.name)
