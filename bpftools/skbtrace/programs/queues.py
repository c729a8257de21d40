# SPDX-License-Identifier: Apache-2.0
"""The table of queues: which kinds of them a packet can meet, where the kernel has them, and what is read.

A new kind is a new row, and a few lines of bpf/queue.h where its fields are not just read from one struct. A row's
number is what records carry, and stays its own. A point of points.py names the kind that packets meet there.
"""
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from ..kernel import btf, lookup, structs
from . import percpu

ANY = "any"  # of a point: what a drop's reason, or its socket, says
_ANY_NUMBER = 15
_BACKLOG_LIMIT = "/proc/sys/net/core/netdev_max_backlog"


class Kind(NamedTuple):
    """A row of the table."""

    number: int
    name: str
    unit: str                      # of length and limit: packets, bytes, connections
    of: str                        # what has one each: device (each of its queues), cpu, receiver, connection
    struct: str                    # which has the fields; empty: bpf/queue.h knows more
    length: str                    # C paths in it, or else words for what is read
    limit: str
    backlog: str                   # in bytes; empty: nothing
    module: str                    # whose types are read where the kernel itself has not
    fields: Dict[str, List[str]]   # all that is read, beyond what every tracer reads: struct -> C paths
    full: Tuple[str, ...]          # a packet dropped for one of these reasons has found such a queue full
    refused: Tuple[str, ...]       # ... for one of these has met one, which may have had room
    what: str


_DEVICE = {"net_device": ["_tx", "num_tx_queues"], "netdev_queue": ["qdisc"]}
_QDISC = {"Qdisc": ["enqueue", "flags", "q.qlen", "limit", "qstats.backlog", "cpu_qstats", "ops"],
          "Qdisc_ops": ["id"], "gnet_stats_queue": ["qlen", "backlog"]}
_QDISC_FULL = ("QDISC_OVERLIMIT", "QDISC_DROP_OVERLIMIT")
_QDISC_REFUSED = ("QDISC_DROP", "QDISC_BURST_DROP", "QDISC_CONGESTED")
_SOCKET = {"sock": ["sk_backlog.rmem_alloc.counter", "sk_backlog.len", "sk_rcvbuf", "sk_wmem_alloc.refs.counter",
                    "sk_wmem_queued", "sk_sndbuf", "sk_ack_backlog", "sk_max_ack_backlog", "__sk_common.skc_state"]}
_TAP = {"net_device": ["rtnl_link_ops"], "rtnl_link_ops": ["kind"], "tun_struct": ["tfiles", "numqueues"],
        "tun_file": ["tx_ring"], "ptr_ring": ["producer", "consumer_tail", "size", "queue"]}
_SOFTNET = {"softnet_data": ["input_pkt_queue.qlen"]}
_CELLS = {"gro_cells": ["cells"], "gro_cell": ["napi_skbs.qlen"]}

