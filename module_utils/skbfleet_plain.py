# SPDX-License-Identifier: Apache-2.0
"""Reads YAML that somebody else wrote as plain values, with the line of each variable, and says all that is wrong.

Plain is what JSON has: no tags, no anchors, no key twice, no dates, and no more than some levels.
"""
import os
import stat

from ansible.module_utils.skbfleet_foreign import said, shown
from ansible.module_utils.skbfleet_names import Refused

BYTES = 64 << 10
DEPTH = 6
TAGS = tuple("tag:yaml.org,2002:" + kind for kind in ("str", "int", "float", "bool", "null", "seq", "map"))
DATE = "tag:yaml.org,2002:timestamp"
ALLOWED = "it must be plain YAML without anchors, a mapping of capture_ and case_ variables to values"


class Lined(dict):
    """A mapping that knows the line of each of its names."""

    def __init__(self):
        super().__init__()
        self.lines = {}  # type: dict


def loader():
    """Return a loader that goes no further than plain values need."""
    import yaml

    class Plain(yaml.SafeLoader):
        """Plain YAML."""

        depth = 0
        yaml_implicit_resolvers = {first: [one for one in resolvers if one[0] != DATE]
                                   for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}

        def compose_node(self, parent, index):
            """Refuse anchors, by which a small file can become endless, and depth, which exhausts the stack."""
            event = self.peek_event()
            self.depth += 1
            if getattr(event, "anchor", None) or self.depth > DEPTH:
                what = "there is an anchor" if getattr(event, "anchor", None) else "there are too many levels"
                raise yaml.composer.ComposerError(None, None, what, event.start_mark)
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    return Plain


def content(path, what):
    """Return the text of a file; what: the variable that names it; raises Refused."""
    try:
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode) or info.st_size > BYTES:
            raise Refused("%s is %s: it must be a file of at most %d KiB" % (what, said(path), BYTES >> 10))
        with open(path, "rb") as handle:
            data = handle.read(BYTES + 1)
    except (OSError, ValueError) as error:
        raise Refused("%s is %s: it must be a file that can be read: %s"
                      % (what, said(path), getattr(error, "strerror", None) or error)) from error
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("%s is %s: it must be UTF-8; line %d is not"
                      % (what, said(path), data.count(b"\n", 0, error.start) + 1)) from error


def read(path, what="capture_case"):
    """Return (values, wrong) of a file.

    values: Lined, and so are mappings in it; what is wrong is left out. wrong: [(line, sentence)], in no order.
    Raises Refused if it is no plain YAML at all.
    """
    import yaml
    text = content(path, what)
    try:
        reader = loader()(text)
        node = reader.get_single_node()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Refused("%s is %s: %s%s" % (what, said(path), ALLOWED, _where(error, text))) from error
    if not isinstance(node, yaml.MappingNode):
        raise Refused("%s is %s: %s" % (what, said(path), ALLOWED))
    wrong = []  # type: list
    return _mapping(node, reader, "", wrong), wrong


def _where(error, text):
    """Return where and why YAML could not be read."""
    mark, position = getattr(error, "problem_mark", None), getattr(error, "position", None)
    if mark:
        return "; line %d is not: %s" % (mark.line + 1, shown(getattr(error, "problem", None) or "it ends there", 200))
    if isinstance(position, int):
        return "; line %d is not: it has a character that cannot be printed" % (text.count("\n", 0, position) + 1)
    return ""


def _mapping(node, reader, name, wrong):
    """Return a mapping without what is wrong in it; name: the variable whose value it is, "" for the file itself."""
    values = Lined()
    for key, part in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key.value, str):
            wrong.append((line, "%s has a list or a mapping for a name: it must be text" % (name or "capture_case")))
            continue
        if key.value in values.lines:
            wrong.append((line, "%s is set twice, first in line %d: it must be set once"
                          % (shown(key.value, 100), values.lines[key.value])))
            continue
        values.lines[key.value] = line
        value, good = _value(part, reader, name or key.value, wrong)
        if good:
            values[key.value] = value
    return values


def _value(node, reader, name, wrong):
    """Return (value, whether it is one)."""
    import yaml
    line = node.start_mark.line + 1
    if node.tag not in TAGS:
        wrong.append((line, "%s has the tag %s: it must be a plain value" % (shown(name, 100), shown(node.tag, 100))))
        return None, False
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, reader, name, wrong), True
    if isinstance(node, yaml.SequenceNode):
        parts = [_value(part, reader, name, wrong) for part in node.value]
        return [value for value, _good in parts], all(good for _value, good in parts)
    try:
        return reader.construct_object(node), True
    except (yaml.YAMLError, ValueError, LookupError) as error:
        wrong.append((line, "%s is %s: it must be a plain value (%s)"
                      % (shown(name, 100), said(node.value), shown(error, 100))))
        return None, False
