# SPDX-License-Identifier: Apache-2.0
"""What Open vSwitch's rules did to packets, on real kernels: the rule, the meter or the stale flow is named, and held
against what the switch counted. One capture, over which the rules stay, since hosts are asked when its window is over.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from emulated import counters
from emulated.capture import Captured, capture
from emulated.machine import Machine
from emulated.situation import situation
from truth.truth import losses

A, B = "192.168.32.70", "192.168.32.80"
TOOL = Path(__file__).with_name("hypervisors.py")
# A rule drops a port, one sends another to a table without any, one asks conntrack; a meter drops most of a large ping.
# The flow of the plain pings is changed behind the daemon's back, to drop them; it must not be too old to be read.
RULES = f"""
ovs-vsctl set open_vswitch . other_config:max-idle=600000
ovs-ofctl -O OpenFlow13 add-meter br0 meter=7,pktps,burst,bands=type=drop,rate=1,burst_size=1
ovs-ofctl -O OpenFlow13 add-flows br0 - <<END
priority=200,cookie=0x7,tcp,nw_dst={B},tp_dst=81,actions=drop
priority=200,tcp,nw_dst={B},tp_dst=82,actions=goto_table:7
priority=200,tcp,nw_dst={B},tp_dst=83,actions=ct(table=8)
priority=200,icmp,nw_dst={B},nw_frag=yes,actions=meter:7,NORMAL
priority=200,icmp,nw_dst={B},actions=NORMAL
table=8,priority=1,cookie=0x9,ct_state=+new+trk,actions=drop
table=8,priority=0,actions=NORMAL
END
cat > /run/stale.sh <<'END'
while ! flow=$(ovs-appctl dpctl/dump-flows -m --names | grep 'dst={B}.*proto=1,.*frag=no.*packets:[1-9]'); do
  sleep 0.2
done
ovs-appctl dpctl/mod-flow "$(echo "$flow" | sed 's/, packets:.*//')" ''
END
timeout 1800 sh /run/stale.sh >/dev/null 2>&1 &
"""
TRAFFIC = f"""
for port in 81 82 83; do guest nc -w 4 {B} $port </dev/null; done
guest ping -q -c 4 -W 1 -s 3000 {B}
guest ping -q -c 20 -W 1 {B}
true
"""
AS_BEFORE = "ovs-vsctl remove open_vswitch . other_config max-idle; ovs-ofctl -O OpenFlow13 del-meters br0"
SWITCH = """ovs-ofctl --no-stats dump-flows br0; ovs-vsctl -f csv list Port; ovs-appctl dpif/show | tail -n +2
ovs-ofctl -O OpenFlow13 dump-meters br0 | tail -n +2"""


@dataclass(frozen=True)
class Seen:
    """A capture, and what rules of hv-b counted."""

    captured: Captured
    counted: dict[int, int]
    states: list[str]     # of hv-b's switch, before and after

    def causes(self, words: str, kind: str = "drop") -> list[dict[str, Any]]:
        """Return the causes of losses on hv-b of flows with these words."""
        return [loss.get("cause", {}) for loss in losses(self.captured.summary, words)
                if loss["kind"] == kind and loss["host"] == "hv-b"]


@pytest.fixture(scope="module")
def seen(cluster: list[Machine], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    for machine, address in zip(cluster, (A, B), strict=True):
        machine.run(f"guest 'ip addr add {address}/24 dev eth0 2>/dev/null'", check=False)
    try:
        with situation(cluster, a=f"guest ip route replace {B} dev eth0 src {A}\n", b=RULES):
            before = cluster[1].run(SWITCH).stdout
            captured = capture(tmp_path_factory.mktemp("switched"), "switched",
                               f"{TOOL} run hv-a {shlex.quote(TRAFFIC)}", capture_src=A, capture_dst=B)  # fmt: skip
            counted = {port: counters.of_flow_rules(cluster[1], f"tcp,tp_dst={port}") for port in (81, 82)}
            yield Seen(captured, counted, [before, cluster[1].run(SWITCH).stdout])
    finally:
        cluster[1].run(AS_BEFORE, check=False)


def test_nothing_is_changed(seen: Seen) -> None:
    assert seen.states[0] == seen.states[1]


def test_the_rule_that_drops(seen: Seen) -> None:
    (cause,) = seen.causes(":81 ")
    (rule,) = cause["candidates"]
    assert cause["certainty"] == "certain"
    assert (rule["kind"], rule["cookie"], rule["actions"]) == ("openflow", "0x7", "drop")
    assert rule["rose"] == seen.counted[81] == cause["drops"] + 1    # the daemon kept the first one
    assert [one["candidates"] for one in seen.causes(":81 ", "vanished")] == [cause["candidates"]]


def test_a_table_without_a_rule(seen: Seen) -> None:
    (cause,) = seen.causes(":82 ")
    (table,) = cause["candidates"]
    assert (cause["certainty"], table["table"], table["priority"], table["rose"]) == (
        "certain", 7, None, seen.counted[82])  # fmt: skip


def test_what_conntrack_led_to(seen: Seen) -> None:
    """Flows of the datapath are old enough to show what it said."""
    (cause,) = seen.causes(":83 ")
    assert (cause["certainty"], [one["cookie"] for one in cause["candidates"]]) == ("certain", ["0x9"])


def test_the_meter_may_have_dropped_fragments(seen: Seen) -> None:
    causes = [cause for cause in seen.causes(f"{A} > {B} icmp", "vanished") if cause]
    assert {one["kind"] for cause in causes for one in cause["candidates"]} == {"meter"}
    assert {cause["certainty"] for cause in causes} == {"likely"}


def test_the_stale_flow(seen: Seen) -> None:
    causes = [cause for cause in seen.causes(f"{A} > {B} icmp") if cause]
    assert {(cause["certainty"], one["kind"], *one["expected"]) for cause in causes for one in cause["candidates"]} == {
        ("certain", "datapath", "vnet0")}  # fmt: skip
    (stale,) = seen.captured.summary["stale_flows"]
    assert (stale["host"], stale["does"], stale["should"]) == ("hv-b", [], ["vnet0"])
    assert "a flow of Open vSwitch's datapath is not as the OpenFlow rules of br0 are" in seen.captured.verdict
