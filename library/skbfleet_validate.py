#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/capture/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_validate
short_description: Check a host's capture_ variables before any host is touched
description:
  - Runs on the controller alone. Looks at all variables of the host that begin with C(capture_), wherever they were
    set, and at the case file.
  - Refuses a variable that is not declared (and names the nearest that is), among those given with C(-e) also one that
    only looks like a variable of skbfleet, a value of the wrong type, a template where
    only plain values belong, and whatever the tracers themselves refuse when they are asked with C(--check-options).
  - Says all that is wrong at once, each in one sentence that names the variable, its value and what is allowed, and the
    file and the line if it stands in one.
  - In a case file, and in values given with C(-e), templates are refused before they are evaluated.
author: The skbfleet authors
options:
  specification:
    description: The file C(meta/argument_specs.yml) that declares the variables.
    type: path
    required: true
  tools:
    description: The directory of the tracers on the controller.
    type: path
    required: true
  stamp:
    description: Name for the run if C(capture_run_id) is not set.
    type: str
    required: true
  run:
    description:
      - Whether the run is V(new), with a name that was not used before, V(existing), and has to be named, or V(any),
        all runs if none is named.
    type: str
    choices: [new, existing, any]
    default: new
  only:
    description: Tracers to run, whatever C(capture_tracers) says.
    type: list
    elements: str
  reproduce:
    description: Whether C(reproduce_command) is wanted; it is ignored otherwise.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Check every variable
  skbfleet_validate:
    specification: "{{ role_path }}/meta/argument_specs.yml"
    tools: bpftools
    stamp: "{{ now(utc=true, fmt='%Y%m%dT%H%M%SZ') }}"
  register: plan
"""

RETURN = r"""
settings:
  description: All variables by their names without C(capture_), typed; null where nothing was given.
  returned: success
  type: dict
arguments:
  description: For each tracer to run the words of its command line that say what to record.
  returned: success
  type: dict
words:
  description: What is about to happen, in lines for a person; empty if it is no new run.
  returned: success
  type: list
  elements: str
hosts:
  description: The hosts of the play that take part, which are all unless a case names some.
  returned: success
  type: list
  elements: str
case:
  description: What the case says of itself, by the names of its variables; empty if there is none.
  returned: success
  type: dict
ask:
  description: Whether a person has to agree first.
  returned: success
  type: bool
origins:
  description: Where the values come from, a line for each place; empty but in check mode of a new run.
  returned: success
  type: list
  elements: str
refusals:
  description: All that is wrong, a sentence each.
  returned: failure
  type: list
  elements: str
"""
