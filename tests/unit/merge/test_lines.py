# SPDX-License-Identifier: Apache-2.0
"""The lines of timeline.log are those that the live text on a host would have shown."""
import numpy as np
import pytest
from support.bundles import NETNS, Bundle, ethernet, ipv4, udp
from support.packets import PACKETS, TUNNELS

from fleetmerge.bundle.labels import labels_of
from fleetmerge.bundle.manifest import open_bundle
from fleetmerge.clock.host import host_clock
from fleetmerge.products.batch import make_batch
from fleetmerge.products.lines import lines
from skbtrace.capture import record
from skbtrace.show import text


class _Devices:
    def name(self, netns: int, ifindex: int) -> str:
        known = {(NETNS, 2): "eth0", (NETNS, 3): "vnet0"}
        return known.get((netns, ifindex), "if%d" % ifindex) if ifindex else "-"


class _Symbols:
    def __init__(self, names: dict[int, str]) -> None:
        self.names = names

    def name(self, address: int) -> str:
        return self.names.get(address, "0x%x" % address)

    def stack(self, number: int) -> list[str]:
        return [self.name(address) for address in (0xFFFFFFFF81000010, 0xFFFFFFFF81000020)] if number == 4 else []


SYMBOLS = {0xFFFFFFFF81000010: "tun_net_xmit+0x1a2 [tun]", 0xFFFFFFFF81000020: "dev_hard_start_xmit+0x9e"}


def live(bundle: Bundle, stride: bytes) -> str:
    """Return what the host's printer would write for one record."""
    facts = text.Facts(bundle.host, dict(enumerate(bundle.points)), _Devices(), {NETNS: bundle.host},
                       {77: "FULL_RING"}, _Symbols(SYMBOLS), bundle.realtime(0) - bundle.monotonic(0))
    shown = text.describe(record.unpack(stride[record.RING_HEADER:]), facts)
    line = text.format_line(shown, bundle.manifest["tracer"] == "datapath_tracing")
    return "".join([line, "\n", *("    %s\n" % frame for frame in shown.get("stack", []))])


def merged(bundle: Bundle, directory: str) -> str:
    opened = open_bundle(directory)
    raw = np.fromfile(opened.path, opened.dtype)
    batch = make_batch([(0, raw, host_clock([opened]).to_wall(raw["time_ns"]), np.arange(len(raw)))])
    return bytes(lines(batch, labels_of([opened]))).decode()


def prepared(tracer: str) -> Bundle:
    bundle = Bundle("hv-b", tracer)
    bundle.device(2, "eth0")
    bundle.device(3, "vnet0")
    for address, name in SYMBOLS.items():
        bundle.symbol(address, name)
    bundle.stack(4, list(SYMBOLS))
    return bundle


@pytest.mark.parametrize("tracer", ["drop_monitor", "datapath_tracing"])
def test_same_lines_as_live(tracer: str, tmp_path) -> None:
    bundle = prepared(tracer)
    packets = [*PACKETS.values(), *(packet for packet, _ in TUNNELS.values())]
    for number, packet in enumerate(packets):
        bundle.event(0.001 * number + 0.000001234, "dev.rx", 2 + number % 3, packet)
    plain = ethernet(ipv4("10.0.0.1", "10.0.0.2", udp(1, 2, 10)))
    odd = [
        {"point": "skb.drop", "reason": 77, "location": 0xFFFFFFFF81000010, "stack_id": 4},
        {"point": "skb.drop", "reason": 4242, "location": 0xFFFFFFFF8100BEEF, "stack_id": 5},
        {"point": "skb.free", "location": 0xFFFFFFFF81000020},
        {"mark": 5, "hash": 0xDEADBEEF, "priority": 7, "queue_mapping": 3, "ip_summed": 3, "pkt_type": 3, "cloned": 1},
        {"users": 2, "nr_frags": 17, "frag_list": 1, "gso_size": 1448, "gso_segs": 44, "gso_type": 1,
         "data_len": 64000},
        {"users": 0, "rx_ifindex": 9, "len": 65550},
        {"queue_kind": 1, "queue_len": 5, "queue_limit": 1000, "queue_backlog": 1 << 40},
        {"queue_kind": 2, "queue_len": 500, "queue_limit": 500},
        {"vlan_present": 1, "vlan_tci": 0xE064}, {"netns": 4026532999}, {"ifindex": 0}, {"comm": "a name (x)"},
        {"comm": b"\xff\xfeodd"}, {"skb": 0x1234, "head": 0}, {"pid": 0, "comm": "swapper/1", "cpu": 511},
        {"followed": 1, "mark": 3},
    ]
    for number, fields in enumerate(odd):
        fields = dict(fields)
        bundle.event(1 + 0.001 * number, fields.pop("point", "dev.tx"), fields.pop("ifindex", 3), plain, **fields)
    directory = bundle.write(tmp_path)
    strides = bundle.records()
    wanted = "".join(live(bundle, row.tobytes()) for row in strides)
    assert merged(bundle, directory).splitlines() == wanted.splitlines()


def test_names_from_a_host_cannot_break_a_line(tmp_path) -> None:
    bundle = prepared("drop_monitor")
    bundle.symbol(0xFFFFFFFF81000030, "evil\n2026 fake\x1b[2J")
    bundle.device(5, "a\nb c")
    bundle.event(0, "skb.drop", 5, ethernet(ipv4("10.0.0.1", "10.0.0.2", udp(1, 2))), location=0xFFFFFFFF81000030,
                 comm=b"x\ny\x07")
    found = merged(bundle, bundle.write(tmp_path))
    assert found.count("\n") == 1
    assert "\x1b" not in found and "\x07" not in found
    assert " a_b_c " in found
