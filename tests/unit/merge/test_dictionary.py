# SPDX-License-Identifier: Apache-2.0
"""The dictionary of drops: complete rows, and every reason of every kernel, but none that no kernel has."""
import os
import re

import pytest
from support.reasons import RELEASES, real

from fleetmerge.findings.meaning import Meaning, dictionary, is_unknown, meaning
from skbtrace.kernel import btf, lookup, reasons

LONGEST = 160    # characters of one entry: all of them make one sentence of a verdict
HARMLESS = {
    "UNIX_DISCONNECT", "UNIX_SKIP_OOB", "OTHERHOST", "UNHANDLED_PROTO", "PTYPE_ABSENT", "TCP_OLD_DATA", "TCP_OFOMERGE",
    "TCP_OLD_SEQUENCE", "TCP_RFC7323_PAWS_ACK", "TCP_OFO_DROP", "DUP_FRAG", "IPV6_NDISC_NS_OTHERHOST",
    "MAC_IEEE_MAC_CONTROL", "RX_DROP_U_DUP", "RX_DROP_U_MESH_A3_MISMATCH", "RX_DROP_U_MESH_A4_MISMATCH",
    "RX_DROP_U_MESH_RMC", "RX_DROP_U_NULL_DATA", "RX_DROP_U_CTRL_FRAME", "RX_DROP_U_UNHANDLED_PREQ"}
ROWS = [(name, row) for rows in (dictionary().reasons, dictionary().functions, dictionary().both, dictionary().behind)
        for name, row in rows.items()]


@pytest.mark.parametrize(("name", "row"), ROWS, ids=[str(name) for name, _row in ROWS])
def test_a_row_is_complete(name: object, row: Meaning) -> None:
    for text in (row.means, row.causes, row.look_at):
        assert isinstance(text, str) and 3 < len(text) <= LONGEST
        assert text == text.strip() and text.isprintable() and not text.endswith((".", ";", ","))
    assert re.fullmatch(r"(drivers/net|include/linux|include/net|net)/[\w/-]+\.[ch]", row.source)
    assert isinstance(row.harmless, bool)


def test_its_size() -> None:
    rows = dictionary()
    assert [len(table) for table in (rows.reasons, rows.functions, rows.both, rows.behind)] == [248, 145, 13, 2]


@pytest.mark.parametrize("release", RELEASES)
def test_every_reason_of_a_kernel_is_known(release: str) -> None:
    assert real(RELEASES[release]) - set(dictionary().reasons) == set()


def test_no_reason_is_known_that_no_kernel_has() -> None:
    anywhere = {name for names in RELEASES.values() for name in real(names)}
    assert set(dictionary().reasons) - anywhere == set()
    assert {reason for _function, reason in dictionary().both} - anywhere == set()


def test_harmless_is_no_matter_of_chance() -> None:
    assert {name for name, row in dictionary().reasons.items() if row.harmless} == HARMLESS
    assert {name for name, row in dictionary().functions.items() if row.harmless} == {
        "__netif_receive_skb_core", "br_stp_rcv", "skb_release_data"}
    assert meaning("skb_release_data", "NETFILTER_DROP").harmless
    assert {name for name, row in dictionary().both.items() if row.harmless} == {
        ("ping_rcv", "NO_SOCKET"), ("tcp_rcv_state_process", "NOT_SPECIFIED"), ("tcp_v4_rcv", "NOT_SPECIFIED"),
        ("tcp_v6_rcv", "NOT_SPECIFIED")}
    assert {name for name, row in dictionary().reasons.items() if row.harmless_to_many} == {
        "IPV6DISABLED", "IP_INADDRERRORS", "IP_INNOROUTES"}
    assert {name for name, row in dictionary().functions.items() if row.harmless_to_many} == {"ip_error"}
    assert {name for name, row in dictionary().both.items() if row.harmless_to_many} == {
        ("ip_rcv_finish_core", "NOT_SPECIFIED")}


@pytest.mark.skipif(not os.path.exists(btf.KERNEL), reason="this kernel has no BTF")
def test_every_reason_of_this_kernel_is_known() -> None:
    names = real(reasons.read(lookup.read_types(reasons.ENUMS)).values())
    assert len(names) >= 6
    assert names - set(dictionary().reasons) == set()


def test_reasons_that_are_called_the_same_are_told_apart() -> None:
    ours, theirs = meaning("iptunnel_xmit", "RECURSION_LIMIT"), meaning("clone_execute", "OVS_DROP_RECURSION_LIMIT")
    assert ours and theirs and ours.means != theirs.means


def test_a_reason_that_is_unknown_says_so() -> None:
    assert is_unknown("REASON_OF_A_NEWER_KERNEL") and not is_unknown("FULL_RING") and not is_unknown(None)
