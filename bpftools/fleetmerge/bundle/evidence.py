# SPDX-License-Identifier: Apache-2.0
"""What a host read of its own configuration, before the window and after it, and saw meanwhile: data of a stranger,
bounded, to be shown as it is.

Values are what the host's commands printed (skbtrace/host/collectors.py has the table); who uses one checks its shape.
"""
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import BundleError
from ..words import printable
from .looks import Looks, looks_of

EVIDENCE = "evidence.json"
FORMAT = "skbfleet-evidence/1"
_MOST_BYTES = 96 << 20
_MOST_VALUES = 4_000_000
_LONGEST_TEXT = 4096
_WHEN = ("before", "after")
_SWITCH = "switch-"    # before `before` and `after`: what was read of Open vSwitch


@dataclass
class Reading:
    """What was read of one network namespace; `before` and `after`: collector -> what it gave."""

    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)    # collector -> why it gave nothing after the window
    _made: dict[str, Any] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what is made of this reading; it is made once."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def add(self, other: "Reading") -> None:
        """Take in what another reading of the same has."""
        self.before.update(other.before)
        self.after.update(other.after)
        self.why.update(other.why)

    def rows(self, name: str, when: str = "after") -> list[dict[str, Any]]:
        """Return what a collector gave, if that is a list, its objects."""
        value = getattr(self, when).get(name)
        return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []

    def lines(self, name: str, when: str = "after") -> list[str]:
        """Return what a collector gave, if that is lines."""
        value = getattr(self, when).get(name)
        return [line for line in value if isinstance(line, str)] if isinstance(value, list) else []

    def by_key(self, name: str, when: str = "after") -> dict[str, list[Any]]:
        """Return what a collector gave for each device or file."""
        value = getattr(self, when).get(name)
        return {key: one for key, one in value.items() if isinstance(one, list)} if isinstance(value, dict) else {}


@dataclass
class Evidence:
    """What one host read."""

    namespaces: dict[int, Reading]
    host: Reading
    seconds: dict[str, float]      # that each reading took
    looks: Looks | None = None     # at those who take packets from its queues
    doubts: list[str] = field(default_factory=list)    # each what a sentence says of the host


def read_evidence(directory: str, files: Mapping[str, Any]) -> Evidence | None:
    """Return a bundle's evidence; None if its manifest names none. BundleError says why it cannot be used."""
    if EVIDENCE not in files:
        return None
    content = _load(os.path.join(directory, EVIDENCE), files[EVIDENCE])
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise BundleError("its %s is not one of skbfleet's" % EVIDENCE)
    out = Evidence({}, Reading(), {})
    parts = {of: any(of + when in content for when in _WHEN) for of in ("", _SWITCH)}
    for of, what in (("", "its configuration"), (_SWITCH, "its Open vSwitch")):
        if parts[of] or not of and not any(parts.values()):
            for when in _WHEN:
                _add_reading(out, when, content.get(of + when), what)
    if "during" in content:
        _add_looks(out, content["during"])
    return out


def _add_reading(out: Evidence, when: str, reading: Any, what: str) -> None:
    if not isinstance(reading, dict) or "namespaces" not in reading:
        why = reading.get("why") if isinstance(reading, dict) else None
        out.doubts.append("%s was not read %s the window%s" % (what, when, ": %s" % why if why else ""))
        return
    out.seconds[when] = out.seconds.get(when, 0.0) + _seconds(reading)
    _take(out.host, when, reading.get("host"))
    spaces = reading.get("namespaces")
    for inode, entries in spaces.items() if isinstance(spaces, dict) else ():
        if inode.isdecimal() and len(inode) < 11:
            _take(out.namespaces.setdefault(int(inode), Reading()), when, entries)


def _add_looks(out: Evidence, content: Any) -> None:
    why = str(content["why"]) if isinstance(content, dict) and "why" in content else ""
    try:
        out.looks = None if why else looks_of(content)
    except (ValueError, TypeError, LookupError, AttributeError):
        why = "what it says has not the shape of looks"
    if why:
        out.doubts.append("who takes packets from its queues was not seen: %s" % why)


def _take(reading: Reading, when: str, entries: Any) -> None:
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        if isinstance(entry, dict) and "value" in entry:
            getattr(reading, when)[name] = entry["value"]
        elif isinstance(entry, dict) and when == "after":
            reading.why[name] = str(entry.get("why"))


def _seconds(reading: dict[str, Any]) -> float:
    began, ended = reading.get("began_ns"), reading.get("ended_ns")
    return (ended - began) / 1e9 if isinstance(began, int) and isinstance(ended, int) else 0.0


def _load(path: str, entry: Any) -> Any:
    try:
        if os.path.getsize(path) > _MOST_BYTES:
            raise BundleError("its %s is larger than %d MiB" % (EVIDENCE, _MOST_BYTES >> 20))
        with open(path, "rb") as handle:
            content = handle.read(_MOST_BYTES)
        if not isinstance(entry, dict) or hashlib.sha256(content).hexdigest() != entry.get("sha256"):
            raise BundleError("its %s does not have the checksum that its manifest says" % EVIDENCE)
        if sum(map(content.count, (b",", b"[", b"{"))) > _MOST_VALUES:
            raise BundleError("its %s has more than %d values" % (EVIDENCE, _MOST_VALUES))
        return _shown(json.loads(content.decode("utf-8")))
    except OSError as error:
        raise BundleError("its %s cannot be read (%s)" % (EVIDENCE, error.strerror)) from error
    except (ValueError, RecursionError) as error:
        raise BundleError("its %s is not JSON (%s)" % (EVIDENCE, type(error).__name__)) from error


def _shown(value: Any) -> Any:
    """Return what a host says with all its texts fit to be shown, and none that is long."""
    if isinstance(value, dict):
        return {printable(name[:_LONGEST_TEXT]): _shown(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_shown(one) for one in value]
    return printable(value[:_LONGEST_TEXT]) if isinstance(value, str) else value
