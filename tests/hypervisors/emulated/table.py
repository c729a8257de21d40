# SPDX-License-Identifier: Apache-2.0
"""What the kernels took, as the Markdown table of the README."""

from collections.abc import Mapping
from dataclasses import dataclass

from skbtrace.programs import points

PROFILES = ("nic", "drop", "bridge", "ovs", "ip", "netfilter", "queues", "full")


@dataclass
class Recorded:
    """Points that were given their traffic on a kernel, and those of them that recorded it."""

    points: int = 0
    recorded: int = 0


def row(default: dict, full: dict) -> list[str]:
    """Return a kernel's row from two trials of the datapath tracer: of its default profile, and of all points."""
    cells = [full["kernel"] + ("" if full["btf"] else ", headers"), full["bcc"], full["buffer"]]
    for name in PROFILES:
        attached = sum(point in full["attached"] for point in points.PROFILES[name])
        cells.append(f"{attached}/{len(full['profiles'][name])}")
    hooks = list(full["attached"].values())
    cells.append("/".join(str(hooks.count(kind)) for kind in ("raw_tracepoint", "fentry", "kprobe")))
    return [*cells, *(_seconds(trial["seconds"]) for trial in (default, full))]


def _seconds(spent: dict) -> str:
    return f"{spent['armed']:.1f} ({spent['compile']:.1f})"


def markdown(rows: list[list[str]], recorded: Mapping[str, Recorded]) -> str:
    """Return the table: the points that recorded what passed them, where that was tried (recorded: by kernel), for each
    profile the points attached/skipped, then tracepoint/fentry/kprobe, then the seconds from start to armed, and of
    them compiling.
    """
    heads = ["kernel", "bcc", "buffer", "recorded", *PROFILES, "hooks of full", "nic, s", "full, s"]
    whole = [[*row[:3], str(recorded[row[0]].recorded) if row[0] in recorded else "-", *row[3:]] for row in rows]
    lines = ["| " + " | ".join(cells) + " |" for cells in (heads, *whole)]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]])
