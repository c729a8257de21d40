# SPDX-License-Identifier: Apache-2.0
"""What others say, made fit to be kept and shown: a host may lie, and a file may have passed through many hands.

Text loses what could forge a line or steer a terminal, numbers and lists keep their meaning, and nothing of it is ever
evaluated as a template. Actions on the controller pass everything through here before Ansible sees it.
"""
import json
import os

TEXT = 2000      # characters of one text; longer ones are cut
ITEMS = 100000   # values in one answer
DEPTH = 12       # levels in one answer


class Unfit(Exception):
    """Something is too large or too odd to be taken; the message is one sentence."""


def shown(text, most=TEXT):
    """Return text on one line, without what is not printable, and not endless."""
    words = " ".join(str(text)[:8 * most].split())
    clean = "".join(char if char.isprintable() else escaped(char) for char in words)
    return clean if len(clean) <= most else clean[:most - 1] + "…"


def said(value, most=200):
    """Return a value as code would write it, on one line, fit to be shown and not endless."""
    try:
        return shown(repr(value), most)
    except ValueError:
        return "a number with thousands of digits"


def escaped(char):
    """Return a character that must not be printed, as a reader of code would write it."""
    return "\\x%02x" % ord(char) if ord(char) < 256 else "\\u%04x" % ord(char)


def inert(value):
    """Return an answer of which all text is fit to be shown; raises Unfit if it is larger than any answer should be."""
    left = [ITEMS]

    def part(one, depth):
        left[0] -= 1
        if left[0] < 0 or depth > DEPTH:
            raise Unfit("it answers more than %d values, or deeper than %d levels" % (ITEMS, DEPTH))
        if isinstance(one, dict):
            return {shown(key, 200): part(item, depth + 1) for key, item in one.items()}
        if isinstance(one, (list, tuple)):
            return [part(item, depth + 1) for item in one]
        if one is None or isinstance(one, (bool, int, float)):
            return one
        return shown(one)

    return part(value, 0)


def as_data(value):
    """Return a value in which Ansible will not look for templates, whichever version it is; for the controller."""
    from ansible.utils.unsafe_proxy import wrap_var
    return wrap_var(value)


def read_json(path, most):
    """Return what a JSON file of at most so many bytes holds; raises Unfit."""
    try:
        if os.path.getsize(path) > most:
            raise Unfit("%s is larger than %d KiB" % (path, most >> 10))
        with open(path, encoding="utf-8") as handle:
            return json.load(handle)
    except OSError as error:
        raise Unfit("%s cannot be read: %s" % (path, error.strerror)) from error
    except (ValueError, RecursionError) as error:
        raise Unfit("%s is not JSON: %s" % (path, shown(error, 200))) from error
