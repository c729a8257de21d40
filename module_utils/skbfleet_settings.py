# SPDX-License-Identifier: Apache-2.0
"""The rules for the values of capture_ variables that no tracer sees, and the table of those that describe packets.

What a variable is called, its type and its meaning are in roles/capture/meta/argument_specs.yml, and nowhere else.
"""
import os
import re

from ansible.module_utils.skbfleet_foreign import said
from ansible.module_utils.skbfleet_names import Refusals, Refused
from ansible.module_utils.skbfleet_outcome import is_remote_dir

PREFIX = "capture_"

# variable -> option of both tracers; the points are the business of one tracer only
FILTER = (("src", "src"), ("dst", "dst"), ("protocol", "protocol"), ("src_port", "src-port"), ("dst_port", "dst-port"),
          ("bidirectional", "both-directions"), ("follow", "follow"), ("interfaces", "interface"), ("netns", "netns"),
          ("vlan", "vlan"), ("filter", "filter"), ("inner_filter", "inner-filter"), ("max_records", "max-records"),
          ("max_rate", "max-rate"), ("max_bytes", "max-bytes"), ("sample", "sample"), ("sample_drops", "sample-drops"),
          ("fields", "field"))
POINTS = (("profile", "profile"), ("points", "point"), ("excluded_points", "exclude-point"),
          ("required_points", "require-point"), ("stacks", "stack"))
OF_A_CASE = [PREFIX + "tracers"] + [PREFIX + name for name, _option in FILTER + POINTS] + [PREFIX + "duration"]
OF_THE_SITE = (PREFIX + "max_duration",)  # for the owner of the inventory alone to set
LIMITS = tuple(PREFIX + name for name in ("max_records", "max_rate", "max_bytes"))  # which a capture always has
# said before a capture begins, beside its limits
WHICH = [name for name, _option in FILTER + POINTS
         if PREFIX + name not in LIMITS and name not in ("sample", "sample_drops")]
# one of them makes a capture bounded
WHICH_PACKETS = ("src", "dst", "protocol", "src_port", "dst_port", "vlan", "filter", "inner_filter")

TYPES = {"bool": "true or false", "int": "a whole number", "float": "a number", "list": "a list of texts",
         "str": "text", "path": "a path", "dict": "a mapping"}
TEXT, ITEM, ITEMS = 4000, 500, 500  # characters of a text, of a text in a list, and texts in a list
# limits of what no tracer sees: variable -> lowest, highest
RANGES = {"max_load": (1, 10 ** 9), "max_cpu": (10, 100000), "max_memory": (128 << 20, 1 << 40),
          "start_delay": (0, 3600), "arm_timeout": (1, 3600), "end_timeout": (1, 3600), "fetch_throttle": (1, 1000)}
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def is_text(value, most):
    """Return whether a value can be a word of a command line: text or a number, not endless, and printable."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return False
    try:
        text = str(value)
    except ValueError:  # a number with thousands of digits
        return False
    return len(text) <= most and text.replace("\n", " ").replace("\t", " ").isprintable()


def _is_of(value, kind):
    """Return whether a value is what Ansible may make a value of this type of; it would make text of anything."""
    if kind in ("str", "path"):
        return is_text(value, TEXT)
    if kind == "list":
        return not isinstance(value, list) or len(value) <= ITEMS and all(is_text(one, ITEM) for one in value)
    return kind == "bool" or not isinstance(value, bool)


def typed(name, value, spec):
    """Return the value as the type that its specification names; raises Refused."""
    made = _converted(name, value, spec)
    if made is not None:
        return made
    if "choices" in spec:
        allowed = ", ".join(spec["choices"])
    else:
        allowed = TYPES[spec["type"]]
        if spec["type"] in ("str", "path") and isinstance(value, str):
            allowed = "at most %d characters that can be printed" % TEXT
        if spec["type"] == "list" and isinstance(value, (str, list)):
            allowed += ", at most %d of %d characters that can be printed" % (ITEMS, ITEM)
    raise Refused("%s is %s: it must be %s" % (name, said(value), allowed))


def _converted(name, value, spec):
    """Return the value as its type, None if it cannot be."""
    from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
    if not _is_of(value, spec["type"]):
        return None
    try:
        checked = ArgumentSpecValidator({name: spec}).validate({name: value})
    except OverflowError:  # a number with hundreds of digits
        return None
    made = checked.validated_parameters.get(name)
    return made if not checked.error_messages and _is_of(made, spec["type"]) else None


def check_settings(settings):
    """Refuse what no tracer would notice, because it concerns the run and not the tracer; names without prefix."""
    refusals = Refusals()
    if not settings["tracers"]:
        refusals.append("capture_tracers is []: it must be datapath_tracing or drop_monitor, or both")
    remote = settings["remote_dir"]
    if not remote or not is_remote_dir(remote):
        refusals.append("capture_remote_dir is %s: it must be an absolute path that ends in /skbfleet, because the "
                        "directory is made and removed, and have letters, digits and ._@+- only" % said(remote))
    if not (settings["tracer_python"] or "").startswith("/"):
        refusals.append("capture_tracer_python is %s: it must be an absolute path" % said(settings["tracer_python"]))
    for name, (lowest, highest) in RANGES.items():
        if settings[name] is None or not lowest <= settings[name] <= highest:
            refusals.append("%s%s is %s: it must be from %d to %d"
                            % (PREFIX, name, said(settings[name]), lowest, highest))
    refusals.tell()


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
        raise Refused("capture_run_id is %s: it must be up to 64 letters, digits, dots, dashes and underscores, "
                      "the first a letter or digit" % said(run_id))
    place = os.path.join(settings["output_dir"], run_id)
    if run == "new" and os.path.exists(place):
        raise Refused("capture_run_id is %r: it must be a name that is not yet in %s"
                      % (run_id, settings["output_dir"]))


def check_host(host):
    """Refuse a name that could not be a directory's."""
    if not HOST.fullmatch(host):
        raise Refused("the inventory's name of this host is %s: it must be letters, digits, dots, dashes and "
                      "underscores, at most 100 (its address goes to ansible_host)" % said(host))
