# SPDX-License-Identifier: Apache-2.0
"""Checks a host's capture_ variables on the controller and turns them into settings and tracer arguments.

This is an action plugin because only here variables can be looked at before Ansible evaluates templates in them.
Its documentation is in library/skbfleet_validate.py.
"""
import datetime
import os
import time

import ansible.module_utils
from ansible import constants, context
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars
from ansible.vars.plugins import get_vars_from_inventory_sources, get_vars_from_path

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils.skbfleet_case import ABOUT, COMMAND, HOSTS, Case, check_plain, place_of
from ansible.module_utils.skbfleet_foreign import as_data, said, shown
from ansible.module_utils.skbfleet_names import Refusals, Refused, check_given, check_prefix, specifications
from ansible.module_utils.skbfleet_settings import (
    LIMITS,
    OF_THE_SITE,
    PREFIX,
    TYPES,
    WHICH,
    check_bounds,
    check_duration,
    check_host,
    check_settings,
    name_run,
    typed,
)
from ansible.module_utils.skbfleet_told import about, looks, origins, plan, rescue
from ansible.module_utils.skbfleet_tracing import check_arguments

SENTENCE = 3000  # characters
DAY = 86400  # s
NEEDED = ("int", "float")  # types of which no variable can do without a value
GIVEN, CASE, ALONE, PLAY, INVENTORY, DEFAULT = "-e", "case", "host_vars", "playbook", "inventory", "default"


class Sources:
    """Where a host's variables are set, and what holds: -e, the case for the host, host_vars, the case, the rest."""

    def __init__(self, host, given, files, case):
        self.given, self.files, self.case = given, files, case
        self.single = case.hosts.get(host, {}) if case else {}
        self.alone, self.shared, self.play = (), (), {}
        self.host, self.wrong = host, set()  # names of what was refused already

    def choose(self, name):
        """Return (value, origin), value None if it is Ansible's to tell."""
        if name in self.given:
            return self.given[name], GIVEN
        if name in self.single:
            return self.single[name], CASE
        if self.case and name in self.case.values and name not in self.alone:
            return self.case.values[name], CASE
        for origin, names in ((PLAY, self.play), (ALONE, self.alone), (INVENTORY, self.shared)):
            if name in names:
                return None, origin
        return None, DEFAULT

    def place(self, name, origin):
        """Return how a sentence begins about a value from there: with its file and line, if it has one."""
        if origin == CASE:
            where = self.host if name in self.single else ""
            return place_of(self.case.path, self.case.lines[where, name]) + ("for %s, " % where if where else "")
        if origin == GIVEN:
            for case in reversed(self.files):
                if ("", name) in case.lines:
                    return place_of(case.path, case.lines["", name])
        return ""


