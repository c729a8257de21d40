#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Print the JSON schema of case files, as it follows from what the roles declare."""
import json
import os
import sys

import ansible.module_utils

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
ansible.module_utils.__path__.append(os.path.join(ROOT, "module_utils"))

from ansible.module_utils.skbfleet_names import specifications  # noqa: E402
from ansible.module_utils.skbfleet_written import schema  # noqa: E402

if __name__ == "__main__":
    json.dump(schema(specifications(os.path.join(ROOT, "roles"))), sys.stdout, indent=2)
    print()
