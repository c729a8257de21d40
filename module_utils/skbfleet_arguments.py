# SPDX-License-Identifier: Apache-2.0
"""The arguments of skbfleet_capture, which its documentation explains."""

ARGUMENTS = {
    "state": {"type": "str", "choices": ["prepared", "armed", "started", "finished", "absent"], "required": True},
    "run_id": {"type": "str"},
    "remote_dir": {"type": "path", "default": "/var/tmp/skbfleet"},
    "tools": {"type": "str", "no_log": True},  # no secret, but nothing that a log should hold
    "arguments": {"type": "list", "elements": "str", "default": []},
    "tracers": {"type": "dict"},
    "python": {"type": "path", "default": "/usr/bin/python3"},
    "host": {"type": "str"},
    "evidence": {"type": "bool", "default": False},
    "wait_window": {"type": "float", "default": 600},
    "measure": {"type": "float", "default": 0},
    "unit": {"type": "bool", "default": True},
    "max_cpu": {"type": "int", "default": 200},
    "max_memory": {"type": "int", "default": 536870912},
    "lasts": {"type": "float", "default": 0},
    "start_ns": {"type": "int"},
    "end_ns": {"type": "int"},
    "clock_difference_ns": {"type": "int", "default": 0},
    "close": {"type": "bool", "default": False},
    "owner": {"type": "int", "default": 0},
    "timeout": {"type": "float", "default": 60},
    "patience": {"type": "float", "default": 0},
}
REQUIRED = [
    ("state", "prepared", ["run_id", "tools"]),
    ("state", "armed", ["run_id", "tracers", "host"]),
    ("state", "started", ["run_id", "start_ns", "end_ns"]),
    ("state", "finished", ["run_id"]),
]
