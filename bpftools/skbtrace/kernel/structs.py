# SPDX-License-Identifier: Apache-2.0
"""The fields that the tracers read, as a C header in the running kernel's own layout.

Only these structs with only these fields are emitted, each padded to its true offset. A header of this size
compiles in a tenth of the time of the kernel's own headers, and works where those are missing or cannot be parsed.
"""
import os
import platform
import re
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..errors import TracerError
from . import btf

# where a function's arguments are, by the calling convention of each type of machine that has kprobes
REGISTERS = {"x86_64": ["di", "si", "dx", "cx", "r8", "r9"], "aarch64": ["regs"]}
# struct -> fields as C paths. Fields in OPTIONAL differ between kernels: HAVE_<struct>_<field> tells the C code.
FIELDS: Dict[str, List[str]] = {
    "sk_buff": ["dev", "sk", "len", "data_len", "queue_mapping", "cloned", "pkt_type", "ip_summed", "skb_iif", "hash",
                "vlan_proto", "vlan_tci", "vlan_all", "vlan_present", "priority", "mark", "protocol",
                "transport_header", "network_header", "mac_header", "tail", "end", "head", "data",
                "users.refs.counter", "next", "cb"],
    "skb_shared_info": ["nr_frags", "gso_size", "gso_segs", "gso_type", "frag_list", "frags"],
    "net_device": ["ifindex", "nd_net.net", "name"],
    "net": ["ns.inum"],
    "sock": ["__sk_common.skc_net.net", "__sk_common.skc_family", "__sk_common.skc_daddr",
             "__sk_common.skc_rcv_saddr", "__sk_common.skc_num", "__sk_common.skc_dport",
             "__sk_common.skc_v6_daddr", "__sk_common.skc_v6_rcv_saddr"],
    "tcp_skb_cb": ["seq", "tcp_flags"],
    "tcp_sock": ["rcv_nxt"],
    "pt_regs": REGISTERS.get(platform.machine(), []),
}
FLOW_ACTIONS = ("sw_flow_actions", "actions_len")  # in the openvswitch module
FLOW_ACTIONS_LENGTH = 24  # bytes: where that is in every kernel from 4.18 to 6.18, for those that do not tell
OPTIONAL = {("sk_buff", "vlan_all"), ("sk_buff", "vlan_present"), ("sock", "__sk_common.skc_v6_daddr"),
            ("sock", "__sk_common.skc_v6_rcv_saddr")}
_DECLARED_IN = {"sk_buff": "linux/skbuff.h", "sock": "net/sock.h"}
_INCLUDES = ("linux/skbuff.h", "linux/netdevice.h", "linux/ptrace.h", "net/net_namespace.h", "net/sock.h",
             "net/sch_generic.h")

ENUMS = ["bpf_map_type", "bpf_func_id"]  # what the kernel's BPF can do

_INTEGERS = {1: "u8", 2: "u16", 4: "u32", 8: "u64"}


class Declarations(NamedTuple):
    """What the C code is told of this kernel."""

    text: str                  # declarations of the types, to stand before all else
    constants: Dict[str, Any]  # HAVE_… and the like
    from_headers: bool         # the kernel's own headers are needed to compile


def from_btf(types: btf.Btf, more: Optional[Dict[str, List[str]]] = None, of_modules: str = "") -> Declarations:
    """Return the declarations that the kernel's own types give; raises TracerError if a needed field is not there.

    more: fields that are read besides, which are there; of_modules: declarations of modules' structs.
    """
    constants: Dict[str, Any] = {}
    if "BPF_FUNC_probe_read_kernel" in types.enum("bpf_func_id").values():
        constants["HAVE_PROBE_READ_KERNEL"] = 1
    if "BPF_MAP_TYPE_RINGBUF" in types.enum("bpf_map_type").values():
        constants["USE_RING_BUFFER"] = 1
        constants["HAVE_LARGE_PROGRAMS"] = 1  # as a kernel has for longer that has this kind of map
    constants["HAVE_TCP_TYPES"] = 1
    return Declarations(_emit_header(types, more or {}) + of_modules, constants, False)


def headers_directories(release: str) -> List[str]:
    """Return where a kernel's headers lie on this host, those that exist; distributions split them in two."""
    places = ["/lib/modules/%s/%s/include" % (release, part) for part in ("build", "source")]
    return [place for place in places if os.path.exists(os.path.join(place, "linux/skbuff.h"))]