TABLE = [
    Kind(1, "qdisc", "packets", "device", "", "q.qlen, or cpu_qstats of all CPUs", "limit", "qstats.backlog", "",
         dict(_DEVICE, **_QDISC), _QDISC_FULL, _QDISC_REFUSED,
         "the qdisc of the device's transmit queue that the packet is for: below mq the child, not the sum"),
    Kind(2, "receive", "bytes", "receiver", "sock", "sk_backlog.rmem_alloc.counter", "sk_rcvbuf", "sk_backlog.len", "",
         _SOCKET, ("SOCKET_RCVBUFF", "SOCKET_BACKLOG"), (),
         "a socket's memory for what was received and not read; backlog: what waits while the socket is busy"),
    Kind(3, "tap", "packets", "device", "", "tx_ring: slots that are taken", "tx_ring.size", "", "tun", _TAP,
         ("FULL_RING",), (),
         "the ring from which a guest, or who reads the tap, takes its packets; slots come free in batches"),
    Kind(4, "softnet", "packets", "cpu", "", "input_pkt_queue.qlen of this CPU", "net.core.netdev_max_backlog", "", "",
         _SOFTNET, ("CPU_BACKLOG",), (),
         "what waits on this CPU to be received; steering (RPS) may put the packet on another one's"),
    Kind(5, "send", "bytes", "connection", "", "sk_wmem_alloc", "sk_sndbuf", "sk_wmem_queued", "", _SOCKET, (), (),
         "a socket's memory for what was sent and has not left; backlog: what TCP has to send, or to see acknowledged"),
    Kind(6, "accept", "connections", "receiver", "sock", "sk_ack_backlog", "sk_max_ack_backlog", "", "", _SOCKET,
         (), (), "connections of a listening socket that nobody has accepted yet"),
    Kind(7, "gro.cell", "packets", "cpu", "", "napi_skbs.qlen of this CPU", "net.core.netdev_max_backlog", "", "",
         _CELLS, (), (), "what a tunnel has unwrapped on this CPU and not handed on"),
    Kind(8, "qdisc.bytes", "bytes", "device", "Qdisc", "qstats.backlog", "limit", "qstats.backlog", "",
         dict(_DEVICE, **_QDISC), _QDISC_FULL, _QDISC_REFUSED,
         "a qdisc that has room for so many bytes, not packets: bfifo, gred"),
]
BY_NAME = {kind.name: kind for kind in TABLE}
NAMES = {kind.number: kind.name for kind in TABLE}
_COUNTS_APART = "qdisc that counts on each CPU"
_MOST_SUMMED = 128  # CPUs: each costs every record at such a qdisc some 20 ns
_PER_CPU = ("softnet", "gro.cell")  # without per-CPU memory they cannot be had


class Queues(NamedTuple):
    """The kinds of queues that this kernel lets be read, as the C and the manifest want them."""

    absent: Dict[str, str]         # kind that was asked for -> why it cannot be read
    fields: Dict[str, List[str]]   # of the kernel's own structs, to be declared with what else is read of them
    declarations: str              # of modules' structs
    constants: Dict[str, Any]
    offsets: List[int]             # of each CPU's own memory; empty: not needed, or not known


def number(name: str) -> int:
    """Return what a recipe has for a point's kind; "" is 0."""
    return BY_NAME[name].number if name in BY_NAME else {"": 0, ANY: _ANY_NUMBER}[name]


def type_names() -> List[str]:
    """Return the names that are looked up in the kernel's types."""
    return sorted({name for kind in TABLE for name in kind.fields}) + percpu.NAMES


def describe(absent: Dict[str, str]) -> Dict[str, Any]:
    """Return the kinds as the manifest carries them: a bundle's numbers have their names with them."""
    kinds = {str(kind.number): {"name": kind.name, "unit": kind.unit, "of": kind.of, "full": list(kind.full),
                                "refused": list(kind.refused), "what": kind.what} for kind in TABLE}
    return {"kinds": kinds, "absent": absent}


def find(types: Optional[lookup.Types], reasons: Dict[int, str], met: Iterable[str]) -> Queues:
    """Return what can be read of the kinds of queues that are `met`, as points name them.

    types: None where the kernel has no BTF; reasons: number -> name of a drop reason.
    """
    wanted = _wanted(set(met))
    memory = percpu.find(types.vmlinux) if types and wanted else None
    absent = {kind.name: why for kind, why in ((kind, _why_absent(kind, types, memory)) for kind in wanted) if why}
    kinds = [kind for kind in wanted if kind.name not in absent]
    constants = make_constants(kinds, reasons)
    if types:
        constants.update(_sizes(types.vmlinux))
    if memory:
        constants.update(CPUS=len(memory.offsets), SOFTNET_DATA="0x%xull" % memory.softnet)
        if len(memory.offsets) <= _MOST_SUMMED:
            constants["SUM_CPUS"] = 1
    if "HAVE_QUEUE_QDISC" in constants and "SUM_CPUS" not in constants:
        absent[_COUNTS_APART] = "its counts on more than %d CPUs, or where they are, are not read" % _MOST_SUMMED
    fields, declarations = _declare(kinds, types)
    return Queues(absent, fields, declarations, constants, memory.offsets if memory else [])


