# SPDX-License-Identifier: Apache-2.0
"""Checks a host's capture_ variables on the controller and turns them into settings and tracer arguments.

This is an action plugin because only here variables can be looked at before Ansible evaluates templates in them.
Its documentation is in library/skbfleet_validate.py.
"""
import datetime
import os
import re
import subprocess
import sys
import time

import ansible.module_utils
import yaml
from ansible import context
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars
from ansible.vars.plugins import get_vars_from_inventory_sources, get_vars_from_path

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "module_utils")
if SHARED not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(SHARED)

from ansible.module_utils import skbfleet_case
from ansible.module_utils.skbfleet_case import COMMAND, HOSTS, check_plain
from ansible.module_utils.skbfleet_foreign import as_data, shown
from ansible.module_utils.skbfleet_names import Refused, check_given, check_prefix, declared
from ansible.module_utils.skbfleet_outcome import is_remote_dir
from ansible.module_utils.skbfleet_told import plan

PREFIX = "capture_"
PROGRAMS = {"drop_monitor": "multi_protocol_drop_monitor.py", "datapath_tracing": "packet_datapath_tracing.py"}

# variable -> option of both tracers; the points are the business of one tracer only
FILTER = (("src", "src"), ("dst", "dst"), ("protocol", "protocol"), ("src_port", "src-port"), ("dst_port", "dst-port"),
          ("bidirectional", "both-directions"), ("follow", "follow"), ("interfaces", "interface"), ("netns", "netns"),
          ("vlan", "vlan"), ("filter", "filter"), ("inner_filter", "inner-filter"), ("max_records", "max-records"),
          ("max_rate", "max-rate"), ("max_bytes", "max-bytes"), ("sample", "sample"), ("sample_drops", "sample-drops"),
          ("fields", "field"))
POINTS = (("profile", "profile"), ("points", "point"), ("excluded_points", "exclude-point"),
          ("required_points", "require-point"), ("stacks", "stack"))
PATIENCE = 60  # s
DAY = 86400  # s
REQUIRE_DROPS = "--require-point=skb.drop"
STACK_OF_DROPS = "--stack=skb.drop"  # which the drop monitor takes in any case
OF_A_CASE = {PREFIX + name for name, _option in FILTER + POINTS} | {PREFIX + "tracers", PREFIX + "duration"}
OF_THE_SITE = (PREFIX + "max_duration",)  # for the owner of the inventory alone to set
LIMITS = tuple(PREFIX + name for name in ("max_records", "max_rate", "max_bytes"))  # which a capture always has
# said before a capture begins, beside its limits
WHICH = [name for name, _option in FILTER + POINTS
         if PREFIX + name not in LIMITS and name not in ("sample", "sample_drops")]
# one of them makes a capture bounded
WHICH_PACKETS = ("src", "dst", "protocol", "src_port", "dst_port", "vlan", "filter", "inner_filter")

TYPES = {"bool": "true or false", "int": "a whole number", "float": "a number", "list": "a list",
         "str": "text", "path": "a path"}
# limits of what no tracer sees: variable -> lowest, highest
RANGES = {"max_load": (1, 10 ** 9), "start_delay": (0, 3600), "arm_timeout": (1, 3600), "end_timeout": (1, 3600),
          "fetch_throttle": (1, 1000)}
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def typed(name, value, spec):
    """Return the value as the type that its specification names."""
    checked = ArgumentSpecValidator({name: spec}).validate({name: value})
    if not checked.error_messages:
        return checked.validated_parameters[name]
    if "choices" in spec:
        allowed = ", ".join(spec["choices"])
    else:
        allowed = TYPES[spec["type"]]
    raise Refused("%s is %r: it must be %s" % (name, value, allowed))


def check_settings(settings):
    """Refuse what no tracer would notice, because it concerns the run and not the tracer."""
    if not settings["tracers"]:
        raise Refused("capture_tracers is []: it must be %s, or both" % " or ".join(sorted(PROGRAMS)))
    remote = settings["remote_dir"]
    if not is_remote_dir(remote):
        raise Refused("capture_remote_dir is %r: it must be an absolute path that ends in /skbfleet, because the "
                      "directory is made and removed, and have letters, digits and ._@+- only" % remote)
    if not settings["tracer_python"].startswith("/"):
        raise Refused("capture_tracer_python is %r: it must be an absolute path" % settings["tracer_python"])
    for name, (lowest, highest) in RANGES.items():
        if not lowest <= settings[name] <= highest:
            raise Refused("%s%s is %s: it must be from %d to %d" % (PREFIX, name, settings[name], lowest, highest))


def check_bounds(settings):
    """Refuse a new run that nobody bounded: every packet of every host is seldom what is meant."""
    chosen = [name for name in WHICH_PACKETS if settings[name] not in (None, "all")]
    if not chosen and not settings["everything"]:
        raise Refused("capture_everything is false and no filter is set: set %s, or capture_everything=true to take "
                      "every packet" % " or ".join(PREFIX + name for name in WHICH_PACKETS))


