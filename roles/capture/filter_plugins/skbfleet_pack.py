# SPDX-License-Identifier: Apache-2.0
"""The tracers, packed for a host."""
import os

import ansible.module_utils
from ansible.errors import AnsibleFilterError

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_tools import pack


def packed(directory):
    """Return the tracers in a directory as a .tar.gz in base64."""
    try:
        return pack(directory)
    except OSError as error:
        raise AnsibleFilterError("the tracers in %s cannot be packed: %s" % (directory, error)) from error


class FilterModule:
    """The filter."""

    def filters(self):
        """Return name -> function."""
        return {"skbfleet_pack": packed}
