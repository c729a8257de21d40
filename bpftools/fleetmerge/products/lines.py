# SPDX-License-Identifier: Apache-2.0
"""The lines of timeline.log: one per record, in the words of the live text, all lines of a batch at once."""
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from skbtrace.show.text import METADATA

from ..arrays import hexadecimal, join, number, per_value, spread, strings, text_of, time_text
from ..bundle.labels import Labels
from ..packet import flowtext
from ..packet.headers import ICMP, ICMPV6, TCP, TUNNELS, Headers, is_echo
from . import fields
from .batch import Batch
from .columns import comm_text

DATAPATH = "datapath_tracing"
_FLAGS = strings([" flags=%s seq=" % flowtext.tcp_flags(bits) for bits in range(256)])
Parts = list[pa.Array | str]    # of lines: to be joined, if there are any


def lines(batch: Batch, labels: Sequence[Labels]) -> pa.Buffer:
    """Return the batch as text, ready to be written."""
    if not len(batch):
        return pa.py_buffer(b"")
    return _data(join(
        time_text(batch.wall), _place(batch, labels), batch.flows.texts(),
        *_transport(batch.headers), " len=", number(batch.column("len")), *_vlan(batch.vlan), *_inner(batch),
        _drop(batch, labels), *_queue(batch, labels), *fields.words(batch, labels), *_followed(batch),
        *_metadata(batch, labels), _macs(batch), "\n", *_stack(batch, labels)))


def _data(text: pa.Array) -> pa.Buffer:
    offsets = np.frombuffer(text.buffers()[1], "i4", len(text) + 1 + text.offset)
    start, end = int(offsets[text.offset]), int(offsets[-1])
    return text.buffers()[2].slice(start, end - start)


def _place(batch: Batch, labels: Sequence[Labels]) -> pa.Array:
    columns = {"bundle": batch.bundle}
    columns.update((name, batch.column(name)) for name in ("point", "netns", "ifindex", "pid", "cpu", "comm"))

    def make(row: Any) -> str:
        names, (point, netns, ifindex, pid, cpu, comm) = labels[row[0]], row[1:]
        return "%s %s %s netns=%s %s[%d] cpu=%d " % (names.host, names.point(point), names.device(netns, ifindex),
                                                     names.netns(netns), comm_text(comm), pid, cpu)
    return text_of(*per_value(columns, make))


def _transport(parsed: Headers) -> Parts:
    """TCP flags and numbers, ICMP type, code and echo numbers, IP id, fragment offset."""
    count = len(parsed.version)
    tcp = np.flatnonzero((parsed.protocol == TCP) & parsed.whole & (parsed.fragment == 0))
    icmp = np.flatnonzero(np.isin(parsed.protocol, (ICMP, ICMPV6)) & (parsed.version > 0) & parsed.whole
                          & (parsed.fragment == 0))
    parts: Parts = []
    if len(tcp):
        flags = text_of(parsed.flags[tcp].astype("i4"), _FLAGS)
        parts += spread(count, tcp, flags, number(parsed.seq[tcp]), " ack=", number(parsed.ack[tcp]))
    if len(icmp):
        codes, texts = per_value({"kind": parsed.kind[icmp], "code": parsed.code[icmp]},
                                 lambda row: " type=%d code=%d" % row)
        parts += spread(count, icmp, text_of(codes, texts))
        echo = icmp[is_echo(parsed.protocol[icmp], parsed.kind[icmp])]
        parts += spread(count, echo, " icmp_id=", number(parsed.echo_id[echo]), " icmp_seq=",
                        number(parsed.echo_seq[echo]))
    identified = np.flatnonzero((parsed.version == 4) | (parsed.fragment > 0) | parsed.more)
    parts += spread(count, identified, " id=", number(parsed.ident[identified]))
    pieces = np.flatnonzero((parsed.fragment > 0) | parsed.more)
    if len(pieces):
        end = text_of(parsed.more[pieces].astype("i4"), ["", "+"])
        parts += spread(count, pieces, " fragment=", number(parsed.fragment[pieces]), end)
    return parts


