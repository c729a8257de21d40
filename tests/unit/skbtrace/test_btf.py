# SPDX-License-Identifier: Apache-2.0
"""BTF is read right: hand-made blobs with all that kernels do to a struct, and a module's on top of the kernel's."""
import struct

import pytest
from support.btf import Blob

from skbtrace.kernel import btf, lookup, structs
from skbtrace.programs import hooks, points


def kernel_blob() -> Blob:
    """A kernel with an sk_buff that has an anonymous union in an anonymous struct, a bitfield and a nested counter."""
    blob = Blob()
    u8, u32 = blob.add("INT", "u8", 1, 8), blob.add("INT", "u32", 4, 32)
    atomic = blob.struct("", 4, ("counter", u32, 0, 0))
    named = blob.add("TYPEDEF", "atomic_t", atomic)
    refs = blob.struct("refcount", 4, ("refs", named, 0, 0))
    device = blob.struct("net_device", 8, ("ifindex", u32, 32, 0))
    pointer = blob.add("PTR", "", device)
    union = blob.struct("", 8, ("dev", pointer, 0, 0), ("dev_scratch", u32, 0, 0), kind="UNION")
    outer = blob.struct("", 24, ("", union, 128, 0))
    skb = blob.struct("sk_buff", 64, ("", outer, 0, 0), ("len", u32, 192, 0), ("cloned", u8, 225, 1),
                      ("users", refs, 256, 0))
    to_skb = blob.add("PTR", "", blob.add("CONST", "", skb))
    proto = blob.add("FUNC_PROTO", "", 0, blob.string("skb"), to_skb, blob.string("dev"), pointer, members=2)
    blob.add("FUNC", "ip_rcv", proto)
    traced = blob.add("FUNC_PROTO", "", 0, 0, blob.add("PTR", "", 0), 0, to_skb, members=2)
    blob.add("TYPEDEF", "btf_trace_free", blob.add("PTR", "", traced))
    blob.add("ENUM", "reasons", 4, blob.string("R_NONE"), 0, blob.string("R_FULL"), 7, members=2)
    return blob


NAMES = ["sk_buff", "net_device", "ip_rcv", "btf_trace_free", "reasons", "frame_hook", "vport", "nowhere"]


@pytest.fixture
def types() -> btf.Btf:
    return btf.Btf(kernel_blob().bytes(), NAMES)


@pytest.mark.parametrize(("path", "expected"), [
    ("len", (192, 0, 4)), ("dev", (128, 0, 8)), ("dev_scratch", (128, 0, 4)), ("cloned", (225, 1, 1)),
    ("users.refs.counter", (256, 0, 4)), ("nothing", None), ("users.nothing", None), ("len.more", None)])
def test_members(types: btf.Btf, path: str, expected: tuple | None) -> None:
    assert types.member("sk_buff", path) == expected


def test_what_is_not_there_is_not_found(types: btf.Btf) -> None:
    assert types.member("nowhere", "len") is None
    assert types.parameters("nowhere") is None
    assert types.function_id("sk_buff") is None
    assert types.enum("nowhere") == {}


def test_functions_tracepoints_and_enums(types: btf.Btf) -> None:
    assert types.parameters("ip_rcv") == [("skb", "sk_buff*"), ("dev", "net_device*")]
    assert types.parameters("btf_trace_free") == [("", "*"), ("", "sk_buff*")]
    assert types.enum("reasons") == {0: "R_NONE", 7: "R_FULL"}


def test_a_module_goes_on_where_the_kernel_ends() -> None:
    base = kernel_blob()
    module = Blob(base)
    named = struct.pack("<I", base.string("sk_buff"))
    skb = next(number for number, made in enumerate(base.types, 1) if made[:4] == named)
    double = module.add("PTR", "", module.add("PTR", "", skb))
    hook = module.add("FUNC", "frame_hook", module.add("FUNC_PROTO", "", 0, module.string("pskb"), double, members=1))
    module.struct("vport", 12, ("count", 2, 64, 0))  # type 2 is the kernel's u32
    read = btf.Btf(module.bytes(), NAMES, btf.Btf(base.bytes(), NAMES))
    assert read.parameters("frame_hook") == [("pskb", "sk_buff**")]
    assert read.function_id("frame_hook") == hook
    assert read.member("vport", "count") == (64, 0, 4)


@pytest.mark.parametrize("data", [b"\x9f\xeb"[::-1] + bytes(40), b"ELF" + bytes(40)])
def test_what_is_no_btf_is_refused(data: bytes) -> None:
    with pytest.raises(btf.BtfError):
        btf.Btf(data, NAMES)