class ActionModule(ActionBase):
    """Returns settings (typed, without the prefix) and arguments (words for each tracer), or sentences."""

    _requires_connection = False
    _VALID_ARGS = frozenset(["specification", "tools", "stamp", "run", "only", "reproduce"])

    def run(self, tmp=None, task_vars=None):
        """Check everything that can be known without the host."""
        result = super().run(tmp, task_vars)
        try:
            result.update(as_data(self._plan(self._task.args, task_vars or {})))
        except Refused as error:
            sentences = [shown(sentence, SENTENCE) for sentence in error.args]
            result.update(failed=True, msg=as_data("\n".join(sentences)), refusals=as_data(sentences))
        return result

    def _plan(self, args, task_vars):
        """Return the plan; what does not depend on each other is all checked before anything is refused."""
        every = specifications(os.path.dirname(os.path.dirname(os.path.dirname(args["specification"]))))
        specs = {name: spec for name, spec in every.items() if name.startswith(PREFIX) and name != HOSTS}
        refusals, new = Refusals(), args.get("run", "new") == "new"
        sources = self._sources(every, task_vars, refusals, new)
        settings, doubtful, came = self._settings(specs, sources, task_vars, refusals)
        settings["tracers"] = args.get("only") or settings["tracers"]
        if args.get("reproduce"):
            with refusals.gathered():
                settings[COMMAND] = self._command(sources.given, task_vars)
        with refusals.gathered():
            check_host(task_vars["inventory_hostname"])
        own, arguments = self._checked(settings, doubtful, args, new)
        refusals += [self._placed(sentence, sources, came) for sentence in own]
        if new and not refusals:
            with refusals.gathered():
                check_bounds(settings)
        if args.get("run", "new") != "any":
            with refusals.gathered():
                check_limit(task_vars)
        refusals.tell()
        return {"changed": False, "settings": settings, "arguments": arguments,
                **self._told(sources, settings, came, task_vars, new)}

    @staticmethod
    def _checked(settings, doubtful, args, new):
        """Return (sentences about values, each tracer's words); doubtful: names of what was refused already."""
        own = Refusals()
        with own.gathered():
            check_settings(settings)
        with own.gathered():
            name_run(settings, args.get("run", "new"), args["stamp"])
        arguments = check_arguments(settings, args["tools"], doubtful, own, constants.DEFAULT_LOCAL_TMP)
        if not doubtful and not own:
            with own.gathered():
                check_duration(settings)
        if new and not doubtful and not own:
            with own.gathered():
                settle_start(settings, time.time())
        return [sentence for sentence in own
                if not any(sentence.startswith(PREFIX + name + " ") for name in doubtful)], arguments

    def _told(self, sources, settings, came, task_vars, new):
        """Return what of the plan is for persons, and which hosts take part."""
        case = sources.case.about if sources.case else {}
        hosts = task_vars["ansible_play_hosts_all"]
        if new and case.get("case_hosts"):
            hosts = [host for host in hosts if host in case["case_hosts"]]
            if not hosts:
                raise Refused("case_hosts is %s: it must name a host of this run, %s"
                              % (said(case["case_hosts"]), shown(", ".join(task_vars["ansible_play_hosts_all"]), 500)))
        words = about(case) + plan(settings, WHICH, hosts) if new else []
        if words and not self._task.check_mode:
            words.append(rescue(settings["run_id"], inventories()))
        return {"hosts": hosts, "case": case, "words": words, "ask": bool(new and sources.case and not settings["yes"]),
                "origins": looks(settings) + origins(settings, came, sources.case.path if sources.case else "")
                if new and self._task.check_mode else []}

    @staticmethod
    def _placed(sentence, sources, came):
        """Return a sentence about a value with its place in a file, if it has one."""
        for name, origin in came.items():
            if sentence.startswith(PREFIX + name + " "):
                return sources.place(PREFIX + name, origin) + sentence
        return sentence

    def _sources(self, every, task_vars, refusals, new):
        """Return Sources; refusals get what is wrong with names, and what may not be set there."""
        given = load_extra_vars(self._loader)
        files = self._files(every, refusals)
        told = {name for case in files for _host, name in case.lines}
        with refusals.gathered():
            check_given({name: value for name, value in given.items() if name not in told}, list(every))
        known = [name for name in every if name.startswith(PREFIX) and name != HOSTS]
        with refusals.gathered():
            check_prefix({name: value for name, value in task_vars.items() if name not in given}, PREFIX, known)
        given = {name: value for name, value in given.items() if name in known or name.startswith(ABOUT)
                 or name in (COMMAND, HOSTS)}
        wrong = set()
        for name in sorted(given):
            try:
                self._check_given_value(name, given, files)
            except Refused as error:
                wrong.add(name)
                refusals += error.args
        host = task_vars["inventory_hostname"]
        case = self._case(given, task_vars, every, refusals, new)
        sources = Sources(host, {name: value for name, value in given.items() if name in known or name == COMMAND},
                          files, case)
        sources.wrong = wrong | (case.doubtful(host) if case else set())
        if case or new and self._task.check_mode:
            sources.alone, sources.shared = self._own(task_vars, host), self._shared(task_vars, host)
            sources.play = self._of_play()
        return sources

    @staticmethod
    def _check_given_value(name, given, files):
        """Refuse what nobody may give with -e, without a word if it was said to be wrong in its file."""
        if any(("", name) in case.lines and name not in case.values for case in files):
            raise Refused
        check_plain(name, given[name], "-e")
        if name in OF_THE_SITE:
            raise Refused("%s is %s in -e: it must be set in the inventory" % (name, said(given[name])))
        if name.startswith(ABOUT) or name == HOSTS:
            raise Refused("%s is %s in -e: it must be in a case file, given as capture_case=FILE; "
                          "playbooks/new_case.yml writes one" % (name, said(given[name])))

    def _settings(self, specs, sources, task_vars, refusals):
        """Return (every variable by its short name, the names of those that are wrong, and the origin of each)."""
        settings, doubtful, came = {}, set(), {}
        for name, spec in specs.items():
            short = name[len(PREFIX):]
            value, came[short] = sources.choose(name)
            settings[short] = None
            if name in sources.wrong:
                doubtful.add(short)
                continue
            try:
                if value is None and came[short] not in (GIVEN, CASE):
                    value = self._templar.template(task_vars.get(name))
                settings[short] = self._typed(name, value, spec)
            except Refused as error:
                doubtful.add(short)
                refusals.append(sources.place(name, came[short]) + str(error))
        settings.update({short: specs[PREFIX + short].get("default") for short in doubtful})  # to check the rest
        settings["output_dir"] = os.path.abspath(settings["output_dir"] or "")
        return settings, doubtful, came

    @staticmethod
    def _typed(name, value, spec):
        if value in (None, "") and name in LIMITS:
            raise Refused("%s is %r: it must be a whole number above 0" % (name, value))
        if value in (None, "") and spec["type"] in NEEDED:
            raise Refused("%s is %r: it must be %s" % (name, value, TYPES[spec["type"]]))
        return None if value is None or value == "" else typed(name, value, spec)

    def _own(self, task_vars, host):
        """Return the names that the inventory sets for this host alone, in its line or in host_vars."""
        return self._set_for(task_vars["hostvars"]._inventory, [task_vars["hostvars"]._inventory.get_host(host)])

    def _shared(self, task_vars, host):
        """Return the names that the inventory sets for a group of this host."""
        inventory = task_vars["hostvars"]._inventory
        return self._set_for(inventory, inventory.get_host(host).get_groups())

    def _set_for(self, inventory, entities):
        names = {name for entity in entities for name in entity.vars}
        for stage in ("inventory", "task"):
            names.update(get_vars_from_inventory_sources(self._loader, inventory._sources, entities, stage))
            names.update(get_vars_from_path(self._loader, self._loader.get_basedir(), entities, stage))
        return names

    def _of_play(self):
        """Return the variables that the playbook itself sets."""
        return self._task._parent._play.get_vars()

    def _files(self, every, refusals):
        """Return what was given as -e @FILE and describes a case, which has to be one, without what only a case has."""
        files = []
        for item in context.CLIARGS.get("extra_vars", ()):
            path = str(item)[1:]
            values = self._loader.load_from_file(path) if str(item).startswith("@") else None
            if not isinstance(values, dict):
                continue
            if COMMAND in values:
                refusals.append("reproduce_command is %s in the file %s: it must be given with -e on the command line, "
                                "or in the inventory" % (said(values[COMMAND]), path))
            elif any(str(name).startswith((PREFIX, ABOUT)) for name in values) and not is_vault(path):
                with refusals.gathered():
                    case = Case(path, every, "-e @FILE")
                    for name, line in case.head.items():
                        case.wrong.append((line, "%s must be in a case that is given as capture_case=%s, because -e is "
                                           "for all hosts and knows of no case" % (name, path)))
                    refusals += case.sentences()
                    files.append(case)
        return files

    def _case(self, given, task_vars, every, refusals, new):
        """Return the case, None if there is none or if it is no case at all."""
        path = given.get(PREFIX + "case") or self._templar.template(task_vars.get(PREFIX + "case"))
        if not path:
            return None
        with refusals.gathered():
            case = Case(os.path.abspath(os.path.expanduser(str(path))), every)
            if "groups" in task_vars:
                case.check_hosts(set(task_vars["groups"]["all"]))
            if new:
                case.check_expiry(datetime.datetime.now(datetime.timezone.utc).date())
            refusals += case.sentences()
            return case
        return None

    def _command(self, given, task_vars):
        command = given.get(COMMAND) or self._templar.template(task_vars.get(COMMAND))
        if not isinstance(command, str) or not command.strip():
            raise Refused("reproduce_command is %s: it must be a shell command for the controller" % said(command))
        return str(command)


