# SPDX-License-Identifier: Apache-2.0
"""Open a bundle: read and check its manifest; its records are verified and indexed by index.py."""
import json
import os
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import BundleError
from ..words import printable
from . import nearest
from .fields import Field, fields_of
from .records import dtype_of
from .values import is_number

FORMAT = "skbfleet-bundle/1"
MANIFEST, RECORDS = "manifest.json", "records.bin"
_MANIFEST_LIMIT = 64 << 20  # bytes; stacks and symbols of a long run are a few MB
_MANIFEST_VALUES = 3000000  # each takes some 100 bytes of memory, whatever it takes in the file
_LONG_TEXT = re.compile(rb'"(?:[^"\\]|\\.){4097}', re.DOTALL)  # no name and no reason is as long
_LATEST = 1 << 62  # ns; a hundred years and more
_BYTES = frozenset(map(str, range(256)))
_MOST_REASONS = 64  # of one kind of queue
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}\Z")
_SECTIONS: dict[str, type] = {"record": dict, "points": dict, "files": dict, "counters": dict, "per_point": dict,
                              "devices": list, "netns": dict, "symbols": dict, "stacks": dict, "drop_reasons": dict,
                              "clock": dict, "limits": list, "window": dict, "filter": dict, "kernel": dict,
                              "guards": dict, "sample": dict, "queues": dict, "fields": list, "nearest": dict}


@dataclass
class Bundle:
    """One tracer's data from one host."""

    directory: str
    host: str
    tracer: str
    run_id: str
    manifest: dict[str, Any]
    dtype: np.dtype
    records: int                      # that can be read
    promised: int                     # that the manifest speaks of
    sha256: str                       # of records.bin, as the manifest has it
    problems: list[str] = field(default_factory=list)  # why it is partial; empty if it is complete
    fields: list[Field] = field(default_factory=list)  # the fields that were asked for by name

    @property
    def path(self) -> str:
        """Where the records are."""
        return os.path.join(self.directory, RECORDS)

    @property
    def truncated(self) -> bool:
        """Whether records.bin is shorter than the manifest says."""
        return self.records < self.promised

    def empty(self) -> np.ndarray:
        """Return no records, in this bundle's layout."""
        return np.zeros(0, self.dtype)

    def points(self) -> dict[int, str]:
        """Return the attached points: number in the records -> name."""
        return {int(point["id"]): str(point["name"]) for point in self.manifest["points"].get("attached", [])}

    def only_followed(self) -> set[str]:
        """Return the names of the points where it left what matches to another tracer."""
        return {str(point["name"]) for point in self.manifest["points"].get("attached", [])
                if point.get("only_followed")}

    def lost(self) -> int:
        """Return how many records were lost on the host, or since: the manifest says how many were written."""
        counters = self.manifest["counters"]
        written = counters.get("written")
        gone = max(0, written - self.records) if isinstance(written, int) and not self.truncated else 0
        return int(counters.get("lost") or 0) + gone

    def shed(self) -> int:
        """Return how many records its rate limit kept it from making."""
        return int(self.manifest["counters"].get("shed") or 0)

    def missing(self) -> int:
        """Return how many packets it saw and has no record of: lost or shed, they are as unknown."""
        return self.lost() + self.shed()


def open_bundle(directory: str) -> Bundle:
    """Read a bundle's manifest and size up its records; raise BundleError, in one sentence, if it cannot be used."""
    try:
        return _open(directory)
    except BundleError as error:
        raise BundleError("the bundle %s cannot be used: %s" % (directory, error)) from None


def _open(directory: str) -> Bundle:
    manifest = _read_manifest(os.path.join(directory, MANIFEST))
    names = {}
    for key in ("run_id", "host", "tracer"):
        value = manifest.get(key)
        if not isinstance(value, str) or not _NAME.match(value):
            raise BundleError("its manifest's %s is %r, which is no name" % (key, value))
        names[key] = value
    dtype = dtype_of(manifest["record"])
    entry = manifest["files"].get(RECORDS)
    if not isinstance(entry, dict) or not isinstance(entry.get("bytes"), int) or not entry.get("sha256"):
        raise BundleError("its manifest does not say how long %s is and what its checksum is" % RECORDS)
    size = _size(os.path.join(directory, RECORDS))
    if size > entry["bytes"]:
        raise BundleError("%s has %d bytes where the manifest says %d" % (RECORDS, size, entry["bytes"]))
    bundle = Bundle(directory, names["host"], names["tracer"], names["run_id"], manifest, dtype,
                    size // dtype.itemsize, entry["bytes"] // dtype.itemsize, str(entry["sha256"]),
                    fields=fields_of(manifest, dtype))
    if bundle.truncated or size < entry["bytes"]:
        bundle.problems.append("%s is cut off: %d of %d records are there" % (RECORDS, bundle.records, bundle.promised))
    if manifest.get("status") == "partial":
        bundle.problems.append("the tracer says so: %s" % (manifest.get("why") or "no reason given"))
    return bundle


