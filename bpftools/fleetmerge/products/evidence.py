# SPDX-License-Identifier: Apache-2.0
"""evidence.parquet: what the hosts read of their configuration and counters, before the window and after it, and how
those who take packets from their queues fared meanwhile. A row for each value, so that one join compares them.

    host, netns   netns: its name, null for what is the same in all of a host
    moment        before, after, or during the window
    time          of the one clock, during the window only
    reading       which of skbtrace/host/collectors.py; during the window: task, cpu, memory
    item          where in it: names and numbers of entries, with their devices, joined by dots (0:eth0.drops); or the
                  counter's name. What no command prints, lists in lists without end, is cut off, and ends in …
    value         as it was printed
    number        the same, if it is one
"""
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..bundle.evidence import Evidence, Reading, read_evidence
from ..bundle.labels import Labels
from ..bundle.looks import Looks
from ..errors import BundleError
from ..findings.hosts import Host

SCHEMA = pa.schema([("host", pa.string()), ("netns", pa.string()), ("moment", pa.string()),
                    ("time", pa.timestamp("ns", "UTC")), ("reading", pa.string()), ("item", pa.string()),
                    ("value", pa.string()), ("number", pa.float64())])
_BATCH = 1 << 15     # rows
_DEEPEST = 32        # levels that are looked into
_LONGEST = 500       # characters of an item
_COUNTERS = ("statistics", "statistics-more")    # pairs of lines: Udp: NAME NAME …, Udp: NUMBER NUMBER …

Row = tuple[str, str | None, str, int | None, str, str, str, float | None]
Item = tuple[str, str, float | None]


def write(path: str, hosts: Sequence[Host]) -> None:
    """Write the file; evidence that cannot be used is left out, as the summary says of its host."""
    rows = _rows(hosts)
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        while batch := list(islice(rows, _BATCH)):
            columns = zip(*batch, strict=True)
            writer.write_batch(pa.record_batch([pa.array(column, field.type) for column, field in zip(
                columns, SCHEMA, strict=True)], schema=SCHEMA))


def _rows(hosts: Sequence[Host]) -> Iterator[Row]:
    for host in hosts:
        for bundle, _, clock in host.bundles:
            try:
                evidence = read_evidence(bundle.directory, bundle.manifest["files"])
            except BundleError:
                continue
            if not evidence:
                continue
            for netns, reading in _readings(evidence, Labels(bundle)):
                for moment, read in (("before", reading.before), ("after", reading.after)):
                    for name, value in read.items():
                        yield from ((host.name, netns, moment, None, name, *item) for item in _items(name, value))
            if evidence.looks:
                when = clock.to_wall(np.array(evidence.looks.times, "i8")).tolist()
                yield from ((host.name, None, "during", when[at], *seen) for at, *seen in _seen(evidence.looks))


def _readings(evidence: Evidence, labels: Labels) -> Iterator[tuple[str | None, Reading]]:
    yield None, evidence.host
    for inode, reading in evidence.namespaces.items():
        yield labels.netns(inode), reading


def _items(name: str, value: Any) -> Iterator[Item]:
    """Yield what a reading has: counters by their names, all else by where it is."""
    if name in _COUNTERS and isinstance(value, dict):
        for lines in value.values():
            yield from _counters(lines) if isinstance(lines, list) else ()
    else:
        yield from _leaves(value, "", _DEEPEST)


def _counters(lines: Sequence[Any]) -> Iterator[Item]:
    """Yield the counters of /proc/net/snmp and /proc/net/netstat."""
    for names, numbers in zip(lines[::2], lines[1::2], strict=False):
        kind, _, named = str(names).partition(":")
        for name, number in zip(named.split(), str(numbers).partition(":")[2].split(), strict=False):
            yield kind + "." + name, number, _number(number)


def _leaves(value: Any, item: str, deeper: int) -> Iterator[Item]:
    entries: Iterable[tuple[Any, Any]] = ()
    if not deeper:
        yield item, "…", None
    elif isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        entries = ((_entry(number, one), one) for number, one in enumerate(value))
    else:
        text = value if isinstance(value, str) else "" if value is None else str(value)
        yield item, text, _number(value)
    for name, one in entries:
        yield from _leaves(one, _cut("%s.%s" % (item, name) if item else str(name)), deeper - 1)


def _cut(item: str) -> str:
    return item if len(item) <= _LONGEST else item[:_LONGEST - 1] + "…"


def _entry(number: int, value: Any) -> str:
    """Return the name of a list's entry: its number, and of which device it is."""
    device = value.get("dev") or value.get("ifname") if isinstance(value, dict) else None
    return "%d:%s" % (number, device) if isinstance(device, str) else str(number)


def _number(value: Any) -> float | None:
    """Return a value's number, None if it is none."""
    if isinstance(value, str) and not value.lstrip("-").replace(".", "", 1).isdecimal():
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _seen(looks: Looks) -> Iterator[tuple[int, str, str, str, float | None]]:
    """Yield what was seen of threads, CPUs and memory: number of the look, reading, item, value, number."""
    for holder in looks.holders:
        for task in holder.tasks:
            name = "%d.%d.%s" % (holder.pid, task.tid, task.comm)
            for at, state in enumerate(task.states):
                yield at, "task", name + ".state", state, None
                for what, values in (("ran_ns", task.ran), ("waited_ns", task.waited)):
                    yield at, "task", "%s.%s" % (name, what), str(values[at]), float(values[at])
    for cpu, rows in looks.cpus.items():
        for at, row in enumerate(rows):
            for what, number in zip(("total", "steal", "softirq"), row, strict=True):
                yield at, "cpu", "%d.%s" % (cpu, what), str(number), float(number)
    for at, number in enumerate(looks.memory_us):
        yield at, "memory", "stalled_us", str(number), float(number)
