# SPDX-License-Identifier: Apache-2.0
"""The lines of timeline.log: one per record, in the words of the live text, all lines of a batch at once."""
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from . import flowtext
from .batch import Batch
from .columns import comm_text, flow_codes, flow_text, is_drop
from .encode import hexadecimal, join, number, per_value, scatter, text_of, time_text
from .headers import ICMP, ICMPV6, TCP
from .labels import Labels

DATAPATH = "datapath_tracing"
_METADATA = ("data_len", "mark", "hash", "priority", "queue_mapping", "ip_summed", "cloned", "users", "nr_frags",
             "gso_size", "gso_segs", "gso_type")
_DEFAULTS = {"users": 1}


def lines(batch: Batch, labels: Sequence[Labels]) -> pa.Buffer:
    """Return the batch as text, ready to be written."""
    if not len(batch):
        return pa.py_buffer(b"")
    parsed = batch.headers
    flow_code, flows = flow_codes(parsed)
    text = join(time_text(batch.wall), _place(batch, labels),
                text_of(flow_code, [flow_text(row) for row in flows]),
                _transport(batch), _ident(batch), " len=", number(batch.column("len")), _vlan(batch),
                _drop(batch, labels), _metadata(batch, labels), "\n", _stack(batch, labels))
    return _data(text)


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


def _transport(batch: Batch) -> pa.Array | str:
    """TCP flags and numbers, ICMP type, code and echo numbers, fragment offset."""
    parsed = batch.headers
    tcp = np.flatnonzero((parsed.protocol == TCP) & parsed.ports)
    icmp = np.flatnonzero(np.isin(parsed.protocol, (ICMP, ICMPV6)) & (parsed.version > 0) & parsed.whole
                          & (parsed.fragment == 0))
    parts: list[Any] = []
    if len(tcp):
        flags = text_of(parsed.flags[tcp].astype("i4"), [" flags=%s seq=" % flowtext.tcp_flags(bits)
                                                         for bits in range(256)])
        parts.append(scatter(len(batch), tcp, join(flags, number(parsed.seq[tcp]), " ack=", number(parsed.ack[tcp]))))
    if len(icmp):
        codes, texts = per_value({"kind": parsed.kind[icmp], "code": parsed.code[icmp]},
                                 lambda row: " type=%d code=%d" % row)
        parts.append(scatter(len(batch), icmp, text_of(codes, texts)))
        echo = icmp[np.isin(parsed.kind[icmp], (0, 8, 128, 129))]
        parts.append(scatter(len(batch), echo, join(" icmp_id=", number(parsed.echo_id[echo]), " icmp_seq=",
                                                    number(parsed.echo_seq[echo]))))
    pieces = np.flatnonzero((parsed.fragment > 0) | parsed.more)
    if len(pieces):
        end = text_of(parsed.more[pieces].astype("i4"), ["", "+"])
        parts.append(scatter(len(batch), pieces, join(" frag=", number(parsed.fragment[pieces]), end)))
    return join("", *parts) if parts else ""


def _ident(batch: Batch) -> pa.Array | str:
    parsed = batch.headers
    rows = np.flatnonzero((parsed.version == 4) | (parsed.fragment > 0) | parsed.more)
    return scatter(len(batch), rows, join(" id=", number(parsed.ident[rows]))) if len(rows) else ""


def _vlan(batch: Batch) -> pa.Array | str:
    if not (batch.vlan >= 0).any():
        return ""
    return text_of(batch.vlan + 1, ["", *(" vlan=%d" % vlan for vlan in range(4096))])


def _drop(batch: Batch, labels: Sequence[Labels]) -> pa.Array:
    drops = is_drop(batch, labels)
    columns = {"bundle": batch.bundle, "drop": drops, "reason": np.where(drops, batch.column("reason"), 0),
               "location": batch.column("location")}

    def make(row: Any) -> str:
        bundle, drop, reason, location = row
        at = labels[bundle].symbol(location)
        return (" reason=%s" % labels[bundle].reason(reason) if drop else "") + (" at=%s" % at if at else "")
    return text_of(*per_value(columns, make))


def _stack(batch: Batch, labels: Sequence[Labels]) -> pa.Array | str:
    stack = batch.column("stack_id")
    if not (stack >= 0).any():
        return ""
    return text_of(*per_value({"bundle": batch.bundle, "stack": stack}, lambda row: "".join(
        "    %s\n" % frame for frame in labels[row[0]].stack(row[1]))))


def _metadata(batch: Batch, labels: Sequence[Labels]) -> pa.Array | str:
    """What the datapath tracer shows besides: fields that are not at their default, and the skb's addresses."""
    datapath = np.array([names.tracer == DATAPATH for names in labels])[batch.bundle]
    rows = np.flatnonzero(datapath)
    if not len(rows):
        return ""

    def make(row: Any) -> str:
        return "".join(" %s=%s" % (name, "0x%x" % value if name == "hash" else value)
                       for name, value in zip(_METADATA, row, strict=True) if value != _DEFAULTS.get(name, 0))
    shown = text_of(*per_value({name: batch.column(name)[rows] for name in _METADATA}, make))
    text = join(shown, " skb=0x", hexadecimal(batch.column("skb")[rows]), " head=0x",
                hexadecimal(batch.column("head")[rows]))
    return scatter(len(batch), rows, text)