def _read_manifest(path: str) -> dict[str, Any]:
    try:
        if os.path.getsize(path) > _MANIFEST_LIMIT:
            raise BundleError("its %s is larger than %d MiB" % (MANIFEST, _MANIFEST_LIMIT >> 20))
        with open(path, "rb") as handle:
            content = handle.read(_MANIFEST_LIMIT)
        if sum(map(content.count, (b",", b"[", b"{"))) > _MANIFEST_VALUES:
            raise BundleError("its %s has more than %d values" % (MANIFEST, _MANIFEST_VALUES))
        if _LONG_TEXT.search(content):
            raise BundleError("its %s has a text of more than 4096 bytes" % MANIFEST)
        manifest = _shown(json.loads(content.decode("utf-8")))
    except FileNotFoundError:
        raise BundleError("it has no %s" % MANIFEST) from None
    except OSError as error:
        raise BundleError("its %s cannot be read (%s)" % (MANIFEST, error.strerror)) from error
    except (ValueError, RecursionError) as error:
        raise BundleError("its %s is not JSON (%s)" % (MANIFEST, error)) from error
    if not isinstance(manifest, dict) or "format" not in manifest:
        raise BundleError("its %s is not one of skbfleet's" % MANIFEST)
    if manifest["format"] != FORMAT:
        raise BundleError("its format is %r and this version reads %r" % (manifest["format"], FORMAT))
    for key, kind in _SECTIONS.items():
        value = manifest.setdefault(key, kind())
        if not isinstance(value, kind):
            raise BundleError("its manifest's section %r is not %s" % (key, "an object" if kind is dict else "a list"))
    _check_lists(manifest)
    nearest.check(manifest)
    return manifest


def _shown(value: Any) -> Any:
    """Return what a host says with all its texts fit to be shown, wherever they will be."""
    if isinstance(value, dict):
        return {printable(name): _shown(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_shown(one) for one in value]
    return printable(value) if isinstance(value, str) else value


def _check_lists(manifest: dict[str, Any]) -> None:
    """Check what later code takes for granted."""
    points = manifest["points"]
    attached = points.setdefault("attached", [])
    if not isinstance(attached, list) or not all(isinstance(point, dict) and is_number(point.get("id"), 1 << 16)
                                                 and "name" in point for point in attached):
        raise BundleError("its manifest's points are not a list of {id, name}")
    if not isinstance(points.setdefault("skipped", {}), dict):
        raise BundleError("its manifest's skipped points are not an object: name -> why")
    for device in manifest["devices"]:
        if not isinstance(device, dict) or not is_number(device.get("ifindex"), 1 << 32) or not all(
                is_number(device.get(name) or 0, 1 << 32) for name in ("netns", "link", "master")):
            raise BundleError("its manifest's devices are not a list of {netns, ifindex, link, master, name}")
    pairs = manifest["clock"].setdefault("pairs", [])
    if not isinstance(pairs, list) or not all(
            isinstance(pair, dict) and is_number(pair.get("monotonic_ns"), _LATEST)
            and is_number(pair.get("realtime_ns"), _LATEST) and is_number(pair.get("error_ns") or 0, _LATEST)
            for pair in pairs):
        raise BundleError("its manifest's clock pairs are not a list of {monotonic_ns, realtime_ns, error_ns}")
    kinds = manifest["queues"].setdefault("kinds", {})
    if not isinstance(kinds, dict) or not all(_is_kind(number, kind) for number, kind in kinds.items()):
        raise BundleError("its manifest's kinds of queues are not an object: number -> {name, unit, of, full, refused}")
    for section, most in (("window", 1 << 64), ("counters", _LATEST), ("guards", _LATEST),
                          ("sample", _LATEST)):
        for name, value in manifest[section].items():
            if value is not None and not is_number(value, most):
                raise BundleError("its manifest's %s.%s is %r, not a number from 0 on" % (section, name, value))


def _is_kind(number: str, kind: Any) -> bool:
    """Whether this describes a kind of queue: records have a byte for its number."""
    return number in _BYTES and isinstance(kind, dict) and isinstance(kind.get("name"), str) and all(
        _are_texts(kind.get(name, [])) for name in ("full", "refused"))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _MOST_REASONS and all(isinstance(text, str) for text in value)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        raise BundleError("it has no %s" % RECORDS) from None
    except OSError as error:
        raise BundleError("its %s cannot be read (%s)" % (RECORDS, error.strerror)) from error
