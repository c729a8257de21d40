# SPDX-License-Identifier: Apache-2.0
"""The rules of nftables, as `nft -j list ruleset` prints them: which one dropped a packet."""
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...bundle.evidence import Reading
from .chains import ACCEPT, DROP, ELSEWHERE, GOTO, JUMP, RETURN, Chain, Rule, Verdict, walk
from .drop import Candidate, Drop
from .hooks import Hook, place_of
from .matching import Absent, Met, Unknown, fits, look_up

_FAMILIES = {("ip", 4): ("inet", "ip"), ("ip", 6): ("inet", "ip6"), ("bridge", 0): ("bridge",),
             ("netdev", 0): ("netdev", "inet"), ("arp", 0): ("arp",)}
_VERDICTS = {"drop": DROP, "reject": DROP, "accept": ACCEPT, "return": RETURN, "queue": ELSEWHERE, "fwd": ELSEWHERE,
             "snat": ACCEPT, "dnat": ACCEPT, "masquerade": ACCEPT, "redirect": ACCEPT, "tproxy": ACCEPT,
             "synproxy": ELSEWHERE}
_PASSING = {"counter", "log", "mangle", "set", "map", "notrack", "dup", "flow", "ct helper", "ct timeout", "comment",
            "ct expectation", "secmark"}
_VOLATILE = ("packets", "bytes", "expires", "metainfo")
_COUNTER = re.compile(r"\bcounter packets \d+ bytes \d+")
_LONGEST = 200        # characters of a rule that are shown


@dataclass
class _Table:
    """One table; every name in it is unique."""

    family: str
    name: str
    chains: dict[str, Chain] = field(default_factory=dict)
    bases: list[tuple[int, str, str, list[str], Chain]] = field(default_factory=list)   # priority, hook, type, devices
    sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    raw: list[Any] = field(default_factory=list)
    marks: bool = False      # whether a rule changes the mark


class Ruleset:
    """What one reading has."""

    def __init__(self, reading: Reading, when: str) -> None:
        self.tables: dict[tuple[str, str], _Table] = {}
        self._unchanged: dict[tuple[str, str], bool] = {}
        self._texts = _texts(reading.lines("nftables-text", when))
        value = getattr(reading, when).get("nftables")
        objects = value.get("nftables") if isinstance(value, dict) else None
        for one in objects if isinstance(objects, list) else ():
            for kind, content in one.items() if isinstance(one, dict) else ():
                if isinstance(content, dict):
                    self._add(kind, content)

    def _add(self, kind: str, content: Mapping[str, Any]) -> None:
        family, name = str(content.get("family")), str(content.get("name"))
        if kind == "metainfo":
            return
        if kind == "table":
            self.tables.setdefault((family, name), _Table(family, name))
            return
        table = self.tables.setdefault((family, str(content.get("table"))), _Table(family, str(content.get("table"))))
        table.raw.append({kind: content})
        if kind == "chain":
            self._add_chain(table, name, content)
        elif kind in ("set", "map"):
            table.sets[name] = dict(content)
        elif kind == "counter":
            table.counters[name] = _count(content.get("packets"))
        elif kind == "rule" and str(content.get("chain")) in table.chains:
            self._add_rule(table, table.chains[str(content["chain"])], content)

    def _add_chain(self, table: _Table, name: str, content: Mapping[str, Any]) -> None:
        chain = table.chains[name] = Chain(name, policy=str(content.get("policy") or "") and (
            DROP if content.get("policy") == "drop" else ACCEPT))
        if "hook" in content:
            devices = content.get("dev") or []
            priority = content.get("prio")
            table.bases.append((priority if isinstance(priority, int) else 0, str(content["hook"]),
                                str(content.get("type")), [str(one) for one in (
                                    devices if isinstance(devices, list) else [devices])], chain))

    def _add_rule(self, table: _Table, chain: Chain, content: Mapping[str, Any]) -> None:
        parts = content.get("expr")
        parts = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
        table.marks = table.marks or any("mangle" in part and "mark" in json.dumps(part) for part in parts)
        handle = str(content.get("handle"))
        counter = next((_counter_of(part["counter"], table) for part in parts if "counter" in part), None)
        text = self._texts.get((table.family, table.name, chain.name, handle), "")
        chain.rules.append(Rule(handle, _COUNTER.sub("counter", text), _Decision(table, parts), counter))

    def same_as(self, other: "Ruleset", key: tuple[str, str]) -> bool:
        """Whether a table's rules are those of another reading."""
        if key not in self._unchanged:
            old = other.tables.get(key)
            self._unchanged[key] = old is not None and _bare(old.raw) == _bare(self.tables[key].raw)
        return self._unchanged[key]

    def bases(self, hook: Hook, version: int, device: str) -> list[tuple[_Table, Chain, str]]:
        """Return (table, chain, type) of the base chains of a hook, in the order in which packets go through them."""
        families = _FAMILIES.get((hook.layer, version if hook.layer == "ip" else 0), ())
        found = [(priority, place, table, chain, kind)
                 for place, table in enumerate(self.tables.values()) if table.family in families
                 for priority, name, kind, devices, chain in table.bases
                 if name == hook.name and (not devices or device in devices)]
        return [(table, chain, kind) for _, _, table, chain, kind in sorted(found, key=lambda one: one[:2])]