def _wanted(met: Set[str]) -> List[Kind]:
    """Return the kinds that points meet; at a drop these are those that reasons lead to, and a listening socket's.

    Which of the two kinds of qdisc it is shows when a packet meets it.
    """
    met = met.union(["qdisc.bytes"] if "qdisc" in met else [])
    return [kind for kind in TABLE
            if kind.name in met or (ANY in met and (kind.full or kind.refused or kind.name == "accept"))]


def _declare(kinds: List[Kind], types: Optional[lookup.Types]) -> Tuple[Dict[str, List[str]], str]:
    """Return the fields of the kernel's own structs, and the declarations of modules'."""
    fields: Dict[str, List[str]] = {}
    declarations = ""
    for kind in kinds:
        for name, paths in kind.fields.items():
            if types and not types.vmlinux.struct_size(name):
                declarations += structs.declare(_types_of(name, kind, types), name, paths)
            else:
                fields.setdefault(name, []).extend(path for path in paths if path not in fields.get(name, []))
    return fields, declarations


def _types_of(name: str, kind: Kind, types: lookup.Types) -> Optional[btf.Btf]:
    """Return the types that have a struct: the kernel's own, or those of the kind's module."""
    return types.vmlinux if types.vmlinux.struct_size(name) else types.of(kind.module)


def _why_absent(kind: Kind, types: Optional[lookup.Types], memory: Optional[percpu.PerCpu]) -> str:
    if types is None:
        return "this kernel does not tell its types" if kind.module or kind.name in _PER_CPU else ""
    for name, paths in kind.fields.items():
        blob = _types_of(name, kind, types)
        for path in paths:
            if not blob:
                return "module %s is not loaded, or does not tell its types" % kind.module
            if not blob.member(name, path):
                return "this kernel's types have no field %s in struct %s" % (path, name)
    if kind.name in _PER_CPU and not (memory and (memory.softnet or kind.name != "softnet")):
        return "where this kernel has its per-CPU memory was not found"
    return ""


def make_constants(kinds: List[Kind], reasons: Dict[int, str]) -> Dict[str, Any]:
    """Return what bpf/queue.h has to know of the kinds that can be read; reasons: number -> name of a drop reason."""
    constants: Dict[str, Any] = {"HAVE_QUEUE_" + _word(kind): 1 for kind in kinds}
    constants.update(("QUEUE_" + _word(kind), kind.number) for kind in TABLE)
    constants["QUEUE_ANY"] = _ANY_NUMBER
    of_reason = {why: kind.number for kind in reversed(kinds) for why, name in sorted(reasons.items())
                 if name in kind.full + kind.refused}
    constants["QUEUE_OF_REASON(reason)"] = "".join("(reason) == %d ? %d : " % pair
                                                   for pair in of_reason.items()) + "0"
    constants["PLAIN_QUEUES(LENGTH, BACKLOG)"] = " ".join(
        ("BACKLOG(%d, %s, %s) " % (kind.number, kind.struct, kind.backlog) if kind.backlog else "")
        + "LENGTH(%d, %s, %s, %s)" % (kind.number, kind.struct, kind.length, kind.limit)
        for kind in kinds if kind.struct)
    constants["BACKLOG_LIMIT"] = _backlog_limit()
    return constants


def _word(kind: Kind) -> str:
    return kind.name.upper().replace(".", "_")


def _sizes(types: btf.Btf) -> Dict[str, int]:
    """Where a device's own structs begin, and how far apart its queues are, in bytes."""
    private = types.member("net_device", "priv")  # older kernels have it behind the struct
    return {"DEVICE_PRIVATE": private.bit_offset // 8 if private else types.struct_size("net_device") + 31 & ~31,
            "DEVICE_QUEUE_SIZE": types.struct_size("netdev_queue")}


def _backlog_limit() -> int:
    """Return how many packets a CPU's backlog takes; 0 where it is not told: only in the machine's first namespace."""
    try:
        with open(_BACKLOG_LIMIT) as handle:
            return int(handle.read())
    except (OSError, ValueError):
        return 0
