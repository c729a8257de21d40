# SPDX-License-Identifier: Apache-2.0
"""Checks a host's capture_ variables on the controller and turns them into settings and tracer arguments.

This is an action plugin because only here variables can be looked at before Ansible evaluates templates in them.
Its documentation is in library/skbfleet_validate.py.
"""
import difflib
import os
import re
import subprocess
import sys

import yaml
from ansible import context
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

PREFIX = "capture_"
COMMAND = "reproduce_command"
PROGRAMS = {"drop_monitor": "multi_protocol_drop_monitor.py", "datapath_tracing": "packet_datapath_tracing.py"}

# variable -> option of both tracers; the points are the business of one tracer only
FILTER = (("src", "src"), ("dst", "dst"), ("protocol", "protocol"), ("src_port", "src-port"), ("dst_port", "dst-port"),
          ("bidirectional", "both-directions"), ("interfaces", "interface"), ("netns", "netns"), ("vlan", "vlan"),
          ("max_records", "max-records"), ("max_bytes", "max-bytes"))
POINTS = (("profile", "profile"), ("points", "point"), ("excluded_points", "exclude-point"),
          ("required_points", "require-point"))
REQUIRE_DROPS = "--require-point=skb.drop"
OF_A_CASE = {PREFIX + name for name, _option in FILTER + POINTS} | {PREFIX + "tracers", PREFIX + "duration", COMMAND}

TYPES = {"bool": "true or false", "int": "a whole number", "float": "a number", "list": "a list",
         "str": "text", "path": "a path"}
# limits of what no tracer sees: variable -> lowest, highest
RANGES = {"start_delay": (0, 3600), "arm_timeout": (1, 3600), "end_timeout": (1, 3600), "fetch_throttle": (1, 1000)}
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Refused(Exception):
    """A value cannot be used; the message names the variable, the value and what is allowed."""


def check_names(names, known):
    """Refuse a capture_ variable that nobody declared."""
    for name in sorted(names):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = "did you mean %s?" % near[0] if near else "it must be one of %s" % ", ".join(known)
            raise Refused("%s is not a variable of skbfleet: %s" % (name, hint))


def has_template(value):
    """Return whether Ansible would evaluate something in this value."""
    if isinstance(value, dict):
        return any(has_template(part) for pair in value.items() for part in pair)
    if isinstance(value, (list, tuple)):
        return any(has_template(part) for part in value)
    return isinstance(value, str) and any(mark in value for mark in ("{{", "{%", "{#"))


def check_plain(name, value, source):
    """Refuse a template where only plain values belong."""
    if has_template(value):
        raise Refused("%s is %r in %s: it must be a plain value, templates are not evaluated there"
                      % (name, value, source))


def check_case(case, source, known):
    """Refuse a case that is more than plain values for the variables that describe a case."""
    if not isinstance(case, dict):
        raise Refused("capture_case is %r: it must be a YAML mapping of capture_ variables to values" % source)
    names = [str(name) for name in case]
    check_names(names, known)
    for name in names:
        if name not in OF_A_CASE:
            raise Refused("%s does not belong in the case file %s: it must hold nothing but %s"
                          % (name, source, ", ".join(sorted(OF_A_CASE))))
        check_plain(name, case[name], source)


