# SPDX-License-Identifier: Apache-2.0
"""Reads a case file: written by one person and run by another, so it is plain values and nothing else.

It may hold values for single hosts, which count more than the inventory's:

    capture_src: 192.0.2.1
    capture_hosts:
      hv-b:
        capture_src: 198.51.100.1
"""
import os
import stat

from ansible.module_utils.skbfleet_names import Refused, refuse

HOSTS = "capture_hosts"
COMMAND = "reproduce_command"
CASE_BYTES = 64 << 10
CASE_DEPTH = 6


def loader():
    """Return a loader of plain YAML without what YAML has beyond data: no tags, no anchors, no key twice."""
    import yaml

    class Plain(yaml.SafeLoader):
        """Plain YAML."""

        depth = 0

        def compose_node(self, parent, index):
            """Refuse anchors, by which a small file can become endless, and depth, which exhausts the stack."""
            event = self.peek_event()
            self.depth += 1
            if getattr(event, "anchor", None) or self.depth > CASE_DEPTH:
                raise yaml.constructor.ConstructorError(None, None, "anchor or depth", event.start_mark)
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

        def construct_mapping(self, node, deep=False):
            """Refuse a key that is there twice: which value is meant?"""
            seen = {}  # type: dict
            for key, _value in node.value:
                name = str(key.value)
                if name in seen:
                    raise Twice(name, seen[name], key.start_mark.line + 1)
                seen[name] = key.start_mark.line + 1
            return super().construct_mapping(node, deep)

    return Plain


class Twice(Exception):
    """A key is in the file twice."""


def read(path):
    """Return what a case file holds; raises Refused."""
    import yaml
    try:
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode) or info.st_size > CASE_BYTES:
            raise Refused("capture_case is %r: it must be a file of at most %d KiB" % (path, CASE_BYTES >> 10))
        with open(path, encoding="utf-8") as handle:
            return yaml.load(handle, Loader=loader())
    except OSError as error:
        raise Refused("capture_case is %r: it must be a file that can be read: %s" % (path, error.strerror)) from error
    except Twice as twice:
        raise Refused("%s is set twice in the case file %s, in line %d and in line %d: it must be set once"
                      % (twice.args[0], path, twice.args[1], twice.args[2])) from twice
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = "; line %d is not" % (mark.line + 1) if mark else ""
        raise Refused("capture_case is %r: it must be plain YAML without anchors, a mapping of capture_ variables to "
                      "values%s" % (path, where)) from error


def check_twice(path):
    """Refuse a file that sets a variable twice; Ansible has read it already, and takes the last one."""
    with open(path, encoding="utf-8") as handle:
        if not handle.readline().startswith("$ANSIBLE_VAULT"):
            read(path)


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
        raise Refused("%s is %.200r in %s: it must be a plain value, templates are not evaluated there"
                      % (name, value, source))


def check_values(values, source, known, allowed):
    """Refuse anything but plain values for the variables that describe a case."""
    for name in map(str, values):
        if name.startswith("capture_") and name not in known:
            refuse(name, values[name], known)
        if name not in allowed:
            raise Refused("%.100s does not belong in the case file %s: it must hold nothing but %s"
                          % (name, source, ", ".join(sorted(allowed))))
        check_plain(name, values[name], source)


def check(case, source, known, allowed):
    """Refuse a case that is more than plain values for the variables that describe a case."""
    if not isinstance(case, dict):
        raise Refused("capture_case is %r: it must be a YAML mapping of capture_ variables to values" % source)
    hosts = case.get(HOSTS, {})
    check_values({name: value for name, value in case.items() if name != HOSTS}, source, known, allowed)
    if not isinstance(hosts, dict) or not all(isinstance(own, dict) for own in hosts.values()):
        raise Refused("%s in the case file %s is %.100r: it must map names of hosts to variables"
                      % (HOSTS, source, hosts))
    for host, own in hosts.items():
        check_plain(HOSTS, host, source)
        check_values(own, "%s, for the host %.100s" % (source, host), known, allowed)
