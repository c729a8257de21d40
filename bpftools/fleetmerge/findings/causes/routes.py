# SPDX-License-Identifier: Apache-2.0
"""Drops for want of a way: routes and rules that refuse, rp_filter."""
import ipaddress
from typing import Any

from ...bundle.evidence import Reading
from .drop import Candidate, Drop, Packet
from .hooks import plain

_REFUSING = ("blackhole", "unreachable", "prohibit")
_BY_ROUTE = {"ip_error", "ip6_pkt_drop", "ip6_pkt_discard", "ip6_pkt_prohibit", "dst_discard", "dst_discard_out",
             "ip_route_input_slow", "ip_route_input_noref", "ip_rcv_finish_core"}
_REASONS = (None, "NOT_SPECIFIED", "IP_INNOROUTES", "IP_OUTNOROUTES")
_RP_FILTER = "/proc/sys/net/ipv4/conf/%s/rp_filter"
_TABLES = {"local": 255, "main": 254, "default": 253}


def find_route(drop: Drop, reading: Reading, _host: Reading) -> list[Candidate] | None:
    """Return the route or rule that refuses these packets; None if that is not why they were dropped."""
    if drop.reason not in _REASONS:
        return None
    if not _BY_ROUTE.intersection((plain(drop.function), *map(plain, drop.frames[:3]))):
        return None
    if "routes" not in reading.after or "rules" not in reading.after:
        return None
    found = {}
    for packet in drop.packets:
        one = _way(drop, packet, reading, "after")
        if one is None:
            return []
        was = _way(drop, packet, reading, "before")
        one.unchanged = was is not None and was.what == one.what
        found[one.what] = one
    return list(found.values())


def _way(drop: Drop, packet: Packet, reading: Reading, when: str) -> Candidate | None:
    """Return what refuses a packet, as the kernel looks it up: rule by rule, the longest prefix in each table."""
    if packet.version not in (4, 6) or packet.dst is None or packet.src is None:
        return None
    six = "6" if packet.version == 6 else ""
    routes = reading.rows("routes" + six, when)
    drop.budget.spend(len(routes))
    for rule in sorted(reading.rows("rules" + six, when), key=_priority):
        fit = _rule_fits(rule, packet)
        if fit is None:
            return None
        if not fit:
            continue
        action = str(rule.get("action") or "")
        if action in _REFUSING:
            return Candidate("route", "the rule %s (priority %d)" % (_rule_text(rule), _priority(rule)),
                             {"rule": _rule_text(rule), "priority": _priority(rule)}, evaluated=True)
        if action:    # goto, nop
            return None
        route = _longest(routes, str(rule.get("table")), packet.dst)
        if route is None or str(route.get("type")) == "throw":
            continue
        text = _route_text(route)
        if str(route.get("type")) in _REFUSING:
            return Candidate("route", "the route %s" % text, {"route": text, "table": str(route.get("table"))},
                             evaluated=True)
        return None
    return Candidate("route", "there being no route to %s" % packet.dst, {"route": "none"}, evaluated=True)


def _priority(rule: dict[str, Any]) -> int:
    value = rule.get("priority")
    return value if isinstance(value, int) else 0


def _rule_fits(rule: dict[str, Any], packet: Packet) -> bool | None:
    """Whether a routing rule is for a packet; None if that cannot be told."""
    known = {"priority", "src", "srclen", "dst", "dstlen", "table", "protocol", "fwmark", "fwmask", "action", "iif"}
    if set(rule) - known:
        return None
    try:
        for name, length, address in (("src", "srclen", packet.src), ("dst", "dstlen", packet.dst)):
            network = str(rule.get(name, "all")) + ("/%s" % rule[length] if length in rule else "")
            if network not in ("all", "default") and ipaddress.ip_address(address or "") not in ipaddress.ip_network(
                    network, False):
                return False
        if "fwmark" in rule:
            if packet.mark is None:
                return None
            mask = int(str(rule.get("fwmask", "0xffffffff")), 16)
            if packet.mark & mask != int(str(rule["fwmark"]), 16):
                return False
    except ValueError:
        return None
    return str(rule["iif"]) == packet.received if "iif" in rule else True


