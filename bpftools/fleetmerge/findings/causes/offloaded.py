# SPDX-License-Identifier: Apache-2.0
"""Queues of traffic control that a device's hardware keeps. What it drops was sent, as far as the kernel knows, which
reads the hardware's count into the queue's own counter of drops.

    {"kind": "red", "handle": "7:", "dev": "eth0", "root": true, "offloaded": true, "options": {"limit": 10000, ...},
     "packets": 43, "drops": 20, ...}
"""
from collections.abc import Sequence
from dataclasses import replace

from ...bundle.evidence import Reading
from .drop import Candidate, Cause, conclude
from .queues import Gain, gains

_WHICH = ("no record has what the hardware dropped, and the counter has the kernel's own drops of packets that nobody "
          "looked for, too")


def kept_by(reading: Reading) -> set[str]:
    """Return the devices whose hardware keeps a queue."""
    return {str(row.get("dev")) for row in reading.rows("qdiscs") if row.get("offloaded") is True}


def find_offloaded(reading: Reading, device: str, recorded: int, count: int) -> Cause | None:
    """Return which queue's hardware dropped `count` packets that left by a device; None if none dropped so many.

    recorded: drops of the device's queues that are in records: those were the kernel's.
    """
    rose = gains(reading, device)
    hardware = [one for one in (_without(one, rose) for one in rose if _is_kept(one)) if one.rose > 0]
    dropped = sum(one.rose for one in hardware) - recorded
    if dropped < max(1, count):
        return None
    cause = conclude(count, _candidates(hardware, recorded, dropped))
    return replace(cause, certainty="likely", why=cause.why or _WHICH) if cause else None


def _without(one: Gain, others: Sequence[Gain]) -> Gain:
    """Return what a queue dropped itself, without what those in it did."""
    return one._replace(rose=one.rose - sum(below.rose for below in others if below.is_in(one)))


def _is_kept(one: Gain) -> bool:
    """Whether hardware kept this queue before the window and after it."""
    return one.row.get("offloaded") is True and one.before.get("offloaded") is True


def _candidates(hardware: Sequence[Gain], recorded: int, dropped: int) -> list[Candidate]:
    found = [one.candidate() for one in hardware]
    for one in found:
        one.what += ", which the device's hardware keeps"
        one.where["offloaded"] = True
    if len(found) == 1:
        found[0].rose = dropped
        found[0].by = "%d drops of it are recorded" % recorded if recorded else "no drop of it is recorded"
        found[0].counter = "beyond those, its drop counter" if recorded else "its drop counter"
    return found
