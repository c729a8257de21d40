# SPDX-License-Identifier: Apache-2.0
"""Words for what passed instead, where nothing matched: the nearest flows, and what of the filter they do not have."""
from collections import OrderedDict
from typing import Any, Container, Dict, List, NamedTuple

from . import text

MOST = 3          # that are shown
_PLACES = 3       # of a flow that are named
_FIELDS = {"src": "source address", "dst": "destination address", "protocol": "protocol", "src_port": "source port",
           "dst_port": "destination port", "vlan": "VLAN"}
_APART = {"interfaces": "at another device", "netns": "in another namespace", "direction": "in the other direction",
          "ports": "with the ports exchanged", "no_ports": "without ports to compare"}
_NOT_COMPARED = ("filter", "inner_filter")


class Shown(NamedTuple):
    """A flow, wherever it was seen."""

    flow: str
    difference: str
    packets: int                    # at the place that saw most of them
    places: List[Dict[str, str]]    # netns, device, point
    is_elsewhere: bool              # in another namespace than the filter's

    def sentence(self) -> str:
        """Return it as a part of a sentence: FLOW at DEVICE (POINT) (WHAT DIFFERS)."""
        named = ["%s%s %s" % (_word(place["device"]), "@" + _word(place["netns"]) if self.is_elsewhere else "",
                              place["point"]) for place in self.places[:_PLACES]]
        rest = len(self.places) - len(named)
        return "%s at %s%s (%s)" % (self.flow, ", ".join(named), " and %d more" % rest if rest else "",
                                    self.difference)


def _word(name: str) -> str:
    return name.replace(" ", "_")


def shown(section: Dict[str, Any], asked: Container[str]) -> List[Shown]:
    """Return the nearest flows of a manifest's `nearest`, each once, where it is nearest.

    asked: the names of what its `filter` asks for.
    """
    found: OrderedDict[str, Shown] = OrderedDict()
    for flow in section.get("flows", []):
        words, lacks = text.format_packet(flow, None), difference(flow, asked)
        one = found.setdefault(words, Shown(words, lacks, 0, [], "netns" in flow["differs"]))
        if one.difference == lacks:
            one.places.append({name: flow[name] for name in ("netns", "device", "point")})
            found[words] = one._replace(packets=max(one.packets, flow["packets"]))
    return list(found.values())[:MOST]


def difference(flow: Dict[str, Any], asked: Container[str]) -> str:
    """Return what of the filter a flow has, and what not, as words."""
    differs, packet = flow["differs"], flow["inner"] if flow["inside"] else flow
    same = [word for name, word in _FIELDS.items()
            if name in asked and name not in differs and not (name.endswith("port") and "no_ports" in differs)]
    apart = ["no VLAN tag" if name == "vlan" and "vlan" not in packet else "another " + word
             for name, word in _FIELDS.items() if name in differs]
    apart += [word for name, word in _APART.items()
              if name in differs and not (name == "no_ports" and "protocol" in differs)]
    if not apart:
        apart = ["the filter's expression was not compared" if any(name in asked for name in _NOT_COMPARED)
                 else "only after the window"]
    has = "the filter's %s, but " % _listed(same) if same else ""
    return ("inside the tunnel: " if flow["inside"] else "") + has + _listed(apart)


def _listed(words: List[str]) -> str:
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def sentences(section: Dict[str, Any], asked: Container[str]) -> List[str]:
    """Return what a person at the terminal is told, a line each; none if no sample was to be taken."""
    if not section:
        return []
    if section["why"]:
        return ["nothing matched, and what passed instead could not be sampled: %s" % section["why"]]
    if not section["packets"]:
        return ["nothing matched, and nothing else passed in the second after"]
    return ["nothing matched; nearest of %d packets just after:" % section["packets"]] + [
        "    %s" % one.sentence() for one in shown(section, asked)]