class _Decision:
    """What one rule does with a packet."""

    def __init__(self, table: _Table, parts: list[dict[str, Any]]) -> None:
        self._table, self._parts = table, parts

    def __call__(self, met: Met) -> list[tuple[Verdict, bool]]:
        """Return the possible verdicts, each with whether it is sure; none: the packet goes on with the next rule."""
        if self._table.marks:
            met = met._replace(place=replace(met.place, mark=False))
        sure = True
        for part in self._parts:
            kind, content = next(iter(part.items()), ("", None))
            if kind == "match":
                fit = fits(content, met, self._elements)
                if fit is False:
                    return []
                sure = sure and fit is True
            elif kind == "vmap":
                return self._mapped(content, met, sure)
            elif kind in (JUMP, GOTO) or kind in _VERDICTS:
                return [(_verdict(part), sure)]
            elif kind == "xt":     # of iptables, in words that nft does not know: a match or a target
                return [(Verdict(DROP), False), (Verdict(ACCEPT), False)]
            elif kind not in _PASSING:
                sure = False
        return []

    def _elements(self, name: str) -> Any:
        found = self._table.sets.get(name)
        if not found or {"timeout", "dynamic"}.intersection(found.get("flags") or ()):
            raise Unknown
        return found.get("elem") or []

    def _mapped(self, content: Any, met: Met, sure: bool) -> list[tuple[Verdict, bool]]:
        """Return what a map of verdicts has for a packet; all that it has if that cannot be told."""
        data = content.get("data") if isinstance(content, dict) else None
        anonymous = data.get("set") if isinstance(data, dict) else None
        elements = self._table.sets.get(data[1:], {}).get("elem") if isinstance(data, str) else anonymous
        pairs = [one for one in elements if isinstance(one, list) and len(one) == 2] if isinstance(
            elements, list) else []
        try:
            if isinstance(data, str):
                self._elements(data[1:])
            found = look_up(content["key"], pairs, met)
            return [] if found is None else [(_verdict(found), sure)]
        except Absent:
            return []
        except (Unknown, KeyError, TypeError):
            return [(_verdict(one[1]), False) for one in pairs] or [(Verdict(DROP), False)]


