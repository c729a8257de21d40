# SPDX-License-Identifier: Apache-2.0
"""What this process is held to, as the kernel tells: its control group with its limits, its priority."""
import contextlib
import os
from typing import Any, Dict, Optional

from .. import foreign

_ROOT = "/sys/fs/cgroup"
_NO_LIMIT = 1 << 62  # bytes; version 1 writes the largest multiple of a page for none


def read(process: str = "/proc/self", root: str = _ROOT) -> Dict[str, Any]:
    """Return `unit` of systemd ("" if it is in none), `memory_max` in bytes and `cpus` of its own control group (None
    without a limit), `nice` and `oom_score_adj`.

    process: its directory in /proc; root: where control groups are mounted.
    """
    groups = _groups(process)
    name = foreign.from_system(os.path.basename(groups.get("", "") or groups.get("name=systemd", "")))
    return {"unit": name if name.endswith((".service", ".scope")) else "", "memory_max": _memory(groups, root),
            "cpus": _cpus(groups, root), "nice": os.getpriority(os.PRIO_PROCESS, 0),
            "oom_score_adj": int(_text(process + "/oom_score_adj") or 0)}


def _groups(process: str) -> Dict[str, str]:
    """Return controller -> its control group; "" is version 2, for all that version 1 does not have."""
    rows = [line.split(":", 2) for line in _text(process + "/cgroup").splitlines() if line.count(":") >= 2]
    return {controller: path for _number, controllers, path in rows for controller in controllers.split(",")}


def _memory(groups: Dict[str, str], root: str) -> Optional[int]:
    if "memory" in groups:
        limit = _text("%s/memory%s/memory.limit_in_bytes" % (root, groups["memory"]))
    else:
        limit = _text("%s%s/memory.max" % (root, groups.get("", "")))
    return int(limit) if limit.isdigit() and int(limit) < _NO_LIMIT else None


def _cpus(groups: Dict[str, str], root: str) -> Optional[float]:
    if "cpu" in groups:
        place = "%s/cpu%s/cpu.cfs_" % (root, groups["cpu"])
        words = [_text(place + "quota_us"), _text(place + "period_us")]
    else:
        words = _text("%s%s/cpu.max" % (root, groups.get("", ""))).split()
    if len(words) != 2 or not all(word.isdigit() for word in words):  # max, -1, or no such controller
        return None
    return round(int(words[0]) / int(words[1]), 3)


def _text(path: str) -> str:
    with contextlib.suppress(OSError), open(path, errors="surrogateescape") as handle:
        return handle.read().strip()
    return ""
