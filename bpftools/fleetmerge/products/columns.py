# SPDX-License-Identifier: Apache-2.0
"""A batch as a table with names: the rows of events.parquet."""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..arrays import dictionary, names, numbered, per_value
from ..bundle.labels import Labels
from ..packet import flowtext
from ..packet.headers import TUNNELS, Headers
from ..packet.identity import NOT_FOLLOWED, Renaming, packet_keys, recognise
from ..words import clean
from . import fields
from .batch import Batch, Flows

_PLAIN = ("skb", "head", "cpu", "pid", "len", "data_len", "ifindex", "rx_ifindex", "mark", "hash", "priority",
          "pkt_type", "ip_summed", "cloned", "users", "followed", "nr_frags", "frag_list", "gso_size", "gso_segs",
          "gso_type", "queue_mapping", "queue_len", "queue_limit", "queue_backlog", "payload_hash")
# columns with few different values, which events.parquet keeps as numbers of these
FEW_VALUES = ["journey", "host", "tracer", "point", "device", "netns", "comm", "reason", "at", "stack", "queue_kind",
              "flow", "src", "dst", "protocol", "src_port", "dst_port", "tcp_flags", "ttl", "tos", "fragment",
              "more_fragments", "payload_len", "icmp_type", "icmp_code", "icmp_id", "mac_src", "mac_dst", "vlan",
              "tunnel", "tunnel_id", "inner_flow",
              *(name for name in _PLAIN if name not in ("skb", "head", "payload_hash"))]


def label(batch: Batch, labels: Sequence[Labels], fields: Sequence[str], make: Callable[..., str | None],
          ) -> pa.DictionaryArray:
    """Return a dictionary column: make(labels of the bundle, *values) for each different combination of fields."""
    columns = {"bundle": batch.bundle, **{name: batch.column(name) for name in fields}}
    codes, texts = per_value(columns, lambda row: make(labels[row[0]], *row[1:]))
    return dictionary(codes, texts)


def comm_text(raw: bytes) -> str:
    """Return a task's name as it stands in a line."""
    return clean(raw.split(b"\0")[0].decode("utf-8", "replace"))


def table(batch: Batch, labels: Sequence[Labels], renamed: Renaming | None = None,
          journeys: np.ndarray | None = None) -> pa.Table:
    """Return the batch as the rows of events.parquet.

    renamed: flows and their names before address translation; journeys: u8, the journey that each record shows; 0:
    none.
    """
    out: dict[str, Any] = {"time": pa.array(batch.wall).view(pa.timestamp("ns", "UTC")),
                           "monotonic_ns": batch.column("time_ns").astype("i8")}
    out["host"] = label(batch, labels, (), lambda names: names.host)
    out["tracer"] = label(batch, labels, (), lambda names: names.tracer)
    out["point"] = label(batch, labels, ("point",), Labels.point)
    out["device"] = label(batch, labels, ("netns", "ifindex"), Labels.device)
    out["netns"] = label(batch, labels, ("netns",), Labels.netns)
    codes, texts = per_value({"comm": batch.column("comm")}, lambda row: comm_text(row[0]))
    out["comm"] = dictionary(codes, texts)
    _drop_columns(out, batch, labels)
    _packet_columns(out, batch.headers, batch.flows)
    codes, pairs = batch.mac_addresses
    for end, name in enumerate(("mac_src", "mac_dst")):
        out[name] = dictionary(codes, [pair[end] if pair else None for pair in pairs])
    out["vlan"] = pa.array(batch.vlan, mask=batch.vlan < 0)
    _inner_columns(out, batch)
    known = recognise(batch.raw, batch.headers, batch.inner_rows, batch.inner, batch.length)
    out["queue_kind"] = label(batch, labels, ("queue_kind",), Labels.queue)
    out["packet"] = pa.array(packet_keys(known, renamed), mask=known["kind"] == NOT_FOLLOWED)
    out["journey"] = _journeys(np.zeros(len(batch), "u8") if journeys is None else journeys)
    for name in _PLAIN:
        out[name] = batch.column(name)
    out.update(fields.columns(batch, labels))
    out["header"] = _headers(batch)
    return pa.table(out)


