# SPDX-License-Identifier: Apache-2.0
"""Brings a bundle home from a host, up to a size, checks and unpacks it.

Its documentation is in library/skbfleet_fetch.py.
"""
import os
import resource

import ansible.module_utils
from ansible.plugins.action import ActionBase

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_apart import apart
from ansible.module_utils.skbfleet_bundle import unpack_whole
from ansible.module_utils.skbfleet_contact import answer_of
from ansible.module_utils.skbfleet_foreign import as_data, shown
from ansible.module_utils.skbfleet_rundir import RunError


def unpacked(archive, args):
    """Unpack a bundle, which is removed; return the names of its files, or in one sentence what is wrong with it."""
    os.umask(0o077)
    try:
        return {"changed": True, "files": unpack_whole(
            archive, args["sha256"], args["dest"], int(args["most"]), args["host"], args["run_id"])}
    except RunError as error:
        return {"failed": True, "msg": shown(error)}
    except OSError as error:
        return {"failed": True, "msg": shown("%s: %s" % (error.filename or archive, error.strerror or error))}


class ActionModule(ActionBase):
    """Returns the names of the files, or why there are none."""

    _VALID_ARGS = frozenset(["src", "sha256", "archive", "dest", "host", "run_id", "most"])

    def run(self, tmp=None, task_vars=None):
        """Fetch and unpack, without the start of a module, which takes longer than either."""
        super().run(tmp, task_vars)
        args = self._task.args
        answer = self._bring(args["src"], args["archive"], int(args["most"]))
        return answer if answer.get("failed") else as_data(apart(lambda: unpacked(args["archive"], args)))

    def _bring(self, source, target, most):
        """Fetch; the kernel ends whatever writes more than `most` bytes: a host may send without end."""
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        umask = os.umask(0o077)
        os.makedirs(os.path.dirname(target), exist_ok=True)  # of a run that another controller began
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        try:
            answer = answer_of(lambda: self._fetch(source, target), self._connection)
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
        return {"changed": True}
