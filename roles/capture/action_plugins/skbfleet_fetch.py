# SPDX-License-Identifier: Apache-2.0
"""Brings a file home from a host, up to a size.

Its documentation is in library/skbfleet_fetch.py.
"""
import os
import resource

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_contact import answer_of
from ansible.module_utils.skbfleet_foreign import as_data


class ActionModule(ActionBase):
    """Returns how many bytes came, or why none did."""

    _VALID_ARGS = frozenset(["src", "dest", "most"])

    def run(self, tmp=None, task_vars=None):
        """Fetch; the kernel ends whatever writes more than `most` bytes: a host may send without end."""
        super().run(tmp, task_vars)
        target, most = self._task.args["dest"], int(self._task.args["most"])
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        umask = os.umask(0o077)
        os.makedirs(os.path.dirname(target), exist_ok=True)  # of a run that another controller began
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        try:
            answer = answer_of(lambda: self._fetch(self._task.args["src"], target), self._connection)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            os.umask(umask)
        if answer.get("failed") and os.path.exists(target):
            size = os.path.getsize(target)
            os.unlink(target)
            if size >= most:
                answer = as_data({"failed": True, "msg": "its bundle is larger than the %d MiB that capture_max_bytes "
                                                         "allows" % (most >> 20)})
        return answer

    def _fetch(self, source, target):
        try:
            self._connection.fetch_file(source, target)
        except OSError as error:
            return {"failed": True, "msg": "the bundle cannot be fetched: %s" % (error.strerror or error)}
        if os.path.islink(target) or not os.path.isfile(target):
            return {"failed": True, "msg": "what was fetched is no file"}
        return {"changed": True, "bytes": os.path.getsize(target)}
