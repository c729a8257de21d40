# SPDX-License-Identifier: Apache-2.0
"""Any function as a point: which argument is the packet, and why a function is none."""
import pytest

from skbtrace import options
from skbtrace.errors import InputError
from skbtrace.kernel import lookup
from skbtrace.programs import hooks, points, recipe

PARAMETERS = {
    "ip_rcv": [("skb", "sk_buff*"), ("dev", "net_device*"), ("pt", "packet_type*")],
    "nf_hook": [("net", "net*"), ("sk", "sock*"), ("skb", "sk_buff*")],
    "frame_hook": [("pskb", "sk_buff**")],
    "copy": [("to", "sk_buff*"), ("", "sk_buff*")],
    "two_kinds": [("pskb", "sk_buff**"), ("skb", "sk_buff*")],
    "vfs_read": [("file", "file*"), ("pos", "")],
    "nothing": [],
    "many": [("a", ""), ("b", ""), ("c", ""), ("d", ""), ("e", ""), ("f", ""), ("skb", "sk_buff*")],
}


class Described:
    """Types of a kernel that has these functions."""

    vmlinux = property(lambda self: self)

    def of(self, module: str) -> "Described | None":
        return None if module else self

    def parameters(self, name: str) -> list | None:
        return PARAMETERS.get(name)

    def function_id(self, name: str) -> int | None:
        return 11 if name in PARAMETERS else None


def offer(name: str, types: Described | None = None, symbols: dict | None = None) -> tuple[list, list]:
    """(kind, place of the skb, whether indirect, place of the socket) of each hook, and the reasons against others."""
    point = points.named(name)
    (function,) = point.functions
    found = {function: [lookup.Function(symbol, "") for symbol in (symbols or {}).get(function, [function])]}
    tried, reasons = hooks.candidates(point, types, found)
    return [(hook.kind, hook.arguments["skb"], hook.indirect, hook.arguments.get("sock")) for hook in tried], reasons


@pytest.fixture(autouse=True)
def _kprobes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "has_kprobes", lambda: True)


@pytest.mark.parametrize(("name", "place", "indirect", "sock"), [
    ("func:ip_rcv", 0, False, None), ("func:nf_hook", 2, False, 1), ("func:frame_hook", 0, True, None),
    ("func:copy", 0, False, None), ("func:copy@2", 1, False, None), ("func:copy@to", 0, False, None),
    ("func:two_kinds", 1, False, None), ("func:two_kinds@pskb", 0, True, None), ("func:two_kinds@1", 0, True, None)])
def test_the_packet_is_the_first_or_the_chosen_argument(name: str, place: int, indirect: bool, sock: int) -> None:
    assert offer(name, Described()) == ([(kind, place, indirect, sock) for kind in ("fentry", "kprobe")], [])


@pytest.mark.parametrize(("name", "reason"), [
    ("func:vfs_read", "function vfs_read takes no struct sk_buff *: its arguments are file, pos"),
    ("func:nothing", "function nothing takes no struct sk_buff *: its arguments are none"),
    ("func:ip_rcv@dev", "argument dev of ip_rcv is no struct sk_buff *; skb is"),
    ("func:ip_rcv@2", "argument 2 of ip_rcv is no struct sk_buff *; skb is"),
    ("func:copy@3", "function copy has no argument 3: it must be from 1 to 2"),
    ("func:ip_rcv@sbk", "function ip_rcv has no argument sbk: it has skb, dev, pt"),
])
def test_a_function_without_a_packet_says_so(name: str, reason: str) -> None:
    assert offer(name, Described()) == ([], [reason])


def test_a_packet_that_is_in_no_register_is_not_looked_for() -> None:
    assert offer("func:many", Described()) == ([], ["the packet is not in a register of many"])


def test_without_types_the_argument_s_number_is_needed() -> None:
    assert offer("func:ip_rcv@1") == ([("kprobe", 0, False, None)], [])
    assert offer("func:ip_rcv") == ([], ["this kernel does not describe function ip_rcv: which argument is the packet "
                                         "has to be said by its number, func:ip_rcv@1"])
    assert offer("func:ip_rcv@7") == ([], ["function ip_rcv has no argument 7: it must be from 1 to 6"])


def test_an_unknown_function_is_told_the_nearest() -> None:
    tried, (reason,) = offer("func:netif_receive_skbb", Described(), {"netif_receive_skbb": []})
    assert not tried
    assert reason.startswith("no function netif_receive_skbb: it was inlined, or its module is not loaded; "
                             "the nearest are netif_receive_skb")


def test_names_of_functions() -> None:
    parser = options.make_parser("tracer", "what", "examples", "nic")
    given, _filter = options.parse(parser, ["--point=func:ip_rcv@skb", "--stack=func:ip_rcv@skb",
                                            "--require-point=func:udp_rcv"])
    assert [(point.name, point.functions, point.stack) for point in points.wanted(given)] == [
        ("func:ip_rcv@skb", ["ip_rcv"], True), ("func:udp_rcv", ["udp_rcv"], False)]
    for name in ("func:", "func:ip rcv", "func:ip_rcv@", "func:ip_rcv@-1", "func:ip-rcv", "fun:ip_rcv", "func:é"):
        with pytest.raises(InputError) as refused:
            options.parse(parser, ["--point=" + name])
        assert "or func:NAME" in str(refused.value)


def test_a_stack_is_taken_at_any_point_and_looks_there() -> None:
    parser = options.make_parser("tracer", "what", "examples", "drop")
    chosen = points.wanted(options.parse(parser, ["--stack=dev.tx"])[0])
    assert [(point.name, point.stack) for point in chosen] == [("dev.tx", True), ("skb.drop", True), ("ovs.drop", True)]
    hook = hooks.Hook(hooks.RAW_TRACEPOINT, "net_dev_start_xmit", "", 0, {"skb": 0}, False)
    with_stack, without = (recipe.encode(0, point, hook) for point in (chosen[0], chosen[0]._replace(stack=False)))
    assert with_stack ^ without == 1 << recipe._shifts()["stack"]
    with pytest.raises(InputError, match="^--stack and --exclude-point are both 'dev.tx': a point is either looked at"):
        options.parse(parser, ["--stack=dev.tx", "--exclude-point=dev.tx"])
    with pytest.raises(InputError, match="^--stack is 'dev.tz': it must be one of "):
        options.parse(parser, ["--stack=dev.tz"])
