# SPDX-License-Identifier: Apache-2.0
"""What this host would take: every point attached for a moment behind a closed window, and let go again."""
import json
import os
import platform
import sys
from typing import Any, Dict

from .. import VERSION
from ..host import clock, limits, netns
from ..kernel import btf, structs
from ..programs import points


def examine(tracer: Any) -> Dict[str, Any]:
    """Return what an armed tracer found; the caller lets it go."""
    import bcc
    release = os.uname().release
    attached = {point.name: point.hook for point in tracer.program.attached}
    return {
        "tool_version": VERSION, "kernel": release, "machine": platform.machine(), "bcc": bcc.__version__,
        "python": platform.python_version(), "btf": os.path.exists(btf.KERNEL),
        "headers": bool(structs.headers_directories(release)),
        "buffer": "ring" if "USE_RING_BUFFER" in tracer.declarations.constants else "perf",
        "seconds": tracer.seconds, "attached": attached, "skipped": tracer.program.skipped,
        "absent": tracer.absent, "queues_absent": tracer.queues.absent,
        # name -> points that cannot be had; those of modules that are not there are no loss
        "profiles": {name: [point for point in members if point not in attached and point not in tracer.absent]
                     for name, members in points.PROFILES.items()},
        "devices": [{key: row[key] for key in ("netns", "name", "kind", "role", "mac", "mtu")}
                    for row in tracer.devices.rows()],
        "netns": {str(inode): name for inode, name in tracer.scope.names.items()},
        "own_netns": netns.inode_of(netns.OWN), "clock": dict(clock.discipline(), realtime_ns=clock.realtime_ns()),
        "cpus": os.cpu_count(), "load": os.getloadavg()[0], "disk_reserve": limits.DISK_RESERVE,
    }


def run(tracer: Any) -> None:
    """Print the examination as one JSON object, and let go of everything."""
    try:
        found = json.dumps(examine(tracer), indent=1, sort_keys=True)
    finally:
        tracer.program.detach()
    sys.stdout.write(found + "\n")
