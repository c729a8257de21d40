# SPDX-License-Identifier: Apache-2.0
"""What a host read of Open vSwitch (skbtrace/host/openvswitch.py): ports, OpenFlow rules and meters with their
counters, flows of the datapath, and traces.
"""
import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

from skbtrace.host.switch import SHARED, Port, ports

from ...bundle.evidence import Reading
from .flowmatch import fields_of
from .traced import Part, parts_of

_HEADERS = {"push_vlan", "pop_vlan", "set", "meter"}    # actions behind which it is the same packet
_RULE = re.compile(r"(?:table_id=(\d{1,3}), )?duration=\d+s, n_packets=(\d{1,19}), n_bytes=\d+, "
                   r"(?:priority=(\d{1,5}),?)?(.*?),?actions=(.*)")
_DEFAULT_PRIORITY = 32768
_TUNNEL = ("tun_id", "tun_src")    # by which tunnels that share a device are told apart
_MOST_TRACES, _MOST_FLOWS = 256, 2000
_KEY = re.compile(r"0x[0-9a-f]{1,16}|[1-9]\d{0,19}|0")
_LEARNED = re.compile(r"\s*(\S+)\s+(\d{1,4})\s+([0-9a-f:]{17})\s+\S+")
_METER = re.compile(r"meter:(\d{1,10}) .*")
_BAND = re.compile(r"\d+: packet_count:(\d{1,19}) .*")
_UFID = re.compile(r"ufid:([0-9a-f-]{36}), ")
_PACKETS = re.compile(r"(\d{1,19}),.*")
_GROUP = re.compile(r"\b(\w+)\(((?:[^()]|\([^()]*\))*)\)")
# Open vSwitch's names of fields in the datapath -> in OpenFlow
_NAMES = {"eth.src": "dl_src", "eth.dst": "dl_dst", "eth_type": "dl_type", "vlan.vid": "dl_vlan",
          "ipv4.src": "nw_src", "ipv4.dst": "nw_dst", "ipv6.src": "ipv6_src", "ipv6.dst": "ipv6_dst",
          "arp.sip": "arp_spa", "arp.tip": "arp_tpa", "tunnel.tun_id": "tun_id", "tunnel.src": "tun_src",
          "skb_mark": "pkt_mark"}
_IP = {"proto": "nw_proto", "tos": "nw_tos", "tclass": "nw_tos", "ttl": "nw_ttl", "hlimit": "nw_ttl", "frag": "nw_frag"}
_ENDS = {"src": "tp_src", "dst": "tp_dst"}
_STATES = ("new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat")    # bits, from the lowest on
_NO_MASK = re.compile(r".*/(?:0|0x0|::|0\.0\.0\.0|00:00:00:00:00:00)")


@dataclass(frozen=True)
class Flow:
    """A flow of the datapath."""

    ufid: str
    in_port: str
    recirculated: bool
    match: str          # in OpenFlow's words
    shown: str          # in its own, without what it does not ask for
    packets: int
    actions: str

    def is_of(self, trace: "Trace") -> bool:
        """Whether packets of a trace meet it, for all that is known of how they come in: the device, and the tunnel."""
        asked = fields_of(self.match)
        return self.in_port == trace.device and all(
            asked[name] == trace.tunnel.get(name) for name in _TUNNEL if name in asked)


@dataclass(frozen=True)
class Trace:
    """What the rules make of a packet."""

    device: str         # by which it came in
    flow: str           # its headers
    bridge: str
    state: str          # that conntrack is taken to find it in; empty: it is not asked
    parts: list[Part]
    tunnel: dict[str, str]    # _TUNNEL, as the datapath has it


