# SPDX-License-Identifier: Apache-2.0
"""The rules of iptables, as `iptables-save -c` prints them: which one dropped a packet."""
import ipaddress
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...bundle.evidence import Reading
from .chains import ACCEPT, DROP, ELSEWHERE, GOTO, JUMP, RETURN, Chain, Rule, Verdict, walk
from .drop import Candidate, Drop
from .hooks import Hook, place_of
from .matching import Absent, Met, Unknown, protocol_number

_ORDER = ("raw", "mangle", "nat", "filter", "security")    # in which the tables are asked
_POLICY = re.compile(r":(\S+) (\S+)(?: \[(\d{1,18}):\d{1,18}\])?$")
_RULE = re.compile(r"(?:\[(\d{1,18}):\d{1,18}\] )?-A (\S+) ?(.*)$")
_TARGETS = {"DROP": DROP, "REJECT": DROP, "ACCEPT": ACCEPT, "RETURN": RETURN, "NFQUEUE": ELSEWHERE, "SNAT": ACCEPT,
            "DNAT": ACCEPT, "MASQUERADE": ACCEPT, "REDIRECT": ACCEPT, "TPROXY": ACCEPT, "SYNPROXY": ELSEWHERE}
# targets after which a packet goes on with the next rule
_PASSING = {"LOG", "NFLOG", "MARK", "CONNMARK", "TCPMSS", "CT", "CHECKSUM", "CLASSIFY", "DSCP", "SET", "TTL", "TOS",
            "TRACE", "NOTRACK", "AUDIT", "TEE"}
_NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58, "icmpv6": 58, "sctp": 132}
_FAMILY = {4: ("ip", "iptables"), 6: ("ip6", "ip6tables")}
_LONGEST = 200


@dataclass
class _Table:
    name: str
    chains: dict[str, Chain] = field(default_factory=dict)


def _tables(reading: Reading, when: str, collector: str) -> dict[str, _Table]:
    tables: dict[str, _Table] = reading.once("%s %s" % (collector, when), lambda: _parse_tables(
        reading.lines(collector, when)))
    return tables


def _parse_tables(lines: list[str]) -> dict[str, _Table]:
    out: dict[str, _Table] = {}
    table = _Table("")
    for line in lines:
        if line.startswith("*"):
            table = out.setdefault(line[1:].strip(), _Table(line[1:].strip()))
        elif match := _POLICY.match(line):
            name, policy, count = match.groups()
            table.chains[name] = Chain(name, policy={"DROP": DROP, "ACCEPT": ACCEPT}.get(policy, ""),
                                       counter=int(count) if count else None)
        elif match := _RULE.match(line):
            count, name, text = match.groups()
            chain = table.chains.setdefault(name, Chain(name))
            chain.rules.append(Rule(str(len(chain.rules) + 1), text, _decision(text, table.chains),
                                    int(count) if count else None))
    return out


def chains_of(reading: Reading) -> set[tuple[str, str, str]]:
    """Return family, table and name of all chains that iptables lists."""
    return {(family, table.name, chain) for family, collector in _FAMILY.values()
            for table in _tables(reading, "after", collector).values() for chain in table.chains}


def candidates(drop: Drop, hook: Hook, reading: Reading) -> list[Candidate]:
    """Return the rules and policies that may have dropped these packets; raises TooLarge."""
    if hook.layer != "ip":
        return []
    out = []
    for version, (family, collector) in _FAMILY.items():
        packets = [packet for packet in drop.packets if packet.version == version]
        after, before = _tables(reading, "after", collector), _tables(reading, "before", collector)
        bases = [(after[name].chains[hook.name.upper()], after[name].chains) for name in _ORDER
                 if name in after and hook.name.upper() in after[name].chains]
        names = [name for name in _ORDER if name in after and hook.name.upper() in after[name].chains]
        hits: dict[tuple[str, str, str | None], list[bool]] = {}
        for packet in packets:
            for hit in walk(bases, Met(packet, place_of(hook, drop, packet), drop.budget)):
                hits.setdefault((names[hit.base], hit.chain, hit.rule), []).append(hit.sure)
        out += [_candidate(family, key, len(sures) == len(drop.packets) and all(sures), before, after)
                for key, sures in hits.items()]
    return out