def _rule_text(rule: dict[str, Any]) -> str:
    words = ["from %s%s" % (rule.get("src", "all"), "/%s" % rule["srclen"] if "srclen" in rule else "")]
    if "dst" in rule:
        words.append("to %s%s" % (rule["dst"], "/%s" % rule["dstlen"] if "dstlen" in rule else ""))
    words += ["%s %s" % (name, rule[name]) for name in ("fwmark", "iif") if name in rule]
    return '"%s %s"' % (" ".join(words), rule.get("action"))


def _longest(routes: list[dict[str, Any]], table: str, address: str) -> dict[str, Any] | None:
    """Return the route of a table with the longest prefix for an address; of equal ones that with the least metric."""
    best: tuple[int, int, dict[str, Any]] | None = None
    target = ipaddress.ip_address(address)
    for route in routes:
        if not same_table(str(route.get("table", "main")), table):
            continue
        try:
            destination = str(route.get("dst"))
            network = ipaddress.ip_network(
                ("::/0" if target.version == 6 else "0.0.0.0/0") if destination == "default" else destination, False)
        except ValueError:
            continue
        metric = route.get("metric")
        rank = (network.prefixlen, -(metric if isinstance(metric, int) else 0))
        if target.version == network.version and target in network and (best is None or rank > best[:2]):
            best = (*rank, route)
    return best[2] if best else None


def same_table(one: str, two: str) -> bool:
    """Whether two names, or numbers, are those of one table."""
    return _TABLES.get(one, one) == _TABLES.get(two, two)


def _route_text(route: dict[str, Any]) -> str:
    return '"%s %s%s" of table %s' % (route.get("type"), route.get("dst"), " metric %s" % route["metric"]
                                      if "metric" in route else "", route.get("table", "main"))


def find_rp_filter(drop: Drop, reading: Reading, _host: Reading) -> list[Candidate] | None:
    """Return the setting by which packets must come in where their answers go out."""
    if drop.reason != "IP_RPFILTER":
        return None
    values = {name: _setting(reading, "after", name) for name in (drop.device, "all")}
    in_force = max(values.values(), default=0)
    if in_force not in (1, 2):
        return []
    before = max(_setting(reading, "before", name) for name in values)
    names = [name for name, value in values.items() if value == in_force]
    setting = "net.ipv4.conf.%s.rp_filter" % names[0]
    back = _way_back(drop, reading)
    return [Candidate("rp_filter", "%s, which is %d (%s)" % (setting, in_force, {1: "strict", 2: "loose"}[in_force]),
                      {"setting": setting, "value": in_force, "device": drop.device}, evaluated=True,
                      by=back, unchanged=before == in_force)]


def _way_back(drop: Drop, reading: Reading) -> str:
    """Say by which device the first packet's source would be reached."""
    source = drop.packets[0].src
    if not source:
        return ""
    route = _longest(reading.rows("routes"), "main", source)
    if route is None:
        return "there is no route back to %s" % source
    return "%s is reached by %s, and came in by %s" % (source, route.get("dev") or route.get("type"), drop.device)


def _setting(reading: Reading, when: str, device: str) -> int:
    lines = reading.by_key("settings", when).get(_RP_FILTER % device, [])
    return int(lines[0]) if lines and isinstance(lines[0], str) and lines[0].isdigit() and len(lines[0]) < 3 else 0


def same_address(one: Any, two: str) -> bool:
    """Whether what a command printed is this address."""
    try:
        return ipaddress.ip_address(str(one)) == ipaddress.ip_address(two)
    except ValueError:
        return False


def route_of(packet: Packet, reading: Reading, when: str = "after") -> dict[str, Any] | None:
    """Return the route that a packet takes, as far as rules lead to tables; None if there is none, or nobody knows."""
    if packet.dst is None:
        return None
    six = "6" if packet.version == 6 else ""
    for rule in sorted(reading.rows("rules" + six, when), key=_priority):
        fit = _rule_fits(rule, packet)
        if fit is None:
            return None
        if not fit or rule.get("action"):
            continue
        route = _longest(reading.rows("routes" + six, when), str(rule.get("table")), packet.dst)
        if route is not None:
            return route
    return None