def test_views_of_fields_are_padded_to_their_offsets(types: btf.Btf) -> None:
    members = [(path, types.member("sk_buff", path)) for path in ("dev", "cloned", "users.refs.counter")]
    text = "\n".join(structs._emit_struct("sk_buff", members))
    assert "struct { u8 pad_dev[16]; u64 dev; };" in text
    assert "struct { u8 pad_cloned[28]; u8 : 1; u8 cloned : 1; };" in text
    assert "union { union { struct { u8 pad_counter[32]; u32 counter; }; } refs; } users;" in text


def test_this_kernel_has_the_fields_that_are_read() -> None:
    names = list(structs.FIELDS) + structs.ENUMS
    declared = structs.from_btf(btf.read_kernel(names))
    assert "struct sk_buff {" in declared.text
    assert declared.constants["HAVE_PROBE_READ_KERNEL"] == 1


class Described:
    """Types of a kernel as the ladder asks for them."""

    def __init__(self, parameters: dict, modules: dict | None = None) -> None:
        self.vmlinux, self._modules, self._parameters = self, modules or {}, parameters

    def of(self, module: str) -> "Described | None":
        return self._modules.get(module) if module else self

    def parameters(self, name: str) -> list | None:
        return self._parameters.get(name)

    def function_id(self, name: str) -> int | None:
        return 11 if name in self._parameters else None

    tracepoint_id = function_id

    def enum(self, _name: str) -> dict:
        return {}


def offer(point: str, types: object, functions: dict) -> tuple[list, list]:
    """Kinds and targets of the hooks that are tried for a point, and why others are not."""
    found, reasons = hooks.candidates(points.BY_NAME[point], types, functions)
    return [(hook.kind, hook.target, hook.arguments["skb"], hook.indirect) for hook in found], reasons


def test_the_ladder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "has_kprobes", lambda: True)
    plain = {"br_handle_frame": [lookup.Function("br_handle_frame", "bridge")]}
    bridge = Described({}, {"bridge": Described({"br_handle_frame": [("pskb", "sk_buff**")]})})
    assert offer("br.rx", bridge, plain) == (
        [("fentry", "br_handle_frame", 0, True), ("kprobe", "br_handle_frame", 0, True)], [])
    assert offer("br.rx", Described({}), plain) == ([("kprobe", "br_handle_frame", 0, True)], [])  # no module BTF
    drop = Described({"btf_trace_kfree_skb": [("", "*"), ("", "sk_buff*"), ("", "*"), ("", "skb_drop_reason")]})
    assert offer("skb.drop", drop, {})[0] == [("raw_tracepoint", "kfree_skb", 0, False)] * 2  # with types, without


def test_a_qdisc_that_tells_why_it_drops() -> None:
    """As kernels from 7.1 on describe it."""
    types = ("*", "Qdisc*", "netdev_queue*", "net_device*", "sk_buff*", "qdisc_drop_reason")
    newest = Described({"btf_trace_qdisc_drop": [("", kind) for kind in types]})
    found, reasons = hooks.candidates(points.BY_NAME["qdisc.drop"], newest, {})
    assert [hook.arguments for hook in found] == [{"skb": 3, "queue": 0, "device": 2, "reason": 4}] * 2
    assert not reasons
    assert offer("qdisc.drop", Described({}), {}) == ([], ["this kernel has no tracepoint qdisc_drop"])


def test_functions_that_cannot_be_had_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "has_kprobes", lambda: True)
    none = Described({})
    assert offer("tun.xmit", none, {}) == (
        [], ["no function tun_net_xmit: it was inlined, or its module is not loaded"])
    twice = {"do_output": [lookup.Function("do_output", "openvswitch"), lookup.Function("do_output", "")]}
    assert offer("ovs.output", none, twice) == ([], ["2 functions are called do_output"])
    changed = {"do_output": [lookup.Function("do_output.isra.0", "openvswitch")]}
    assert offer("ovs.output", none, changed) == (
        [], ["function do_output exists as do_output.isra.0 only, whose arguments may differ"])
    first = {"__netif_receive_skb_core": [lookup.Function("__netif_receive_skb_core.constprop.0", "")]}
    assert offer("dev.core", none, first)[0] == [("kprobe", "__netif_receive_skb_core.constprop.0", 0, None)]
    monkeypatch.setattr(hooks, "has_kprobes", lambda: False)
    assert offer("dev.core", none, first) == ([], ["this kernel has no kprobes"])
    gone = Described({"btf_trace_consume_skb": [("", "*")]})
    assert offer("skb.free", gone, {}) == ([], ["this kernel's tracepoint consume_skb does not show the packet"])
    assert offer("skb.free", none, {}) == ([], ["this kernel has no tracepoint consume_skb"])