def check_duration(settings):
    """Refuse a window that is longer than the owner of the inventory allows."""
    if settings["duration"] > settings["max_duration"]:
        raise Refused("capture_duration is %g: it must be at most %g, which is capture_max_duration in the inventory"
                      % (settings["duration"], settings["max_duration"]))


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
    if start is None or start.tzinfo is None or not earliest <= start.timestamp() <= now + DAY:
        raise Refused("capture_start_at is %r: it must be a date and time with its time zone, such as "
                      "2026-11-22T11:38:00Z, from %g seconds (capture_start_delay) to a day from now, which is %s"
                      % (given, settings["start_delay"],
                         datetime.datetime.fromtimestamp(int(now), datetime.timezone.utc).isoformat()))
    settings["start_at_ns"] = int(start.timestamp()) * 10 ** 9 + start.microsecond * 1000


def name_run(settings, run, stamp):
    """Settle the run's name: a new run gets one, an existing one has to be named, for any run it may be left out."""
    if run == "new":
        settings["run_id"] = settings["run_id"] or stamp
    run_id = settings["run_id"]
    if run_id is None:
        if run == "existing":
            raise Refused("capture_run_id is not set: it must be the name of the run to bring home")
        return
    if not RUN_ID.fullmatch(run_id):
        raise Refused("capture_run_id is %r: it must be up to 64 letters, digits, dots, dashes and underscores, "
                      "the first a letter or digit" % run_id)
    place = os.path.join(settings["output_dir"], run_id)
    if run == "new" and os.path.exists(place):
        raise Refused("capture_run_id is %r: it must be a name that is not yet in %s"
                      % (run_id, settings["output_dir"]))


def check_limit(task_vars):
    """Refuse a --limit without localhost: the run would be captured and not merged, and nobody would be told."""
    limit = task_vars.get("ansible_limit")
    if limit and not task_vars["hostvars"]._inventory.get_hosts("localhost", ignore_restrictions=True):
        raise Refused("--limit is %r: it must name localhost too, where the merge runs: --limit '%s,localhost'"
                      % (limit, limit))


def check_host(host):
    """Refuse a name that could not be a directory's."""
    if not HOST.fullmatch(host):
        raise Refused("the inventory's name of this host is %r: it must be letters, digits, dots, dashes and "
                      "underscores, at most 100 (its address goes to ansible_host)" % host)


def options(pairs, settings):
    """Return the settings as options; each is one word, so that no value can be taken for an option."""
    words = []
    for name, option in pairs:
        value = settings.get(name)
        if value is True:
            words.append("--" + option)
        elif isinstance(value, list):
            words.extend("--%s=%s" % (option, item) for item in value)
        elif value not in (None, False):
            words.append("--%s=%s" % (option, value))
    return words


def _drops_elsewhere(words, follow):
    """Return how the datapath tracer leaves drops to the drop monitor, which cannot know of those that it follows."""
    left_out = "--exclude-point=skb.drop"
    if left_out in words:
        return []
    return ["--only-followed=skb.drop"] if follow else [left_out]


def tracer_arguments(settings):
    """Return for each tracer the words of its command line that say what to record.

    The points are the datapath tracer's; the drop monitor takes them when it runs alone. Each drop is recorded once.
    """
    arguments = {tracer: options(FILTER, settings) for tracer in settings["tracers"]}
    last = "datapath_tracing" if "datapath_tracing" in arguments else "drop_monitor"
    words = options(POINTS, settings)
    if len(arguments) == 2:
        if REQUIRE_DROPS in words:
            words.remove(REQUIRE_DROPS)
            arguments["drop_monitor"].append(REQUIRE_DROPS)
        words = [word for word in words if word != STACK_OF_DROPS]
        words += _drops_elsewhere(words, settings["follow"])
    arguments[last] += words
    return arguments


def ask_tracer(program, arguments, duration):
    """Let the tracer itself check its options; it looks at nothing of this machine for that.

    Returns what a host needs beside them: expressions are compiled here, where libpcap is.
    """
    command = [sys.executable, program, "--check-options", "--duration=%g" % duration] + arguments
    environment = dict(os.environ, SKBTRACE_NAMES=PREFIX, PYTHONDONTWRITEBYTECODE="1")
    try:
        answer = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise Refused("%sfilter or %sinner_filter took more than %d s to be read: no name server answers for a name in "
                      "it; give the address instead" % (PREFIX, PREFIX, PATIENCE)) from None
    if answer.returncode:
        said = answer.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise Refused(said[-1].split("error: ", 1)[-1])
    return answer.stdout.decode("ascii").splitlines()