def _candidate(family: str, key: tuple[str, str, str | None], sure: bool, before: dict[str, _Table],
               after: dict[str, _Table]) -> Candidate:
    name, chain, number = key
    old = before[name].chains.get(chain) if name in before else None
    new = after[name].chains[chain]
    unchanged = old is not None and [rule.text for rule in old.rules] == [rule.text for rule in new.rules] and (
        old.policy == new.policy)
    command = _FAMILY[4][1] if family == "ip" else _FAMILY[6][1]
    where = {"family": family, "table": name, "chain": chain}
    if number is None:
        return Candidate("iptables", "the policy of %s' chain %s %s, which is DROP" % (command, name, chain),
                         dict(where, rule="policy DROP"), _rose(old, new), evaluated=sure, unchanged=unchanged)
    place = int(number) - 1
    text = new.rules[place].text
    shown = text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."
    rose = _rose(old.rules[place] if old and unchanged else None, new.rules[place])
    what = 'the rule "%s" (number %s) of %s\' chain %s %s' % (shown, number, command, name, chain)
    return Candidate("iptables", what, dict(where, number=int(number), rule=shown), rose, evaluated=sure,
                     unchanged=unchanged)


def _rose(old: Chain | Rule | None, new: Chain | Rule) -> int | None:
    if new.counter is None:
        return None
    rose = new.counter - (old.counter or 0 if old else 0)
    return rose if rose >= 0 else new.counter


def _decision(text: str, chains: Mapping[str, Chain]) -> Callable[[Met], list[tuple[Verdict, bool]]]:
    """Return what a rule does with a packet."""
    try:
        words = shlex.split(text)
    except ValueError:
        words = [text]
    conditions, target, jumps = _parse(words)

    def decide(met: Met) -> list[tuple[Verdict, bool]]:
        sure = True
        for condition in conditions:
            fit = _fits(condition, met)
            if fit is False:
                return []
            sure = sure and fit is True
        if not target or target in _PASSING:
            return []
        if target in _TARGETS:
            return [(Verdict(_TARGETS[target]), sure)]
        if target in chains:
            return [(Verdict(jumps, target), sure)]
        return [(Verdict(DROP), False), (Verdict(ACCEPT), False)]    # a target of its own

    return decide


def _parse(words: list[str]) -> tuple[list[tuple[str, str, bool]], str, str]:
    """Return (conditions: option, value, whether it is turned round), target, jump or goto."""
    conditions, target, jumps, place, turned = [], "", JUMP, 0, False
    while place < len(words):
        word = words[place]
        value = words[place + 1] if place + 1 < len(words) else ""
        if word == "!":
            turned, place = True, place + 1
            continue
        if word in ("-j", "-g"):
            target, jumps = value, GOTO if word == "-g" else JUMP
            break    # what follows are the target's own options
        if word == "-m" or word == "--comment":
            place += 2
            continue
        if word.startswith("-"):
            conditions.append((word, value, turned))
            place += 1 if not value or value.startswith("-") or value == "!" else 2
        else:
            place += 1
        turned = False
    return conditions, target, jumps


def _fits(condition: tuple[str, str, bool], met: Met) -> bool | None:
    option, value, turned = condition
    try:
        return _holds(option, value, met) != turned
    except Absent:
        return False
    except (Unknown, ValueError):
        return None


def _holds(option: str, value: str, met: Met) -> bool:
    packet, place = met.packet, met.place
    if option in ("-s", "-d"):
        address = packet.src if option == "-s" else packet.dst
        return _known(address) in ipaddress.ip_network(value, strict=False)
    if option in ("-i", "-o"):
        device = place.iif if option == "-i" else place.oif
        if device is None:
            raise Unknown
        return device.startswith(value[:-1]) if value.endswith("+") else device == value
    if option == "-p":
        if value not in _NUMBERS and not value.isdigit():
            raise Unknown
        return value == "0" or protocol_number(packet) == (_NUMBERS[value] if value in _NUMBERS else int(value))
    if option in ("--sport", "--dport", "--sports", "--dports", "--ports"):
        return _ports(option, value, met)
    if option == "-f":
        return packet.fragment
    raise Unknown


def _known(address: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if address is None:
        raise Unknown
    return ipaddress.ip_address(address)


def _ports(option: str, value: str, met: Met) -> bool:
    packet = met.packet
    if packet.fragment:
        raise Unknown
    ports = {"--sport": [packet.src_port], "--sports": [packet.src_port], "--dport": [packet.dst_port],
             "--dports": [packet.dst_port]}.get(option, [packet.src_port, packet.dst_port])
    if None in ports:
        raise Absent
    ranges = [(one.partition(":")[0] or "0", one.partition(":")[2] or (one if ":" not in one else "65535"))
              for one in value.split(",")]
    return any(int(low) <= port <= int(high) for low, high in ranges for port in ports if port is not None)