def _verdict(content: Any) -> Verdict:
    if isinstance(content, dict) and content:
        kind, more = next(iter(content.items()))
        if kind in (JUMP, GOTO):
            return Verdict(kind, str(more.get("target")) if isinstance(more, dict) else "")
        return Verdict(_VERDICTS.get(kind, ELSEWHERE))
    return Verdict(ELSEWHERE)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _counter_of(content: Any, table: _Table) -> int | None:
    if isinstance(content, dict):
        return _count(content.get("packets"))
    return table.counters.get(content) if isinstance(content, str) else None


def _texts(lines: list[str]) -> dict[tuple[str, str, str, str], str]:
    """Return the text of each rule, by family, table, chain and handle."""
    out, table, chain = {}, ("", ""), ""
    for line in lines:
        text, _, handle = line.strip().rpartition(" # handle ")
        words = text.split()
        if len(words) == 4 and words[0] == "table":
            table = words[1], words[2]
        elif len(words) == 3 and words[0] == "chain":
            chain = words[1]
        elif text:
            out[(*table, chain, handle)] = text
    return out


def _ruleset(reading: Reading, when: str) -> Ruleset:
    ruleset: Ruleset = reading.once("nftables " + when, lambda: Ruleset(reading, when))
    return ruleset


def chains_of(reading: Reading) -> set[tuple[str, str, str]]:
    """Return family, table and name of all chains."""
    return {(table.family, table.name, chain) for table in _ruleset(reading, "after").tables.values()
            for chain in table.chains}


def candidates(drop: Drop, hook: Hook, reading: Reading) -> list[Candidate]:
    """Return the rules and policies that may have dropped these packets; raises TooLarge."""
    before, after = _ruleset(reading, "before"), _ruleset(reading, "after")
    hits: dict[tuple[str, str, str, str | None], list[bool]] = {}
    for packet in drop.packets:
        bases = after.bases(hook, packet.version, drop.device)
        # those that translate see the first packet of a connection only
        natted = any(kind == "nat" for _, _, kind in bases)
        met = Met(packet, place_of(hook, drop, packet), drop.budget)
        for hit in walk([(chain, table.chains) for table, chain, _ in bases], met):
            table = bases[hit.base][0]
            hits.setdefault((table.family, table.name, hit.chain, hit.rule), []).append(hit.sure and not natted)
    return [_candidate(key, len(sures) == len(drop.packets) and all(sures), before, after)
            for key, sures in hits.items()]


def _candidate(key: tuple[str, str, str, str | None], sure: bool, before: Ruleset, after: Ruleset) -> Candidate:
    family, name, chain, handle = key
    old, new = before.tables.get((family, name)), after.tables[family, name]
    where = {"family": family, "table": name, "chain": chain}
    of_chain = "chain %s %s %s" % (family, name, chain)
    unchanged = after.same_as(before, (family, name))
    if handle is None:
        return Candidate("nftables", "the policy of %s, which is drop" % of_chain, dict(where, rule="policy drop"),
                         evaluated=sure, unchanged=unchanged)
    rule = _find(new, chain, handle)
    was = _find(old, chain, handle) if old else None
    text = rule.text if rule else ""
    shown = text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."
    rose = None
    if rule and rule.counter is not None:
        rose = rule.counter - (was.counter or 0 if was else 0)
        rose = rose if rose >= 0 else rule.counter    # they were set back
    return Candidate("nftables", "the rule %s(handle %s) of %s" % ('"%s" ' % shown if shown else "", handle, of_chain),
                     dict(where, handle=int(handle) if handle.isdigit() else handle, rule=shown), rose,
                     evaluated=sure, unchanged=unchanged)


def _find(table: _Table, chain: str, handle: str) -> Rule | None:
    rules = table.chains[chain].rules if chain in table.chains else []
    return next((rule for rule in rules if rule.name == handle), None)


def _bare(value: Any) -> Any:
    """Return rules without what changes by itself."""
    if isinstance(value, dict):
        return {name: _bare(one) for name, one in value.items() if name not in _VOLATILE}
    return [_bare(one) for one in value] if isinstance(value, list) else value
