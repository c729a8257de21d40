# SPDX-License-Identifier: Apache-2.0
"""Points that are no rows of the table: func:NAME, any function of the kernel that takes a packet, func:NAME@ARG."""
from typing import List, Optional, Sequence, Tuple

from . import points

_PACKET = ("sk_buff*", "sk_buff**")
Parameters = Sequence[Tuple[str, str]]  # name, struct pointed to or ""


class NoPacket(LookupError):
    """The function does not take a packet, or not there; the message says so."""


def is_function(point: points.Point) -> bool:
    """Whether a point is at a function that was asked for by its name."""
    return point.name.startswith(points.FUNCTION)


def packet(point: points.Point, parameters: Optional[Parameters]) -> Tuple[int, bool]:
    """Return which argument (from 0) is the packet, and whether it is the address of a pointer to it; raises NoPacket.

    parameters: None where this kernel does not describe the function.
    """
    function, _at, chosen = point.name[len(points.FUNCTION):].partition("@")
    if parameters is None:
        if not chosen.isdigit():
            raise NoPacket("this kernel does not describe function %s: which argument is the packet has to be said by "
                           "its number, %s%s@1" % (function, points.FUNCTION, function))
        return _in_range(function, chosen, points.MOST_ARGUMENTS), False
    places = [place for kind in _PACKET for place, (_name, of) in enumerate(parameters) if of == kind]
    if not places:
        raise NoPacket("function %s takes no struct sk_buff *: its arguments are %s"
                       % (function, ", ".join(_said(parameters)) or "none"))
    place = _chosen(function, chosen, parameters) if chosen else places[0]
    if place not in places:
        raise NoPacket("argument %s of %s is no struct sk_buff *; %s is"
                       % (chosen, function, " and ".join(_said([parameters[one] for one in sorted(places)]))))
    return place, parameters[place][1] == "sk_buff**"


def _said(parameters: Parameters) -> List[str]:
    return [name or "one without a name" for name, _kind in parameters]


def _chosen(function: str, chosen: str, parameters: Parameters) -> int:
    if chosen.isdigit():
        return _in_range(function, chosen, len(parameters))
    for place, (name, _kind) in enumerate(parameters):
        if name == chosen:
            return place
    raise NoPacket("function %s has no argument %s: it has %s" % (function, chosen, ", ".join(_said(parameters))))


def _in_range(function: str, chosen: str, most: int) -> int:
    if not 1 <= int(chosen) <= most:
        raise NoPacket("function %s has no argument %s: it must be from 1 to %d" % (function, chosen, most))
    return int(chosen) - 1
