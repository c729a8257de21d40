# SPDX-License-Identifier: Apache-2.0
"""What follows from the table of variables: a case file with its comments, and the schema of case files."""
import json
import re
import textwrap

from ansible.module_utils.skbfleet_case import ABOUT, DATE, HOSTS, LENGTHS, STEPS, names_of
from ansible.module_utils.skbfleet_foreign import shown
from ansible.module_utils.skbfleet_settings import HOST, ITEMS, OF_A_CASE

WIDTH = 120
MARKUP = re.compile(r"\b[A-Z]\(([^)]*)\)")  # of Ansible's documentation
SENTENCE = re.compile(r".*?\.(?= [A-Z]|$)")
SHORT = 100  # characters of a list that stands on one line
HEAD = """\
A case: plain values for somebody else to run. No template in it is evaluated, and it can run nothing.

  ansible-playbook playbooks/capture.yml -e capture_case=%s

What is behind # is not set. All is explained in roles/case/meta/argument_specs.yml and
roles/capture/meta/argument_specs.yml."""


def described(spec, first=False):
    """Return what a variable is for, in plain text, or the first sentence of that."""
    parts = [spec["description"]] if isinstance(spec["description"], str) else spec["description"]
    text = MARKUP.sub(r"\1", parts[0] if first else " ".join(parts))
    found = SENTENCE.match(text) if first else None
    return found.group() if found else text


def _comment(text):
    return [("# " + line).rstrip() for part in text.split("\n")
            for line in textwrap.wrap(part, WIDTH - 2, break_on_hyphens=False) or [""]]


def _assigned(name, value):
    """Return the lines that give a variable its value."""
    import yaml
    plain = json.loads(json.dumps(value))  # whatever Ansible has made of it
    text = yaml.safe_dump(plain, default_flow_style=True, width=10 * SHORT, allow_unicode=True)
    if isinstance(plain, list) and len(text) <= SHORT:
        return "%s: %s" % (name, text.rstrip("\n"))
    return yaml.safe_dump({name: plain}, default_flow_style=False, width=WIDTH, allow_unicode=True,
                          sort_keys=False).rstrip("\n")


def case_text(path, values, specs):
    """Return a case file that holds these values, typed, with a comment for each variable; specs: of all variables."""
    lines = ["---"] + _comment(HEAD % shown(path, 80))
    for name in names_of(specs):
        lines += [""] + _comment(described(specs[name], first=True))
        lines.append(_assigned(name, values[name]) if name in values else "# %s:" % name)
    return "\n".join(lines) + "\n"


def _schema_of(name, spec):
    """Return the schema of one variable's values."""
    text = {"type": ["string", "number"]}  # type: dict
    if "choices" in spec:
        text = {"enum": list(spec["choices"])}
    elif name in LENGTHS:
        text = {"type": "string", "maxLength": LENGTHS[name]}
    if name == "case_expires":
        text["pattern"] = "^%s$" % DATE.pattern
    if name == "case_hosts":
        text["pattern"] = "^%s$" % HOST.pattern
    most = STEPS if name == "case_next" else ITEMS
    kinds = {"list": {"type": "array", "items": text, "maxItems": most}, "bool": {"type": "boolean"},
             "float": {"type": "number"}, "int": {"type": "integer"}}
    return dict(kinds.get(spec["type"], text), description=described(spec))


def schema(specs):
    """Return the JSON schema of case files, for editors; the validation knows more. specs: of all variables."""
    values = {name: _schema_of(name, specs[name]) for name in OF_A_CASE}
    about = {name: _schema_of(name, specs[name]) for name in names_of(specs) if name.startswith(ABOUT)}
    hosts = {"type": "object", "description": described(specs[HOSTS]),
             "propertyNames": {"pattern": "^%s$" % HOST.pattern}, "additionalProperties": {"$ref": "#/$defs/values"}}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A case of skbfleet",
            "type": "object", "properties": dict(about, **values, **{HOSTS: hosts}), "additionalProperties": False,
            "$defs": {"values": {"type": "object", "properties": {name: {"$ref": "#/properties/" + name}
                                                                  for name in OF_A_CASE},
                                 "additionalProperties": False}}}
