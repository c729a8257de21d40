# SPDX-License-Identifier: Apache-2.0
"""Writes a case file from what is given with -e, after checking it.

Its documentation is in library/skbfleet_write_case.py.
"""
import datetime
import os

import ansible.module_utils
from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_case import FILE, HOSTS, Case, check_value, day_of, names_of
from ansible.module_utils.skbfleet_foreign import as_data, said, shown
from ansible.module_utils.skbfleet_names import Refusals, Refused, check_given, specifications
from ansible.module_utils.skbfleet_settings import OF_A_CASE, PREFIX
from ansible.module_utils.skbfleet_tracing import check_arguments
from ansible.module_utils.skbfleet_written import case_text


class ActionModule(ActionBase):
    """Returns path, or sentences."""

    _requires_connection = False
    _VALID_ARGS = frozenset(["roles", "tools"])

    def run(self, tmp=None, task_vars=None):
        """Check all that is given, then write."""
        super().run(tmp, task_vars)
        try:
            return as_data({"changed": True, "path": self._write(self._task.args)})
        except Refused as error:
            return as_data({"failed": True, "msg": str(error), "refusals": [shown(one) for one in error.args]})

    def _write(self, args):
        specs, given = specifications(args["roles"]), load_extra_vars(self._loader)
        given = {name: str(value) if isinstance(value, datetime.date) else value for name, value in given.items()}
        refusals, values = Refusals(), {}
        with refusals.gathered():
            check_given(given, list(specs))
        allowed = names_of(specs)
        for name in sorted(specs):
            if name in given and name != FILE:
                with refusals.gathered():
                    values[name] = (check_single(given[name], specs, refusals) if name == HOSTS
                                    else check_value(name, given[name], specs, allowed))
        with refusals.gathered():
            check_expiry(values.get("case_expires"), datetime.datetime.now(datetime.timezone.utc).date())
        with refusals.gathered():
            path = new_path(given.get(FILE))
        check_tracers(values, specs, args["tools"], refusals)
        refusals.tell()
        text = case_text(path, {name: value for name, value in values.items() if value not in (None, "")}, specs)
        return path if self._task.check_mode else keep(path, text, specs)


def check_expiry(last, today):
    """Refuse a case that could not be run any more. last: its last day as text, None if it has none."""
    if last and day_of(last) < today:
        raise Refused("case_expires is %s: it must be today (%s) or later" % (last, today))


def new_path(given):
    """Return where the case is to be written."""
    if given in (None, ""):
        raise Refused("%s is not set: it must be a file that is not there yet, in a directory that is" % FILE)
    path = os.path.abspath(os.path.expanduser(str(given))) if isinstance(given, str) and given else ""
    if not path or not path.isprintable() or os.path.lexists(path) or not os.path.isdir(os.path.dirname(path)):
        raise Refused("%s is %s: it must be a file that is not there yet, in a directory that is" % (FILE, said(given)))
    return path


def check_tracers(values, specs, tools, refusals):
    """Let the tracers check what the case would make of them, for all hosts and for each that has values of its own."""
    for own in [{}] + list(values.get(HOSTS, {}).values()):
        settings = {name[len(PREFIX):]: own.get(name, values.get(name, specs[name].get("default")))
                    for name in OF_A_CASE}
        check_arguments(settings, tools, (), refusals, constants.DEFAULT_LOCAL_TMP)


def check_single(hosts, specs, refusals):
    """Return the values for single hosts, typed."""
    if not isinstance(hosts, dict) or not all(isinstance(own, dict) for own in hosts.values()):
        raise Refused("%s is %s: it must map names of hosts to variables" % (HOSTS, said(hosts)))
    made = {}
    for host, own in hosts.items():
        made[str(host)] = {}
        for name, value in own.items():
            with refusals.gathered("for %s, " % shown(host, 100)):
                made[str(host)][name] = check_value(name, value, specs, OF_A_CASE)
    return made


def keep(path, text, specs):
    """Write a case, 0600, unless it is none; return its path."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Refused("%s is %s: it cannot be written: %s" % (FILE, said(path), error.strerror)) from error
    wrong = Case(path, specs, FILE).sentences()
    if wrong:
        os.unlink(path)
        raise Refused(*wrong)
    return path
