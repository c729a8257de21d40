#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Documentation only: the action plugin of the same name (roles/capture/action_plugins) does the work."""
DOCUMENTATION = r"""
---
module: skbfleet_confirm
short_description: Ask a person whether to go on
description:
  - Asks once, on the controller's terminal, and fails for all hosts unless the answer is yes.
  - Where there is no terminal, as in a job, nobody is asked, and it succeeds.
author: The skbfleet authors
options:
  what:
    description: The question.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Ask, if there is a terminal
  skbfleet_confirm:
    what: Run this case?
"""

RETURN = r"""
asked:
  description: Whether there was a terminal to ask on.
  returned: always
  type: bool
"""