def _journeys(journeys: np.ndarray) -> pa.DictionaryArray:
    """Return the journeys' names, as journeys.parquet has them."""
    codes, first = numbered(journeys)
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32(), mask=journeys == 0), names(journeys[first]))


def _headers(batch: Batch) -> pa.Array:
    """Return the bytes that were recorded of each packet: its headers, from where its outermost one begins."""
    if not len(batch):
        return pa.array([], pa.binary())
    packet = batch.column("packet")
    length = np.minimum(batch.column("packet_len").astype("i4"), packet.shape[1])
    # lengths take few different values: those of one length are cut together, and put in order afterwards
    order = np.argsort(length, kind="stable")
    different, starts = np.unique(length[order], return_index=True)
    parts = [packet[rows, :width].ravel() for width, rows in zip(
        different.tolist(), np.split(order, starts[1:]), strict=True)]
    offsets = np.append(0, np.cumsum(length[order])).astype("i4")
    place = np.empty(len(order), "i4")
    place[order] = np.arange(len(order), dtype="i4")
    return pa.BinaryArray.from_buffers(pa.binary(), len(length), [
        None, pa.py_buffer(offsets), pa.py_buffer(np.concatenate(parts))]).take(pa.array(place))


def _drop_columns(out: dict[str, Any], batch: Batch, labels: Sequence[Labels]) -> None:
    out["reason"] = label(batch, labels, ("reason",), lambda names, number: names.reason(number) if number else None)
    out["at"] = label(batch, labels, ("location",), Labels.symbol)
    out["stack"] = label(batch, labels, ("stack_id",), lambda names, number: ";".join(names.stack(number)) or None)


def _packet_columns(out: dict[str, Any], parsed: Headers, flows: Flows) -> None:
    codes, rows = flows.codes, flows.rows
    out["flow"] = dictionary(codes, flows.text)
    has = ((rows["version"] > 0) | (rows["kind"] > 0)).tolist()
    for name, field in (("src", "source"), ("dst", "target")):
        out[name] = dictionary(codes, [text if known else None for text, known in zip(
            flowtext.addresses_of(rows, field), has, strict=True)])
    of, names = per_value({name: rows[name] for name in ("version", "protocol", "ethertype", "kind")}, _protocol_name)
    out["protocol"] = dictionary(of[codes], names)
    ip, ports = parsed.version == 0, ~parsed.ports
    out["src_port"] = pa.array(parsed.source_port, mask=ports)
    out["dst_port"] = pa.array(parsed.target_port, mask=ports)
    tcp = (parsed.protocol != 6) | ports
    for name, column in (("tcp_flags", parsed.flags), ("seq", parsed.seq), ("ack", parsed.ack)):
        out[name] = pa.array(column, mask=tcp)
    for name, column in (("ip_id", parsed.ident), ("ttl", parsed.ttl), ("tos", parsed.tos),
                         ("fragment", parsed.fragment), ("more_fragments", parsed.more)):
        out[name] = pa.array(column, mask=ip)
    out["payload_len"] = pa.array(parsed.payload, mask=parsed.payload < 0)
    icmp = ~np.isin(parsed.protocol, (1, 58)) | (parsed.fragment > 0)
    for name, column in (("icmp_type", parsed.kind), ("icmp_code", parsed.code), ("icmp_id", parsed.echo_id),
                         ("icmp_seq", parsed.echo_seq)):
        out[name] = pa.array(column, mask=icmp)


def _protocol_name(row: Any) -> str:
    version, number, ethertype, kind = row
    if version:
        return flowtext.protocol(number)
    return "arp" if kind else "0x%04x" % ethertype


def _inner_columns(out: dict[str, Any], batch: Batch) -> None:
    tunnel = batch.headers.tunnel
    out["tunnel"] = dictionary(tunnel.astype("i4"), [name or None for name in TUNNELS])
    out["tunnel_id"] = pa.array(batch.headers.tunnel_id, mask=tunnel == 0)
    codes = np.zeros(len(batch), "i4")
    texts: list[str | None] = [None]
    if len(batch.inner_rows):
        codes[batch.inner_rows] = batch.inner_flows.codes + 1
        texts += batch.inner_flows.text.to_pylist()
    out["inner_flow"] = dictionary(codes, texts)
