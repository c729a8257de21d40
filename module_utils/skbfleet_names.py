# SPDX-License-Identifier: Apache-2.0
"""The names of skbfleet's variables: what is misspelt is refused, because a value that nobody reads changes nothing."""
import contextlib
import difflib
import functools
import os

from ansible.module_utils.skbfleet_foreign import said, shown

OURS = ("archive_", "capture_", "case_", "compare_", "pair_", "merge_", "preflight_", "prereqs_", "lab_", "reproduce_")
LEFT_OVER = "_raw_params"  # where Ansible puts what of -e 'a=b c' belongs to no name
ALIKE = 0.84  # of difflib: captur_case and capture_case, not capture_case and case


class Refused(Exception):
    """Values cannot be used; args are sentences, each of which names the variable, the value and what is allowed."""

    def __str__(self):
        return "\n".join(map(str, self.args))


class Refusals(list):
    """Sentences about all that cannot be used, gathered so that they are told at once."""

    @contextlib.contextmanager
    def gathered(self, place=""):
        """Keep what is refused inside, said to be at a place, and go on."""
        try:
            yield
        except Refused as error:
            self.extend(place + str(sentence) for sentence in error.args)

    def tell(self):
        """Raise Refused with all sentences, each once, if there are any."""
        if self:
            raise Refused(*dict.fromkeys(self))


@functools.lru_cache(maxsize=None)
def specifications(roles):
    """Return name -> specification of all variables that the roles in a directory declare."""
    from ansible.module_utils.common.yaml import yaml_load  # in C, where it is to be had: each host's worker reads them
    found = {}  # type: dict
    for role in sorted(os.listdir(roles)):
        path = os.path.join(roles, role, "meta", "argument_specs.yml")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as handle:
                for entry in yaml_load(handle)["argument_specs"].values():
                    for name, spec in (entry.get("options") or {}).items():
                        found.setdefault(name, spec)
    return found


def declared(roles):
    """Return the names of all variables that the roles in a directory declare."""
    return list(specifications(roles))


def nearest(name, known):
    """Return what somebody who gave this name may have meant, or what there is, in words."""
    near = difflib.get_close_matches(name, known, 1)
    return "did you mean %s?" % near[0] if near else "it must be one of %s" % ", ".join(known)


def unknown(name, value, known):
    """Return why a variable that nobody declared is refused."""
    return ("%s is not a variable of skbfleet, and was set to %s: %s"
            % (shown(name, 100), said(value, 100), nearest(name, known)))


def check_prefix(variables, prefix, known):
    """Refuse all variables with this prefix that are not among the known ones."""
    wrong = [unknown(name, variables[name], known) for name in sorted(map(str, variables))
             if name.startswith(prefix) and name not in known]
    if wrong:
        raise Refused(*wrong)


def check_given(given, known):
    """Refuse what was given with -e and looks like a variable of skbfleet, but is none, and words that Ansible found
    behind a value and would leave out."""
    wrong = []
    if LEFT_OVER in given:
        wrong.append("-e has %s, which belongs to no variable: it must be name=value, and a value with spaces in "
                     "it JSON: -e '{\"capture_filter\": \"tcp port 443\"}'" % said(str(given[LEFT_OVER])))
    for name in sorted(map(str, given)):
        if name in known or name == LEFT_OVER or name.startswith(("ansible_", "__")):
            continue
        if name.startswith(OURS) or difflib.get_close_matches(name, known, 1, ALIKE):
            wrong.append(unknown(name, given[name], known))
    if wrong:
        raise Refused(*wrong)