class Switch:
    """One host's Open vSwitch."""

    def __init__(self, reading: Reading) -> None:
        """reading: of the host."""
        self._names: dict[tuple[str, str], str] = {}        # bridge and number in OpenFlow -> port
        self._devices: dict[str, str] = {}                  # number in the datapath -> port, or kind of tunnel
        self._tunnels: dict[tuple[str, str], dict[str, str]] = {}    # bridge and number in OpenFlow -> _TUNNEL
        self._read_ports(reading.lines("switch"))
        self.tags = {str(row.get("name")): row["tag"] for row in reading.rows("switch-ports")
                     if isinstance(row.get("tag"), int)}
        self.rules = {when: _rules(reading, when) for when in ("before", "after")}
        self._macs = reading.by_key("switch-macs")
        self.meters = {when: _meters(reading, when) for when in ("before", "after")}
        rows = reading.rows("traces")
        self.traces = [self._trace(row) for row in rows[:_MOST_TRACES] if isinstance(row.get("lines"), list)]
        traced = {trace.device for trace in self.traces}
        flows = (flow for flow in map(_flow, reading.lines("datapath")) if flow and flow.in_port in traced)
        self.flows = list(islice(flows, _MOST_FLOWS))
        self.drops = [flow for flow in self.flows if flow.actions == "drop"]
        # whether the daemon compared the datapath's flows with its rules before they were read
        self.compared = "datapath-round" in reading.after

    def _read_ports(self, lines: list[str]) -> None:
        for port in ports(lines):
            self._names[port.bridge, str(port.number)] = port.name
            if port.kind in SHARED.values():
                self._tunnels[port.bridge, str(port.number)] = _tunnel(port)
            self._devices[port.datapath] = "a %s tunnel" % port.kind if port.kind in SHARED.values() else port.name

    def _trace(self, row: dict[str, Any]) -> Trace:
        lines = [line for line in row["lines"] if isinstance(line, str)]
        device, flow, bridge, state = (str(row.get(name) or "") for name in ("device", "flow", "bridge", "state"))
        parts = parts_of(lines)
        met = fields_of(parts[0].megaflow) if parts else {}
        # of a tunnel of which a port has one end only, a trace does not name it
        tunnel = dict(self._tunnels.get((bridge, met.get("in_port", "")), {}),
                      **{name: met[name] for name in _TUNNEL if name in met})
        return Trace(device, flow, bridge, state, parts, tunnel)

    def known(self, bridge: str, mac: str) -> list[tuple[str, int]]:
        """Return the ports behind which a bridge has learned an address, each with the VLAN."""
        found = (_LEARNED.fullmatch(line) for line in self._macs.get(bridge, []) if isinstance(line, str))
        return [(self._names.get((bridge, one[1]), bridge if one[1] == "LOCAL" else one[1]), int(one[2]))
                for one in found if one and one[3] == mac]

    def named(self, bridge: str, match: str) -> str:
        """Return a match with the port's name in place of its number."""
        return re.sub(r"\bin_port=(\d+)\b",
                      lambda found: "in_port=" + self._names.get((bridge, found[1]), found[1]), match)

    def outputs(self, actions: str) -> list[str]:
        """Return the ports among the actions of a datapath's flow."""
        return [port for port in map(self._port, _words(actions)) if port]

    def becomes(self, actions: str) -> list[str] | None:
        """Return the ports to which a flow of the datapath sends packets, none if it drops them; None if that depends
        on more than the flow."""
        words = [word for word in _words(actions) if word not in _HEADERS and word != "drop"]
        ports = [self._port(word) for word in words]
        return None if not all(ports) else sorted({port for port in ports if port})

    def _port(self, word: str) -> str:
        kind = next((kind for device, kind in SHARED.items() if word.startswith(device)), "")
        if kind:
            return "a %s tunnel" % kind
        return self._devices.get(word, word if word in self._devices.values() else "")


def _words(actions: str) -> list[str]:
    """Return the names of a flow's actions, without what stands in parentheses."""
    depth, outside = 0, []
    for piece in re.split(r"([()])", actions):
        if piece in ("(", ")"):
            depth += 1 if piece == "(" else -1
        elif not depth:
            outside.append(piece)
    return [word.strip() for word in "".join(outside).split(",") if word.strip()]


