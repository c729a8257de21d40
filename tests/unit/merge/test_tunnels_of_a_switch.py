# SPDX-License-Identifier: Apache-2.0
"""Flows of Open vSwitch's datapath and traces of its rules, where tunnels share one device: as a real 3.1 said them,
whose traces do not name a tunnel of which the port has the far end alone."""
import pytest

from fleetmerge.bundle.evidence import Reading
from fleetmerge.findings.causes.openvswitch import stale
from fleetmerge.findings.causes.switch import Switch

PORTS = ["system@ovs-system: hit:1265 missed:83", "  br0:", "    br0 65534/1: (internal)", "    vnet0 2/3: (system)"]
TUNNEL = "tunnel(tun_id=%s,src=%s,dst=10.78.0.2,ttl=0/0,flags(-df-csum+key))"
DROPS = ("ufid:66b5feb4-eda4-444e-b747-4f5eeb79a99a, recirc_id(0),dp_hash(0/0),%s,in_port(vxlan_sys_4789),"
         "eth(src=52:54:00:32:00:01,dst=52:54:00:32:00:02),eth_type(0x0800),ipv4(src=0.0.0.0/0.0.0.0,dst=192.168.32.80,"
         "proto=1,tos=0/0,ttl=0/0,frag=no),icmp(type=0/0,code=0/0), packets:19, bytes:1862, used:10.998s, dp:ovs, "
         "actions:drop")
TRACE = {
    "bridge": "br0", "device": "vxlan_sys_4789", "state": "",
    "flow": "dl_src=52:54:00:32:00:01,dl_dst=52:54:00:32:00:02,icmp,nw_src=192.168.32.70,nw_dst=192.168.32.80,nw_tos=0,"
            "nw_ecn=0,nw_ttl=64,icmp_type=8,icmp_code=0",
    "lines": ['Flow: icmp,tun_id=0x64,in_port=1', 'bridge("br0")', "-------------",
              " 0. icmp,nw_dst=192.168.32.80, priority 200", "    NORMAL", "     -> forwarding to learned port",
              "Final flow: unchanged",
              "Megaflow: recirc_id=0,eth,icmp,in_port=1,%sdl_src=52:54:00:32:00:01,dl_dst=52:54:00:32:00:02,"
              "nw_dst=192.168.32.80,nw_frag=no", "Datapath actions: 3"]}


def found(port: str, *, key: str = "0x64", far: str = "10.78.0.1", named: str = "") -> int:
    """Return how many flows are stale. port: of the tunnel, as its daemon shows it; key, far: of the tunnel that the
    flow's packets came by; named: of the tunnel in the trace."""
    trace = dict(TRACE, lines=[line % named if line.startswith("Megaflow") else line for line in TRACE["lines"]])
    return len(stale(Switch(Reading(after={
        "switch": [*PORTS, "    tunnel0 1/2: (vxlan: %s)" % port], "datapath-round": [], "traces": [trace],
        "datapath": [DROPS % (TUNNEL % (key, far))]}))))


@pytest.mark.parametrize(("port", "flow", "stale_flows"), [
    ("key=100, remote_ip=10.78.0.1", {}, 1),
    ("key=0x64, remote_ip=10.78.0.1", {}, 1),
    ("remote_ip=10.78.0.1", {"key": "0x0"}, 1),
    ("key=101, remote_ip=10.78.0.1", {}, 0),
    ("key=100, remote_ip=10.78.0.3", {}, 0),
    ("key=flow, remote_ip=flow", {}, 0),
    ("key=flow, remote_ip=flow", {"named": "tun_id=0x64,tun_src=10.78.0.1,"}, 1),
    ("key=100, remote_ip=10.78.0.1, local_ip=10.78.0.2", {"named": "tun_id=0x64,tun_src=10.78.0.3,"}, 0),
])  # fmt: skip
def test_a_flow_is_held_against_the_trace_of_its_own_tunnel(port: str, flow: dict[str, str], stale_flows: int) -> None:
    assert found(port, **flow) == stale_flows
