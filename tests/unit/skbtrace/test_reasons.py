# SPDX-License-Identifier: Apache-2.0
"""Names of drop reasons come from the kernel's enums, its own and its modules'."""
from types import SimpleNamespace

from skbtrace.kernel import reasons

CORE = {0: "SKB_NOT_DROPPED_YET", 1: "SKB_CONSUMED", 2: "SKB_DROP_REASON_NOT_SPECIFIED",
        3: "SKB_DROP_REASON_RECURSION_LIMIT"}
SUBSYSTEMS = {0: "SKB_DROP_REASON_SUBSYS_CORE", 1: "SKB_DROP_REASON_SUBSYS_MAC80211_UNUSABLE",
              2: "SKB_DROP_REASON_SUBSYS_OPENVSWITCH", 3: "SKB_DROP_REASON_SUBSYS_QDISC"}
WIRELESS = {0: "RX_QUEUED", 1: "RX_CONTINUE", 0x10001: "RX_DROP_U_MIC_FAIL"}
OVS = {0x20000: "__OVS_DROP_REASON", 0x20001: "OVS_DROP_RECURSION_LIMIT"}
QDISC = {0: "QDISC_DROP_UNSPEC", 0x30001: "QDISC_DROP_GENERIC"}


def kernel(modules: dict[str, dict[str, dict[int, str]]], **enums: dict[int, str]) -> SimpleNamespace:
    """Types of a kernel and its modules."""
    blobs = {name: SimpleNamespace(enum=lambda enum, found=found: found.get(enum, {}))
             for name, found in {**modules, "": enums}.items()}
    return SimpleNamespace(vmlinux=blobs[""], of=blobs.get)


def test_each_subsystem_has_its_numbers() -> None:
    types = kernel({"openvswitch": {"ovs_drop_reason": OVS}, "mac80211": {"mac80211_drop_reason": WIRELESS}},
                   skb_drop_reason=CORE, skb_drop_reason_subsys=SUBSYSTEMS, qdisc_drop_reason=QDISC)
    assert reasons.read(types) == {
        0: "SKB_NOT_DROPPED_YET", 1: "SKB_CONSUMED", 2: "NOT_SPECIFIED", 3: "RECURSION_LIMIT",
        0x10001: "RX_DROP_U_MIC_FAIL", 0x20000: "__OVS_DROP_REASON", 0x20001: "OVS_DROP_RECURSION_LIMIT",
        0x30001: "QDISC_DROP_GENERIC"}


def test_a_subsystem_may_be_in_the_kernel_itself() -> None:
    types = kernel({}, skb_drop_reason=CORE, skb_drop_reason_subsys=SUBSYSTEMS, ovs_drop_reason=OVS)
    assert reasons.read(types)[0x20001] == "OVS_DROP_RECURSION_LIMIT"


def test_a_kernel_without_reasons() -> None:
    assert reasons.read(kernel({})) == {}
    assert reasons.read(None) == {}