def inventories():
    """Return the inventories that were given; none if it is the one of ansible.cfg."""
    given = context.CLIARGS.get("inventory") or ()
    return [] if list(given) == list(constants.DEFAULT_HOST_LIST) else given


def settle_start(settings, now):
    """Put the time at which the window is to open, if one was asked for, into the settings as ns since 1970."""
    given, earliest = settings["start_at"], now + settings["start_delay"]
    settings["start_at_ns"] = None
    if given is None:
        return
    try:
        start = datetime.datetime.fromisoformat(given)
    except ValueError:
        start = None
    if start is None or start.tzinfo is None or not earliest <= _seconds(start) <= now + DAY:
        raise Refused("capture_start_at is %s: it must be a date and time with its time zone, such as "
                      "2026-11-22T11:38:00Z, from %g seconds (capture_start_delay) to a day from now, which is %s"
                      % (said(given), settings["start_delay"],
                         datetime.datetime.fromtimestamp(int(now), datetime.timezone.utc).isoformat()))
    settings["start_at_ns"] = int(start.timestamp()) * 10 ** 9 + start.microsecond * 1000


def _seconds(moment):
    """Return a time as seconds since 1970; 0 for one so far away that there are none."""
    try:
        return moment.timestamp()
    except (OverflowError, ValueError):
        return 0


def is_vault(path):
    """Return whether a file is encrypted; Ansible has read it, and it is no case."""
    with open(path, "rb") as handle:
        return handle.read(14) == b"$ANSIBLE_VAULT"


def check_limit(task_vars):
    """Refuse a --limit without localhost: the run would be captured and not merged, and nobody would be told."""
    limit = task_vars.get("ansible_limit")
    if limit and not task_vars["hostvars"]._inventory.get_hosts("localhost", ignore_restrictions=True):
        raise Refused("--limit is %s: it must name localhost too, where the merge runs: --limit '%s,localhost'"
                      % (said(limit), shown(limit, 500)))
