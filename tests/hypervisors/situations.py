#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Situations on a cluster in which copies, translations and large packets mislead, one after the other.

  situations.py COUNTED NAME...  make each of them while vm-a talks, and write what the switch and nft of hv-b counted

Each has addresses of its own, so that one capture can be of all.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emulated import counters
from emulated.machine import Machine, existing
from emulated.situation import situation

# from vm-a to vm-b
FLOODED = "192.168.32.10", "192.168.32.20"
TRANSLATED = "192.168.32.30", "192.168.32.40"
LARGE = "192.168.32.50", "192.168.32.60"
SERVICE, SOURCE = "192.168.32.200", "192.168.32.130"  # what goes to the first is translated to vm-b, from the second

# Every packet for vm-b is flooded (to its tap, another one, and the bridge's own), and all is mirrored to mon0. Behind
# that nft eats every third large ping, the first among them, and all of another length. Flooding leaves VLAN tags on.
PORTS = """
ip link add vnet9 type dummy
ip link add mon0 type dummy
ip link set vnet9 up
ip link set mon0 up
"""  # they are there before and after, so that tracers know their names
FLOODING = f"""
ovs-vsctl add-port br0 vnet9 -- add-port br0 mon0 -- --id=@port get port mon0 \
  -- --id=@mirror create mirror name=all select-all=true output-port=@port -- set bridge br0 mirrors=@mirror
ovs-ofctl mod-port br0 mon0 no-flood
ovs-ofctl add-flow br0 priority=100,icmp,nw_dst={FLOODED[1]},actions=strip_vlan,flood
nft -f - <<END
table netdev guard {{
  counter third {{ }}
  counter every {{ }}
  chain leaving {{
    type filter hook egress device vnet0 priority 0
    icmp type echo-request ip length 1328 numgen inc mod 3 0 counter name third drop
    icmp type echo-request ip length 228 counter name every drop
  }}
}}
END
"""
TO_FLOODED = f"""
guest ping -q -c 12 -W 1 -s 1300 {FLOODED[1]}
guest ping -q -c 10 {FLOODED[1]}
guest ping -q -c 3 -W 1 -s 200 {FLOODED[1]}
true
"""

# What vm-a sends to vm-b comes from another address, and what it sends to SERVICE goes to vm-b; a rule behind conntrack
# drops a port of the service.
SOURCE_NAT = f"""
ovs-ofctl add-flows br0 - <<END
priority=100,ip,in_port=vnet0,nw_dst={TRANSLATED[1]},actions=ct(commit,nat(src={SOURCE}),table=1)
priority=100,ip,nw_dst={SOURCE},actions=ct(nat,table=1)
table=1,priority=0,actions=NORMAL
END
guest ip route replace {SERVICE} dev eth0 src {TRANSLATED[0]}
guest arp -s {SERVICE} 52:54:00:32:00:02
"""
TARGET_NAT = f"""
ovs-ofctl add-flows br0 - <<END
priority=100,ip,nw_dst={SERVICE},actions=ct(commit,nat(dst={TRANSLATED[1]}),table=1)
priority=100,ip,in_port=vnet0,nw_src={TRANSLATED[1]},nw_dst={TRANSLATED[0]},actions=ct(nat,table=1)
table=1,priority=10,tcp,tp_dst=81,actions=drop
table=1,priority=0,actions=NORMAL
END
guest arp -s {SOURCE} 52:54:00:32:00:01
"""
TO_TRANSLATED = f"""
guest ping -q -c 5 {TRANSLATED[1]}
guest ping -q -c 5 {SERVICE}
guest 'dd if=/dev/zero bs=50000 count=4 2>/dev/null | nc {TRANSLATED[1]} 9'
guest 'dd if=/dev/zero bs=50000 count=4 2>/dev/null | nc {SERVICE} 9'
guest 'nc -w 8 {SERVICE} 81 </dev/null 2>/dev/null'
true
"""

# Inside the tunnel nft eats every third ping of 1,300 bytes, and behind it every seventh large skb of a TCP stream,
# which are several segments each.
EATING = """
nft -f - <<END
table inet guard {
  counter pings { }
  chain arriving {
    type filter hook input priority 0
    udp dport { 4789, 6081 } meta length 1378 numgen inc mod 3 0 counter name pings drop
  }
}
table netdev guard {
  counter skbs { }
  chain leaving {
    type filter hook egress device vnet0 priority 0
    tcp dport 9 ip length > 1400 numgen inc mod 7 0 counter name skbs drop
  }
}
END
"""
TO_LARGE = f"""
guest ping -q -c 12 -W 1 -s 1300 {LARGE[1]}
guest ping -q -c 4 -s 4000 {LARGE[1]}
guest 'dd if=/dev/zero bs=50000 count=8 2>/dev/null | nc {LARGE[1]} 9'
true
"""


@dataclass(frozen=True)
class Situation:
    """How it is made on hv-a and hv-b, what vm-a does meanwhile, and what hv-b counted of that."""

    ends: tuple[str, str]
    traffic: str
    count: Callable[[Machine], dict[str, int]]
    b: str
    a: str = ""


SITUATIONS = {
    "flooded": Situation(FLOODED, TO_FLOODED, lambda machine: {
        "flooded": counters.of_flow_rules(machine, f"icmp,nw_dst={FLOODED[1]}"), **counters.of_nft(machine)},
        FLOODING),
    "translated": Situation(TRANSLATED, TO_TRANSLATED, lambda machine: {
        "dropped": counters.of_flow_rules(machine, "table=1,tcp,tp_dst=81")}, TARGET_NAT, SOURCE_NAT),
    "large": Situation(LARGE, TO_LARGE, counters.of_nft, EATING),
}  # fmt: skip


def make(cluster: list[Machine], one: Situation) -> dict[str, int]:
    """Make a situation while vm-a talks; return what hv-b counted of it."""
    source, target = one.ends
    route = f"guest ip route replace {target} dev eth0 src {source}\n" if one.ends != FLOODED else ""
    for machine, address in zip(cluster, one.ends, strict=True):
        machine.run(f"guest 'ip addr add {address}/24 dev eth0 2>/dev/null'", check=False)
    with situation(cluster, a=route + one.a, b=one.b):
        cluster[0].run(one.traffic)
        return one.count(cluster[1])


if __name__ == "__main__":
    counted = {name: make(existing(), SITUATIONS[name]) for name in sys.argv[2:]}
    Path(sys.argv[1]).write_text(json.dumps(counted))
