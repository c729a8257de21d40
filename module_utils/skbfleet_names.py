# SPDX-License-Identifier: Apache-2.0
"""The names of skbfleet's variables: what is misspelt is refused, because a value that nobody reads changes nothing."""
import difflib
import os

from ansible.module_utils.skbfleet_foreign import shown

OURS = ("capture_", "compare_", "pair_", "merge_", "preflight_", "prereqs_", "lab_", "reproduce_")
LEFT_OVER = "_raw_params"  # where Ansible puts what of -e 'a=b c' belongs to no name
ALIKE = 0.84  # of difflib: captur_case and capture_case, not capture_case and case


class Refused(Exception):
    """A value cannot be used; the message names the variable, the value and what is allowed."""


def declared(roles):
    """Return the names of all variables that the roles in a directory declare."""
    import yaml
    names = []  # type: list
    for role in sorted(os.listdir(roles)):
        path = os.path.join(roles, role, "meta", "argument_specs.yml")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as handle:
                for entry in yaml.safe_load(handle)["argument_specs"].values():
                    names += [name for name in entry.get("options") or () if name not in names]
    return names


def refuse(name, value, known):
    """Refuse a variable that nobody declared."""
    near = difflib.get_close_matches(name, known, 1)
    hint = "did you mean %s?" % near[0] if near else "it must be one of %s" % ", ".join(known)
    raise Refused("%s is not a variable of skbfleet, and was set to %.100s: %s"
                  % (shown(name, 100), shown(repr(value), 100), hint))


def check_prefix(variables, prefix, known):
    """Refuse any variable with this prefix that is not among the known ones."""
    for name in sorted(map(str, variables)):
        if name.startswith(prefix) and name not in known:
            refuse(name, variables[name], known)


def check_given(given, known):
    """Refuse what was given with -e and looks like a variable of skbfleet, but is none, and words that Ansible found
    behind a value and would leave out."""
    if LEFT_OVER in given:
        raise Refused("-e has %.200r, which belongs to no variable: it must be name=value, and a value with spaces in "
                      "it JSON: -e '{\"capture_filter\": \"tcp port 443\"}'" % str(given[LEFT_OVER]))
    for name in sorted(map(str, given)):
        if name in known or name.startswith(("ansible_", "__")):
            continue
        if name.startswith(OURS) or difflib.get_close_matches(name, known, 1, ALIKE):
            refuse(name, given[name], known)