def read_case(path, known):
    """Return the variables of a case file, read as data."""
    try:
        with open(path, encoding="utf-8") as handle:
            case = yaml.safe_load(handle)
    except OSError as error:
        raise Refused("capture_case is %r: it must be a file that can be read: %s" % (path, error.strerror)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = "; line %d is not" % (mark.line + 1) if mark else ""
        raise Refused("capture_case is %r: it must be plain YAML, a mapping of capture_ variables to values%s"
                      % (path, where)) from error
    check_case(case, path, known)
    return case


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
    if not remote.startswith("/") or os.path.normpath(remote) != remote or os.path.basename(remote) != "skbfleet":
        raise Refused("capture_remote_dir is %r: it must be an absolute path that ends in /skbfleet, because the "
                      "directory is made and removed" % remote)
    if not settings["tracer_python"].startswith("/"):
        raise Refused("capture_tracer_python is %r: it must be an absolute path" % settings["tracer_python"])
    for name, (lowest, highest) in RANGES.items():
        if not lowest <= settings[name] <= highest:
            raise Refused("%s%s is %s: it must be from %d to %d" % (PREFIX, name, settings[name], lowest, highest))


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
        words.append("--exclude-point=skb.drop")
    arguments[last] += words
    return arguments


def ask_tracer(program, arguments, duration):
    """Let the tracer itself check its options; it looks at nothing of this machine for that."""
    command = [sys.executable, program, "--check-options", "--duration=%g" % duration] + arguments
    environment = dict(os.environ, SKBTRACE_NAMES=PREFIX, PYTHONDONTWRITEBYTECODE="1")
    answer = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=60, check=False)
    if answer.returncode:
        said = answer.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise Refused(said[-1].split("error: ", 1)[-1])


class ActionModule(ActionBase):
    """Returns settings (typed, without the prefix) and arguments (words for each tracer), or one sentence."""

    _requires_connection = False
    _VALID_ARGS = frozenset(["specification", "tools", "stamp", "run", "only", "reproduce"])

    def run(self, tmp=None, task_vars=None):
        """Check everything that can be known without the host."""
        result = super().run(tmp, task_vars)
        try:
            result.update(self._plan(self._task.args, task_vars or {}))
        except Refused as error:
            result.update(failed=True, msg=str(error))
        return result

    def _plan(self, args, task_vars):
        with open(args["specification"], encoding="utf-8") as handle:
            specs = yaml.safe_load(handle)["argument_specs"]["main"]["options"]
        check_names(task_vars, list(specs))
        given = self._given(list(specs))
        case = self._case(given, task_vars, list(specs))
        settings = {}
        for name, spec in specs.items():
            value = given.get(name, case.get(name, task_vars.get(name)))
            if name not in given and name not in case:
                value = self._templar.template(value)
            empty = value is None or value == ""
            settings[name[len(PREFIX):]] = None if empty else typed(name, value, spec)
        settings["output_dir"] = os.path.abspath(settings["output_dir"])
        settings["tracers"] = args.get("only") or settings["tracers"]
        name_run(settings, args.get("run", "new"), args["stamp"])
        if args.get("reproduce"):
            settings[COMMAND] = self._command(given, case, task_vars)
        check_settings(settings)
        host = task_vars["inventory_hostname"]
        if not HOST.fullmatch(host):
            raise Refused("the inventory's name of this host is %r: it must be letters, digits, dots, dashes and "
                          "underscores, at most 100 (its address goes to ansible_host)" % host)
        arguments = tracer_arguments(settings)
        for tracer, words in arguments.items():
            ask_tracer(os.path.join(args["tools"], PROGRAMS[tracer]), words, settings["duration"])
        return {"changed": False, "settings": settings, "arguments": arguments}

    def _given(self, known):
        """Return what was given with -e; a file given that way that describes a case has to be one."""
        for item in context.CLIARGS.get("extra_vars", ()):
            if str(item).startswith("@"):
                values = self._loader.load_from_file(str(item)[1:])
                if isinstance(values, dict) and any(str(name).startswith(PREFIX) for name in values):
                    check_case(values, str(item)[1:], known)
        given = {name: value for name, value in load_extra_vars(self._loader).items()
                 if name in known or name == COMMAND}
        for name, value in given.items():
            check_plain(name, value, "-e")
        return given

    def _case(self, given, task_vars, known):
        path = given.get(PREFIX + "case") or self._templar.template(task_vars.get(PREFIX + "case"))
        return read_case(os.path.abspath(os.path.expanduser(str(path))), known) if path else {}

    def _command(self, given, case, task_vars):
        command = given.get(COMMAND) or case.get(COMMAND) or self._templar.template(task_vars.get(COMMAND))
        if not isinstance(command, str) or not command.strip():
            raise Refused("reproduce_command is %r: it must be a shell command for the controller" % command)
        return str(command)
