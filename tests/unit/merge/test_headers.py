# SPDX-License-Identifier: Apache-2.0
"""The vectorised parser against the host's plain one, and against what the packets were built from."""
import numpy as np
import pytest
from support.bundles import ethernet, ipv4, ipv6, tcp, udp
from support.packets import A6, B6, PACKETS, TUNNELS, A, B

from fleetmerge.packet import headers
from skbtrace.show import headers as plain


def parse(packets: list[bytes], layer: int = 2, protocol: int = 0x0800,
          ) -> tuple[headers.Headers, np.ndarray, np.ndarray]:
    matrix = np.array([np.frombuffer(packet[:128].ljust(128, b"\0"), "u1") for packet in packets])
    lengths = np.array([min(128, len(packet)) for packet in packets], "u1")
    count = len(packets)
    network = np.array([len(packet) - (14 if layer == 2 else 0) for packet in packets], "i8")
    return headers.parse(matrix, lengths, np.full(count, layer, "u1"), np.full(count, protocol, "u2"),
                         network), matrix, lengths


def same(found: headers.Headers, row: int, wanted: dict) -> None:
    """Compare one row with what the host's parser says."""
    assert found.ethertype[row] == wanted["ethertype"]
    assert found.vlan[row] == wanted.get("vlan", -1)
    pairs = {"src_port": found.source_port, "dst_port": found.target_port, "seq": found.seq, "ack": found.ack,
             "id": found.ident, "ttl": found.ttl, "type": found.kind, "code": found.code,
             "icmp_id": found.echo_id, "icmp_seq": found.echo_seq, "fragment_offset": found.fragment,
             "more_fragments": found.more}
    for name, column in pairs.items():
        if name in wanted:
            assert column[row] == wanted[name], name
    assert bool(found.ports[row]) == ("src_port" in wanted)


@pytest.mark.parametrize("name", PACKETS)
def test_parses_like_the_host_does(name: str) -> None:
    found, _, _ = parse([PACKETS[name]])
    same(found, 0, plain.decode(PACKETS[name][:128], 2, 0x0800))


def test_all_together_and_without_ethernet() -> None:
    packets = list(PACKETS.values())
    found, _, _ = parse(packets)
    for row, packet in enumerate(packets):
        same(found, row, plain.decode(packet[:128], 2, 0x0800))
    packet = ipv6(A6, B6, udp(5, 6))
    found, _, _ = parse([packet], 3, 0x86DD)
    same(found, 0, plain.decode(packet, 3, 0x86DD))


@pytest.mark.parametrize("name", PACKETS)
def test_headers_that_end_early_never_make_values_up(name: str) -> None:
    """Cut anywhere, what is parsed is either what the whole packet says or nothing."""
    whole, _, _ = parse([PACKETS[name]])
    cuts = [PACKETS[name][:length] for length in range(len(PACKETS[name][:128]))]
    found, _, _ = parse(cuts)
    for column in ("source_port", "target_port", "seq", "ack", "kind", "code", "echo_id", "echo_seq", "version"):
        values, wanted = getattr(found, column), getattr(whole, column)[0]
        assert np.isin(values, (0, wanted)).all(), column
    assert not (found.ports & (found.source_port != whole.source_port[0])).any()


def test_payload_lengths() -> None:
    packets = [ethernet(ipv4(A, B, tcp(1, 2, payload=100), protocol=6)), ethernet(ipv4(A, B, udp(1, 2, 33))),
               ethernet(ipv6(A6, B6, tcp(1, 2, payload=5), protocol=6), 0x86DD),
               ethernet(ipv4(A, B, tcp(1, 2), protocol=6)) + bytes(6),  # padded to the shortest Ethernet frame
               ethernet(ipv4(A, B, tcp(1, 2, payload=60), protocol=6, length=0))]  # too long for the field: GSO
    found, _, _ = parse(packets)
    assert found.payload.tolist() == [100, 33, 5, 0, 60]


@pytest.mark.parametrize("name", TUNNELS)
def test_inner_packets_of_tunnels(name: str) -> None:
    packet, identity = TUNNELS[name]
    found, matrix, lengths = parse([PACKETS["udp"], packet])
    rows, inner = headers.inner(found, matrix, lengths)
    assert rows.tolist() == [1]
    assert found.tunnel_id[1] == identity
    assert inner.source[0, :4].tolist() == [10, 0, 0, 1]
    if not any(word in name for word in ("over ipv6", "options", "in vxlan")):
        assert (inner.source_port[0], inner.target_port[0], inner.seq[0]) == (1000, 2000, 5)
    assert inner.ident[0] == 3


def test_a_port_alone_makes_no_tunnel() -> None:
    found, _, _ = parse([ethernet(ipv4(A, B, udp(1, 4789, bytes(60)))),
                         ethernet(ipv4(A, B, udp(1, 6081, b"\xff" * 60)))])
    assert found.tunnel.tolist() == [0, 0]