def switch_of(reading: Reading) -> Switch | None:
    """Return what a host's reading has of Open vSwitch; None if nothing was traced there."""
    if "traces" not in reading.after:
        return None
    made = reading.once("open vswitch", lambda: Switch(reading))
    return made if isinstance(made, Switch) else None


def _tunnel(port: Port) -> dict[str, str]:
    """Return the key of a port's packets, and who sends them, if these are not in each packet."""
    key, far = port.options.get("key", "0"), port.options.get("remote_ip", "")
    return {"tun_id": hex(int(key, 0)) if _KEY.fullmatch(key) else "", "tun_src": far}


def _rules(reading: Reading, when: str) -> dict[tuple[str, int, int | None, str], tuple[int, str]]:
    """Return bridge, table, priority and match of each rule -> how many packets it counted, and its actions."""
    out: dict[tuple[str, int, int | None, str], tuple[int, str]] = {}
    for bridge, lines in reading.by_key("openflow", when).items():
        for found in filter(None, (_RULE.fullmatch(line) for line in lines if isinstance(line, str))):
            table, packets, priority, match, actions = found.groups()
            key = bridge, int(table or 0), int(priority or _DEFAULT_PRIORITY), match
            out[key] = int(packets), actions
    return out


def _meters(reading: Reading, when: str) -> dict[tuple[str, int], int]:
    """Return bridge and number of each meter -> how many packets its bands counted."""
    out: dict[tuple[str, int], int] = {}
    for bridge, lines in reading.by_key("meters", when).items():
        meter = -1
        for line in map(str, lines):
            heading, band = _METER.fullmatch(line), _BAND.fullmatch(line)
            if heading:
                meter = int(heading[1])
                out[bridge, meter] = 0
            elif band and meter >= 0:
                out[bridge, meter] += int(band[1])
    return out


def _flow(line: str) -> Flow | None:
    key, _, rest = line.partition(", packets:")
    counts, _, actions = rest.partition(", actions:")
    ufid, packets = _UFID.match(key), _PACKETS.fullmatch(counts)
    if not packets:
        return None
    fields = _fields(key)
    match = ",".join("%s=%s" % (_name(name), value) for name, value in fields if _name(name) and not (
        name == "eth_type" and value == "0x8100"))
    known = dict(fields)
    shown = ",".join("%s=%s" % pair for pair in fields if pair[0] not in ("recirc_id", "in_port"))
    return Flow(ufid[1] if ufid else "", known.get("in_port", ""), known.get("recirc_id", "0") not in ("0", "0x0"),
                match, shown, int(packets[1]), actions)


def _fields(key: str) -> list[tuple[str, str]]:
    """Return the fields of a datapath's flow that it asks for: names (`ipv4.src`) and values."""
    out = []
    for name, content in _GROUP.findall(key):
        if name == "encap":
            out += _fields(content)
        elif "=" in content and not name.startswith("ct_"):
            out += [("%s.%s" % (name, one), value) for one, _, value in (
                word.partition("=") for word in content.split(","))]
        else:
            out.append((name, content))
    return [(name, _state(value) if name == "ct_state" else value) for name, value in out
            if not _NO_MASK.fullmatch(value)]


def _state(value: str) -> str:
    """Return what conntrack says of packets as OpenFlow has it (+new+trk), where it is a number with a mask."""
    number, _, mask = value.partition("/")
    if not number.startswith("0x"):
        return value
    bits, asked = int(number, 16), int(mask, 16) if mask else 0xFF
    return "".join(("+" if bits >> at & 1 else "-") + name for at, name in enumerate(_STATES) if asked >> at & 1)


def _name(name: str) -> str:
    kind, _, one = name.partition(".")
    if kind in ("ipv4", "ipv6") and one in _IP:
        return _IP[one]
    if kind in ("tcp", "udp", "sctp") and one in _ENDS:
        return _ENDS[one]
    if kind in ("icmp", "icmpv6") and one in ("type", "code"):
        return "%s_%s" % (kind, one)
    return _NAMES.get(name, "" if kind in ("recirc_id", "in_port", "dp_hash", "skb_priority", "tunnel")
                      or name == "vlan.pcp" else name)
