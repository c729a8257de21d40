# SPDX-License-Identifier: Apache-2.0
"""The module skbfleet_capture on a host, without Ansible and its seconds around it.

usage: module.py STATE   (its parameters on standard input, and what it prints, as JSON)
"""
import json
import os
import sys
import types

for name in ("ansible", "ansible.module_utils"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["ansible.module_utils"].__path__ = [os.path.join(os.path.dirname(__file__), "..", "..", "module_utils")]

from ansible.module_utils.skbfleet_rundir import RunError  # noqa: E402
from ansible.module_utils.skbfleet_states import STATES  # noqa: E402

try:
    os.umask(0o077)
    print(json.dumps(STATES[sys.argv[1]](json.load(sys.stdin), False)))
except (RunError, OSError) as refused:
    print(json.dumps({"failed": True, "msg": str(refused)}))