def from_headers(release: str) -> Declarations:
    """Return the declarations by way of the kernel's headers; raises TracerError where there are none."""
    directories = headers_directories(release)
    if not directories:
        raise TracerError("this kernel has neither BTF (%s) nor headers (/lib/modules/%s/build): install "
                          "linux-headers-%s (Debian) or kernel-devel-%s (RHEL family), or run a kernel with BTF"
                          % (btf.KERNEL, release, release, release))
    constants: Dict[str, Any] = {
        _have(name, field): 1 for name, field in OPTIONAL
        if _mentions(directories, _DECLARED_IN[name], r"\b%s\s*[;:]" % field.rpartition(".")[2])}
    for constant, word in (("HAVE_PROBE_READ_KERNEL", "probe_read_kernel"), ("USE_RING_BUFFER", "MAP_TYPE_RINGBUF")):
        if _mentions(directories, "uapi/linux/bpf.h", word):
            constants[constant] = 1
    if "USE_RING_BUFFER" in constants:
        constants["HAVE_LARGE_PROGRAMS"] = 1
    return Declarations("".join("#include <%s>\n" % header for header in _INCLUDES), constants, True)


def _have(name: str, path: str) -> str:
    """The constant that tells the C code of a field."""
    return "HAVE_%s_%s" % (name, path.replace(".", "_"))


def headers_mention(release: str, header: str, pattern: str) -> bool:
    """Whether a kernel's header on this host has this in it; not, where it has no headers."""
    return _mentions(headers_directories(release), header, pattern)


def _mentions(directories: List[str], header: str, pattern: str) -> bool:
    for directory in directories:
        try:
            with open(os.path.join(directory, header)) as handle:
                if re.search(pattern, handle.read()):
                    return True
        except OSError:
            continue
    return False


def declare(types: Optional[btf.Btf], name: str, paths: List[str]) -> str:
    """Return the C declaration of one struct with these fields, those that it has."""
    found = [(path, types.member(name, path)) for path in paths] if types else []
    return "\n".join(_emit_struct(name, [(path, member) for path, member in found if member])) + "\n"


def _emit_header(types: btf.Btf, more: Dict[str, List[str]]) -> str:
    """Return C declarations of FIELDS, and more; raises TracerError if this kernel lacks one that is not optional."""
    lines = []
    for name in dict(FIELDS, **more):
        found = []
        for path in FIELDS.get(name, []) + more.get(name, []):
            member = types.member(name, path)
            if member:
                found.append((path, member))
            elif (name, path) not in OPTIONAL:
                raise TracerError("the kernel's types have no field %s in struct %s" % (path, name))
            if (name, path) in OPTIONAL and member:
                lines.append("#define %s 1" % _have(name, path))
        lines += _emit_struct(name, found)
    return "\n".join(lines) + "\n"


def _emit_struct(name: str, members: List[Tuple[str, btf.Member]]) -> List[str]:
    """A struct as a union of one padded view per field: fields may overlap as they do in the kernel.

    It ends with the last field that is read, so that copying it whole copies no more than that.
    """
    lines = ["struct %s {" % name, "    union {"]
    nested: Dict[str, List[Tuple[str, btf.Member]]] = {}
    for path, member in members:
        outer, _dot, inner = path.partition(".")
        if inner:
            nested.setdefault(outer, []).append((inner, member))
        else:
            lines.append("        " + _view(path, member))
    for outer, inner_members in nested.items():
        views = " ".join(_nest(path, member) for path, member in inner_members)
        lines.append("        union { %s } %s;" % (views, outer))
    return lines + ["    };", "};"]


def _nest(path: str, member: btf.Member) -> str:
    """A view of a nested field, counted from the start of the outermost struct, where all views start."""
    outer, _dot, inner = path.partition(".")
    return "union { %s } %s;" % (_nest(inner, member), outer) if inner else _view(path, member)


def _view(name: str, member: btf.Member) -> str:
    offset, shift = divmod(member.bit_offset, 8)
    pad = "u8 pad_%s[%d]; " % (name, offset) if offset else ""
    if member.bits:
        below = "u8 : %d; " % shift if shift else ""
        return "struct { %s%su8 %s : %d; };" % (pad, below, name, member.bits)
    if member.size not in _INTEGERS:  # more than one value: bytes to whoever reads them
        return "struct { %su8 %s[%d]; };" % (pad, name, member.size)
    return "struct { %s%s %s; };" % (pad, _INTEGERS[member.size], name)
