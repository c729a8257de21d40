# SPDX-License-Identifier: Apache-2.0
"""Open vSwitch's bridges and their ports, as `ovs-appctl dpif/show` prints them; its lines are a stranger's text.

    system@ovs-system: hit:27 missed:19
      br0:
        br0 65534/1: (internal)
        tunnel0 3/4: (vxlan: key=100, remote_ip=10.78.0.2)
        patch-int 5/none: (patch: peer=patch-tun)
"""
import re
from typing import Dict, Iterable, List, NamedTuple, Union

_BRIDGE = re.compile(r"  (\S+):")
_PORT = re.compile(r" {4}(\S+) (\d{1,5})/(\d{1,10}|none): \((\w+)(?:: (.*))?\)")
# the devices that all tunnels of a kind share
SHARED = {"vxlan_sys_": "vxlan", "genev_sys_": "geneve", "gre_sys": "gre", "erspan_sys": "erspan"}


class Port(NamedTuple):
    """A port of a bridge."""

    bridge: str
    name: str
    number: int     # in OpenFlow
    datapath: str   # its number in the datapath, or none
    kind: str       # system, internal, patch, vxlan, …
    options: Dict[str, str]


def ports(lines: Iterable[str]) -> List[Port]:
    """Return the ports of all bridges; lines that are nothing of the kind are passed over."""
    found, bridge = [], ""
    for line in lines:
        heading, port = _BRIDGE.fullmatch(line), _PORT.fullmatch(line)
        if heading:
            bridge = heading.group(1)
        elif port and bridge:
            name, number, datapath, kind, options = port.groups()
            pairs = (word.partition("=") for word in (options or "").split(", "))
            given = {key: value for key, _, value in pairs if key}
            found.append(Port(bridge, name, int(number), datapath, kind, given))
    return found


def metadata(port: Port) -> Union[str, None]:
    """Return what a packet that came in by a port has beside its headers, as `ofproto/trace` takes it; None: that is
    in each packet's tunnel."""
    words = ["in_port=%d" % port.number]
    if port.kind in SHARED.values():
        key, far, near = (port.options.get(name, "") for name in ("key", "remote_ip", "local_ip"))
        if "flow" in (key, far, near) or "in_key" in port.options or ":" in far:
            return None
        words += ["tun_id=" + key] if key else []
        words += ["tun_src=" + far] + (["tun_dst=" + near] if near else [])
    return ",".join(words)


def behind(device: str, known: Iterable[Port]) -> List[Port]:
    """Return the ports by which packets of a device come in: one, or all tunnels of the kind that share the device."""
    kind = next((kind for prefix, kind in SHARED.items() if device.startswith(prefix)), None)
    return [port for port in known if (port.kind == kind if kind else port.name == device)]
