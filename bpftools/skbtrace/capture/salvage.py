# SPDX-License-Identifier: Apache-2.0
"""The bundle of a tracer that was killed, or whose host went down: a manifest for the records that it left.

What the tracer knew when its window was set is in its draft, what it had counted half a second before its end, at most,
in its last status, and the stacks until then in a file of their own. What still lay in its buffer is gone with it.
"""
import fcntl
import json
import os
from typing import Any, Dict, List, Set, Tuple

from .. import foreign
from ..errors import InputError, TracerError
from ..kernel import symbols
from . import files, manifest, record, stacks, tracer

_MOST_BYTES = 64 << 20  # of draft and status
_CHUNK_RECORDS = 4096


def salvage(directory: str) -> None:
    """Make a manifest in a run directory that lacks it.

    Raises InputError if no capture was begun there, TracerError if the manifest cannot be written.
    """
    try:
        os.chdir(directory)
        if _read_if_whole(files.MANIFEST):
            return
        draft, status = _read(files.DRAFT), _read_if_whole(files.STATUS)
        _require_dead()
        content = dict(_made(draft, status), why="%s: what it had in its buffer, and what came later, is not known"
                       % _why_gone())
    except OSError as error:
        raise _refusal(directory, "%s: %s" % (error.filename, error.strerror)) from None
    except ValueError as error:
        raise _refusal(directory, error) from None
    try:
        files.write_json(files.MANIFEST, content)
        manifest.drop_draft()
    except OSError as error:
        raise TracerError("the run directory %s cannot be written: %s" % (directory, error.strerror)) from None


def _refusal(directory: str, why: object) -> InputError:
    return InputError("--salvage is %r: it must be the run directory of a tracer that was killed after its window was "
                      "set: %s" % (directory, why))


def _made(draft: Dict[str, Any], status: Dict[str, Any]) -> Dict[str, Any]:
    """Return the manifest, and have the spool end with its last whole record; ValueError if the draft is none."""
    try:
        layout = record.Layout(len(draft["fields"]))
        os.truncate(files.RECORDS, _whole_bytes(layout))
        return _complete(draft, status, layout)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError("its %s is none (%s)" % (files.DRAFT, type(error).__name__)) from None


def _read(path: str) -> Dict[str, Any]:
    try:
        content = json.loads(files.read_foreign(path, _MOST_BYTES).decode())
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ValueError("its %s is not whole" % path)
    return content


def _read_if_whole(path: str) -> Dict[str, Any]:
    """Return what is in a file; empty if it is not there, or cut off, as a host that went down may leave it."""
    try:
        return _read(path)
    except (OSError, ValueError):
        return {}


def _why_gone() -> str:
    """Return why the tracer is gone, if whoever collects its records knows."""
    why = _read_if_whole(files.ENDING).get("why")
    if not isinstance(why, str) or not why:
        return "the tracer was gone before its end"
    return foreign.shown(why.encode("utf-8", "replace"))


def _require_dead() -> None:
    """Raise ValueError if the tracer, which holds a lock on its spool, is at work."""
    with open(files.RECORDS, "rb") as spool:
        try:
            fcntl.flock(spool, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError("its tracer is at work") from None


def _whole_bytes(layout: record.Layout) -> int:
    """Return the length of the spool up to its last whole record: a host that went down may leave zeros behind it."""
    records = os.path.getsize(files.RECORDS) // layout.stride
    with open(files.RECORDS, "rb") as spool:
        while records:
            spool.seek((records - 1) * layout.stride)
            if any(spool.read(layout.stride)):
                break
            records -= 1
    return records * layout.stride


def _complete(draft: Dict[str, Any], status: Dict[str, Any], layout: record.Layout) -> Dict[str, Any]:
    """Return the manifest."""
    modules = draft.pop("modules")
    written, locations = _survey(layout)
    names = {point["id"]: point["name"] for point in draft["points"]["attached"]}
    rows = {name: _at_least(status.get("per_point", {}).get(name), written.get(number, 0))
            for number, name in names.items()}
    totals = tracer.total(rows)
    totals.update(written=sum(written.values()), cut=0)
    last = status.get("clock") or draft["clock"]["pairs"][-1]
    window, clock = draft["window"], draft["clock"]
    here = draft["kernel"] == manifest.kernel()     # else nobody knows any more what these addresses mean
    taken = stacks.read() if here else {}
    known = symbols.of_modules(locations.union(*taken.values()), modules) if here else {}
    return dict(
        draft, counters=totals, per_point=rows, limits=[], status="partial", ended_by="killed",
        window=dict(window, ended_ns=max(window["start_ns"], min(last["monotonic_ns"], window["end_ns"]))),
        clock=dict(clock, pairs=clock["pairs"] + [last]), symbols=known,
        stacks={str(number): ["0x%x" % frame for frame in _without_own(frames, known)]
                for number, frames in taken.items()},
        files={files.RECORDS: manifest.file_entry(files.RECORDS)})


def _without_own(frames: List[int], names: Dict[str, str]) -> List[int]:
    """Leave out of a stack what the tracer put there: its programs have no names any more, what they watch has."""
    shown = [names.get("0x%x" % frame, "") for frame in frames]
    unnamed = next((depth for depth, name in enumerate(shown) if not name.startswith("0x")), 0)
    return symbols.without_own(frames, [symbols.GONE] * unnamed + shown[unnamed:])


def _survey(layout: record.Layout) -> Tuple[Dict[int, int], Set[int]]:
    """Return how many records the spool has of each point, by its number, and the locations in them."""
    written: Dict[int, int] = {}
    locations: Set[int] = set()
    with open(files.RECORDS, "rb") as spool:
        for chunk in iter(lambda: spool.read(layout.stride * _CHUNK_RECORDS), b""):
            for number in layout.points(chunk):
                written[number] = written.get(number, 0) + 1
            locations.update(address for address, _stack in layout.locations(chunk) if address)
    return written, locations


def _at_least(counted: Any, written: int) -> Dict[str, int]:
    """Return what a point saw at least. counted: by its last status; what that had not yet seen written, or never
    was, is made up for, so that what matched is what was written, lost, shed or left out."""
    row = dict.fromkeys(tracer.COUNTERS, 0)
    row.update(counted or {})
    known = written + row["lost"] + row["shed"] + row["sampled_out"]
    row["lost"] += max(0, row["matched"] - known)
    row["matched"] = max(row["matched"], known)
    row["seen"] = max(row["seen"], row["matched"])
    return row