class ActionModule(ActionBase):
    """Returns settings (typed, without the prefix) and arguments (words for each tracer), or one sentence."""

    _requires_connection = False
    _VALID_ARGS = frozenset(["specification", "tools", "stamp", "run", "only", "reproduce"])

    def run(self, tmp=None, task_vars=None):
        """Check everything that can be known without the host."""
        result = super().run(tmp, task_vars)
        try:
            result.update(as_data(self._plan(self._task.args, task_vars or {})))
        except Refused as error:
            result.update(failed=True, msg=as_data(shown(error, 8000)))
        return result

    def _plan(self, args, task_vars):
        with open(args["specification"], encoding="utf-8") as handle:
            specs = yaml.safe_load(handle)["argument_specs"]["main"]["options"]
        roles = os.path.dirname(os.path.dirname(os.path.dirname(args["specification"])))
        given = self._given(list(specs), declared(roles))
        check_prefix(task_vars, PREFIX, list(specs))
        settings = self._settings(specs, given, task_vars)
        settings["tracers"] = args.get("only") or settings["tracers"]
        name_run(settings, args.get("run", "new"), args["stamp"])
        if args.get("reproduce"):
            settings[COMMAND] = self._command(given, task_vars)
        check_settings(settings)
        check_host(task_vars["inventory_hostname"])
        arguments = tracer_arguments(settings)
        for tracer, words in arguments.items():
            words += ask_tracer(os.path.join(args["tools"], PROGRAMS[tracer]), words, settings["duration"])
        check_duration(settings)
        if args.get("run", "new") == "new":
            check_bounds(settings)
            settle_start(settings, time.time())
        if args.get("run", "new") != "any":
            check_limit(task_vars)
        words = plan(settings, WHICH, task_vars["ansible_play_hosts_all"]) if args.get("run", "new") == "new" else []
        return {"changed": False, "settings": settings, "arguments": arguments, "words": words}

    def _settings(self, specs, given, task_vars):
        """Return every variable by its short name: -e, then what is set for the host alone, then the case, then all."""
        case = self._case(given, task_vars, list(specs))
        host = task_vars["inventory_hostname"]
        single = case.pop(HOSTS, {}).get(host, {})
        own = set(self._own(task_vars, host)) if case else ()
        settings = {}
        for name, spec in specs.items():
            for source in (given, single, {} if name in own else case):
                if name in source:
                    value = source[name]
                    break
            else:
                value = self._templar.template(task_vars.get(name))
            if value in (None, "") and name in LIMITS:
                raise Refused("%s is %r: it must be a whole number above 0" % (name, value))
            empty = value is None or value == ""
            settings[name[len(PREFIX):]] = None if empty else typed(name, value, spec)
        settings["output_dir"] = os.path.abspath(settings["output_dir"])
        return settings

    def _own(self, task_vars, host):
        """Return the names that the inventory sets for this host alone, in its line or in host_vars."""
        inventory = task_vars["hostvars"]._inventory
        entry = inventory.get_host(host)
        names = set(entry.vars)
        for stage in ("inventory", "task"):
            names.update(get_vars_from_inventory_sources(self._loader, inventory._sources, [entry], stage))
            names.update(get_vars_from_path(self._loader, self._loader.get_basedir(), [entry], stage))
        return names

    def _given(self, known, ours):
        """Return what was given with -e; a file given that way that describes a case has to be one."""
        for item in context.CLIARGS.get("extra_vars", ()):
            if str(item).startswith("@"):
                self._check_file(str(item)[1:], known)
        everything = load_extra_vars(self._loader)
        check_given(everything, ours)
        given = {name: value for name, value in everything.items() if name in known or name == COMMAND}
        for name, value in given.items():
            check_plain(name, value, "-e")
            if name in OF_THE_SITE:
                raise Refused("%s is %.100r in -e: it must be set in the inventory" % (name, value))
        return given

    def _check_file(self, path, known):
        values = self._loader.load_from_file(path)
        if not isinstance(values, dict):
            return
        if COMMAND in values:
            raise Refused("reproduce_command is %.200r in the file %s: it must be given with -e on the command line, "
                          "or in the inventory" % (values[COMMAND], path))
        if HOSTS in values:
            raise Refused("%s is %.200r in the file %s: it must be given as capture_case=%s, because -e is for all "
                          "hosts" % (HOSTS, values[HOSTS], path, path))
        if any(str(name).startswith(PREFIX) for name in values):
            skbfleet_case.check(values, path, known, OF_A_CASE)
            skbfleet_case.check_twice(path)

    def _case(self, given, task_vars, known):
        path = given.get(PREFIX + "case") or self._templar.template(task_vars.get(PREFIX + "case"))
        if not path:
            return {}
        path = os.path.abspath(os.path.expanduser(str(path)))
        case = skbfleet_case.read(path)
        skbfleet_case.check(case, path, known, OF_A_CASE)
        return case

    def _command(self, given, task_vars):
        command = given.get(COMMAND) or self._templar.template(task_vars.get(COMMAND))
        if not isinstance(command, str) or not command.strip():
            raise Refused("reproduce_command is %r: it must be a shell command for the controller" % command)
        return str(command)
