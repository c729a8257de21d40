# SPDX-License-Identifier: Apache-2.0
"""Fields by name: found where a kernel's types say, compiled in, read from records; refused in one sentence."""
import ctypes
import pathlib
import struct
import subprocess

import pytest
from support.btf import Blob

from skbtrace import options
from skbtrace.capture import record
from skbtrace.errors import InputError, TracerError
from skbtrace.kernel import btf, fields
from skbtrace.programs import BPF_DIR
from skbtrace.programs import fields as recorded


class Types:
    """Types of a kernel and of its modules."""

    def __init__(self, kernel: Blob, modules: dict[str, Blob] | None = None) -> None:
        self.vmlinux = btf.Btf(kernel.bytes(), [])
        self._modules = {name: btf.Btf(blob.bytes(), [], self.vmlinux) for name, blob in (modules or {}).items()}

    def of(self, module: str) -> btf.Btf | None:
        return self._modules.get(module) if module else self.vmlinux


def kernel() -> Types:
    """sk_buff with nested anonymous unions, bitfields of both kinds, pointers to structs, to bytes, with flags."""
    blob = Blob()
    u8, u16, u32 = (blob.add("INT", "u%d" % bits, bits // 8, bits) for bits in (8, 16, 32))
    u64, s32 = blob.add("INT", "u64", 8, 64), blob.add("INT", "int", 4, 1 << 24 | 32)
    be16 = blob.add("TYPEDEF", "__be16", u16)
    old_bits = blob.add("INT", "", 1, 3)  # as older compilers tell a bitfield of three bits
    atomic = blob.struct("", 4, ("counter", s32, 0, 0))
    common = blob.struct("sock_common", 24, ("skc_state", u8, 144, 0), ("skc_dport", be16, 96, 0))
    sock = blob.struct("sock", 64, ("__sk_common", common, 0, 0), ("sk_err", s32, 256, 0))
    device = blob.struct("net_device", 64, ("mtu", u32, 448, 0), ("dev_addr", blob.add("PTR", "", u8), 64, 0))
    to_device = blob.add("PTR", "", blob.add("CONST", "", device))
    scratch = blob.struct("", 8, ("dev", to_device, 0, 0), ("dev_scratch", u64, 0, 0), kind="UNION")
    links = blob.struct("", 24, ("next", blob.add("PTR", "", 0), 0, 0), ("", scratch, 128, 0))
    head = blob.struct("", 24, ("", links, 0, 0), ("list", u32, 0, 0), kind="UNION")
    cb = blob.add("ARRAY", "", 0, u8, u32, 48)
    frag = blob.struct("frag", 16, ("page", blob.add("PTR", "", 0), 0, 0), ("len", u32, 64, 0))
    frags = blob.add("ARRAY", "", 0, frag, u32, 17)
    blob.struct("sk_buff", 256, ("", head, 0, 0), ("sk", blob.add("PTR", "", sock), 192, 0), ("mark", u32, 256, 0),
                ("cloned", u8, 289, 1), ("wide", u32, 301, 12), ("old", old_bits, 320, 0), ("users", atomic, 352, 0),
                ("protocol", be16, 384, 0), ("cb", cb, 400, 0), ("_nfct", u64, 832, 0), ("port", be16, 896, 0))
    blob.struct("skb_shared_info", 512, ("frags", frags, 64, 0))
    module = Blob(blob)
    conntrack = module.struct("nf_conn", 64, ("mark", u32, 128, 0))
    assert conntrack
    return Types(blob, {"nf_conntrack": module})


@pytest.fixture(scope="module")
def types() -> Types:
    return kernel()


HOPS_TO_DEVICE, HOPS_TO_SOCK = (fields.Hop(16, 0),), (fields.Hop(24, 0),)
FOUND = {
    "sk_buff.mark": ((), 32, 4, 0, 32, "unsigned", False),
    "sk_buff.list": ((), 0, 4, 0, 32, "unsigned", False),
    "sk_buff.dev": ((), 16, 8, 0, 64, "pointer", False),
    "sk_buff.dev_scratch": ((), 16, 8, 0, 64, "unsigned", False),
    "sk_buff.dev->mtu": (HOPS_TO_DEVICE, 56, 4, 0, 32, "unsigned", False),
    "sk_buff.dev->dev_addr": (HOPS_TO_DEVICE, 8, 8, 0, 64, "pointer", False),
    "sk_buff.sk->__sk_common.skc_state": (HOPS_TO_SOCK, 18, 1, 0, 8, "unsigned", False),
    "sk_buff.sk->sk_state": (HOPS_TO_SOCK, 18, 1, 0, 8, "unsigned", False),
    "sk_buff.sk->sk_dport": (HOPS_TO_SOCK, 12, 2, 0, 16, "unsigned", True),
    "sk_buff.sk->sk_err": (HOPS_TO_SOCK, 32, 4, 0, 32, "signed", False),
    "sk_buff.cloned": ((), 36, 1, 1, 1, "unsigned", False),
    "sk_buff.wide": ((), 37, 3, 5, 12, "unsigned", False),
    "sk_buff.old": ((), 40, 1, 0, 3, "unsigned", False),
    "sk_buff.users.counter": ((), 44, 4, 0, 32, "signed", False),
    "sk_buff.protocol": ((), 48, 2, 0, 16, "unsigned", True),
    "sk_buff._nfct->mark": ((fields.Hop(104, 7),), 16, 4, 0, 32, "unsigned", False),
    "skb_shared_info.frags[16].len": ((), 8 + 16 * 16 + 8, 4, 0, 32, "unsigned", False),
    "net_device.mtu": ((), 56, 4, 0, 32, "unsigned", False),
    "sock.sk_state": ((), 18, 1, 0, 8, "unsigned", False),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_field_is_found_where_the_kernel_has_it(types: Types, name: str) -> None:
    assert fields.is_name(name)
    assert tuple(fields.find(types, name))[2:] == FOUND[name]


MISSING = {
    "sk_buff.marc": "this kernel's sk_buff has no field marc; the nearest are mark",
    "sk_buff.dev->mtv": "this kernel's sk_buff.dev has no field mtv; the nearest are mtu",
    "sk_buff.sk->sk_stat": "this kernel's sk_buff.sk has no field sk_stat; the nearest are sk_state, sk_dport",
    "sk_buff.xyzzy": "this kernel's sk_buff has no field xyzzy",
    "sk_buff.cb": "sk_buff.cb is an array, not a number",
    "sk_buff.users": "sk_buff.users is a struct, not a number: it has counter",
    "sk_buff.dev.mtu": "sk_buff.dev is a pointer: it goes on with ->mtu",
    "sk_buff.mark.x": "sk_buff.mark is a number: it has no members",
    "sk_buff.mark->x": "sk_buff.mark is no pointer to a struct: nothing is behind it",
    "sk_buff.next->x": "sk_buff.next is no pointer to a struct: nothing is behind it",
    "sk_buff.dev->dev_addr->x": "sk_buff.dev->dev_addr is no pointer to a struct: nothing is behind it",
    "sk_buff.cb[3]": "sk_buff.cb is no array of structs: it has no [3]",
    "sk_buff.mark[0]": "sk_buff.mark is no array of structs: it has no [0]",
    "skb_shared_info.frags[17].len": "skb_shared_info.frags has 17 elements: there is no [17]",
}


@pytest.mark.parametrize("name", MISSING)
def test_what_is_no_field_says_why(types: Types, name: str) -> None:
    with pytest.raises(fields.NoField) as why:
        fields.find(types, name)
    assert str(why.value) == MISSING[name]
    with pytest.raises(InputError) as refused:
        recorded.find([name], types)
    assert str(refused.value) == "--field is %r: %s" % (name, MISSING[name])


def test_what_a_module_describes_needs_the_module() -> None:
    alone = kernel()
    alone._modules = {}
    with pytest.raises(fields.NoField, match=r"^sk_buff\._nfct leads to struct nf_conn, which this kernel does not "
                                             r"describe: module nf_conntrack is not loaded$"):
        fields.find(alone, "sk_buff._nfct->mark")


def test_without_types_there_are_no_fields() -> None:
    with pytest.raises(TracerError, match="^--field needs the kernel's own description of its types"):
        recorded.find(["sk_buff.mark"], None)
    assert recorded.find([], None) == []


@pytest.mark.parametrize("name", ["", "mark", "sk_buff", "task_struct.pid", "sk_buff.", "sk_buff->mark", "sk_buff.a b",
                                  "sk_buff.mark;", "sk_buff.mark\n", "sk_buff.1", "sk_buff.märk", "sk_buff" + ".a" * 9])
def test_what_is_no_name_is_refused_before_anything_is_touched(name: str) -> None:
    parser = options.make_parser("tracer", "what", "examples", "nic")
    with pytest.raises(InputError) as refused:
        options.parse(parser, ["--field=" + name])
    assert str(refused.value).startswith("--field is %r: it must be the kernel's name of a field" % name)


def test_a_record_has_room_for_eight() -> None:
    parser = options.make_parser("tracer", "what", "examples", "nic")
    names = ["--field=sk_buff.f%d" % number for number in range(8)]
    assert len(options.parse(parser, [*names, "--field=sk_buff.f0"])[0].field) == 8
    with pytest.raises(InputError, match="^--field has 9 names: it must be at most 8$"):
        options.parse(parser, [*names, "--field=sk_buff.f8"])


def test_a_record_is_longer_only_when_fields_are_asked_for() -> None:
    assert "fields" not in [field.name for field in record.FIELDS]
    two = record.Layout(2)
    assert two.size == record.SIZE + 3 * 8
    assert two.describe()["fields"][-1] == {"name": "fields", "type": "u64", "count": 3, "offset": record.SIZE}


USER_SPACE = """
#include <string.h>
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long u64;
typedef int s32; typedef long s64;
#define __always_inline inline
/* addresses below 4096 are those of nothing */
#define read_memory(to, size, from) \\
    ((u64)(from) < 4096 ? memset(to, 0, size), -14 : (memcpy(to, (void *)(from), size), 0))
struct sk_buff { u8 *head; u32 end; u64 sk; };
"""


def filled(found: list[fields.Field], directory: pathlib.Path, skb: object, device: int, sock: int) -> bytes:
    """What the C of fields.h puts into a record's slots."""
    constants = recorded.defines(found)
    parts = [USER_SPACE, *("#define %s %s" % item for item in constants.items())]
    parts += [pathlib.Path(BPF_DIR, name).read_text() for name in ("record.h", "fields.h")]
    parts.append("void fill(struct record *r, u64 skb, u64 device, u64 sock)\n{\n    struct sk_buff copy = {};\n"
                 "    fill_fields(r, skb, &copy, device, sock);\n}")
    (directory / "fields.c").write_text("\n".join(parts))
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-Wno-unused-function", "-o", directory / "fields.so",
                    directory / "fields.c"], check=True)
    layout = record.Layout(len(found))
    room = ctypes.create_string_buffer(layout.size)
    ctypes.CDLL(str(directory / "fields.so")).fill(room, ctypes.c_uint64(ctypes.addressof(skb)),
                                                   ctypes.c_uint64(device), ctypes.c_uint64(sock))
    return layout.unpack(room.raw).fields


def test_the_c_reads_what_the_types_say(types: Types, tmp_path: pathlib.Path) -> None:
    skb, device, sock, entry = (ctypes.create_string_buffer(256) for _ in range(4))
    struct.pack_into("<Q", skb, 104, ctypes.addressof(entry) | 3)  # conntrack's entry, and the packet's direction in it
    struct.pack_into("<I", entry, 16, 77)
    struct.pack_into("<I", device, 56, 1450)
    struct.pack_into("<i", sock, 32, -113)
    struct.pack_into("<QQ", skb, 16, ctypes.addressof(device), 0)
    struct.pack_into("<I", skb, 32, 0xFFFFFFFF)
    skb[36] = 0b10
    struct.pack_into("<I", skb, 37, 0xABC << 5 | 0x1F)
    struct.pack_into(">H", skb, 48, 0x86DD)
    names = ["sk_buff.mark", "sk_buff.dev->mtu", "sk_buff.sk->sk_state", "sock.sk_err", "sk_buff.cloned",
             "sk_buff.wide", "sk_buff.protocol", "sk_buff.dev", "sk_buff._nfct->mark"]
    found = recorded.find(names, types)  # type: ignore[arg-type]
    slots = filled(found, tmp_path, skb, 0, ctypes.addressof(sock))
    read = recorded.values(recorded.describe(found), record.Layout(9).record._make(
        [0] * (len(record.FIELDS)) + [slots]))
    assert dict(zip(names, read, strict=True)) == {
        "sk_buff.mark": 0xFFFFFFFF, "sk_buff.dev->mtu": 1450, "sk_buff.sk->sk_state": None, "sock.sk_err": -113,
        "sk_buff.cloned": 1, "sk_buff.wide": 0xABC, "sk_buff.protocol": 0x86DD,
        "sk_buff.dev": "0x%x" % ctypes.addressof(device), "sk_buff._nfct->mark": 77}