def _vlan(vlan: np.ndarray) -> Parts:
    return [text_of(vlan + 1, ["", *(" vlan=%d" % number for number in range(4096))])] if (vlan >= 0).any() else []


def _inner(batch: Batch) -> Parts:
    """What a tunnel carries, in brackets."""
    rows, inside = batch.inner_rows, batch.inner
    if not len(rows):
        return []
    tunnel = text_of(batch.headers.tunnel[rows].astype("i4"), [" %s=" % name for name in TUNNELS])
    return spread(len(batch), rows, tunnel, number(batch.headers.tunnel_id[rows]), " [",
                  batch.inner_flows.texts(), *_transport(inside), *_vlan(inside.vlan), "]")


def _drop(batch: Batch, labels: Sequence[Labels]) -> pa.Array:
    columns = {"bundle": batch.bundle, "reason": batch.column("reason"), "location": batch.column("location")}

    def make(row: Any) -> str:
        names, reason, location = labels[row[0]], row[1], row[2]
        return ((" reason=%s" % names.reason(reason) if reason else "")
                + (" at=%s" % names.symbol(location) if location else ""))
    return text_of(*per_value(columns, make))


def _queue(batch: Batch, labels: Sequence[Labels]) -> Parts:
    rows = np.flatnonzero(batch.column("queue_kind"))
    if not len(rows):
        return []
    columns = {"bundle": batch.bundle[rows]}
    columns.update((name, batch.column(name)[rows]) for name in ("queue_kind", "queue_len", "queue_limit",
                                                                 "queue_backlog"))
    codes, texts = per_value(columns, lambda row: " queue=%s:%d/%d,backlog=%d" % (
        labels[row[0]].queue(row[1]), *row[2:]))
    return spread(len(batch), rows, text_of(codes, texts))


def _followed(batch: Batch) -> Parts:
    followed = batch.column("followed")
    return [text_of((followed > 0).astype("i4"), ["", " followed"])] if followed.any() else []


def _stack(batch: Batch, labels: Sequence[Labels]) -> Parts:
    stack = batch.column("stack_id")
    if not (stack >= 0).any():
        return []
    return [text_of(*per_value({"bundle": batch.bundle, "stack": stack}, lambda row: "".join(
        "    %s\n" % frame for frame in labels[row[0]].stack(row[1]))))]


def _metadata(batch: Batch, labels: Sequence[Labels]) -> Parts:
    """What the datapath tracer shows besides: fields that are not at their default, and the skb's addresses."""
    datapath = np.array([names.tracer == DATAPATH for names in labels])[batch.bundle]
    rows = np.flatnonzero(datapath)
    if not len(rows):
        return []
    split = [name for name, _ in METADATA].index("hash")    # of which there may be one for each flow
    hashes = batch.column("hash")[rows]
    hashed = spread(len(rows), np.flatnonzero(hashes), " hash=", number(hashes[hashes > 0]))
    return spread(len(batch), rows, *_unusual(batch, rows, METADATA[:split]), *hashed,
                  *_unusual(batch, rows, METADATA[split + 1:]), " skb=0x", hexadecimal(batch.column("skb")[rows]),
                  " head=0x", hexadecimal(batch.column("head")[rows]))


def _macs(batch: Batch) -> pa.Array:
    codes, pairs = batch.mac_addresses
    return text_of(codes, [" mac=%s > %s" % pair if pair else "" for pair in pairs])


def _unusual(batch: Batch, rows: np.ndarray, fields: Sequence[tuple[str, int]]) -> Parts:
    """Return the words for those of the fields that are not as usual. fields: (name, usual value)."""
    columns = {name: batch.column(name)[rows] for name, _ in fields}
    odd = [(name, usual) for name, usual in fields if (columns[name] != usual).any()]
    if not odd:
        return []

    def make(row: Any) -> str:
        return "".join(" %s=%d" % (name, value) for (name, usual), value in zip(odd, row, strict=True)
                       if value != usual)
    return [text_of(*per_value({name: columns[name] for name, _ in odd}, make))]
