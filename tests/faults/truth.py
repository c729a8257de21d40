# SPDX-License-Identifier: Apache-2.0
"""What is true about a fault, counted without the tracers and the merger: by nftables, by devices, by receivers."""
import json
import re
from typing import NamedTuple

from support.lab import Lab, Netns


class Loss(NamedTuple):
    """Packets that were lost at one place for one reason."""

    kind: str                     # drop or vanished
    packets: int
    host: str = ""                # of a drop
    device: str = ""
    function: str = ""
    reason: str = ""
    between: tuple[str, str] = ("", "")   # of what vanished: "HOST DEVICE" where it was seen last, and where it was due


def drop(host: str, device: str, function: str, reason: str, packets: int) -> Loss:
    """Packets that a kernel function threw away. Device - is none."""
    return Loss("drop", packets, host, device, function, reason)


def vanished(left: str, due: str, packets: int) -> Loss:
    """Packets that nobody dropped where one could see it; left, due: "HOST DEVICE"."""
    return Loss("vanished", packets, between=(left, due))


def _place(place: dict) -> str:
    return f"{place['host']} {place['device']}"


def losses(summary: dict) -> list[Loss]:
    """What the merger is certain of, summed over flows, in the words of the truth."""
    found: dict[Loss, int] = {}
    for entry in summary["losses"]:
        if entry["certainty"] != "certain":
            continue
        if entry["kind"] == "drop":
            key = drop(entry["host"], entry["device"], entry["function"], entry["reason"], 0)
        else:
            left, due = entry["between"]
            key = vanished(_place(left), _place(due), 0)._replace(kind=entry["kind"])
        found[key] = found.get(key, 0) + entry["packets"]
    return sorted(key._replace(packets=packets) for key, packets in found.items())


def unknown(summary: dict) -> list[dict]:
    """The losses that the merger is not certain of."""
    return [entry for entry in summary["losses"] if entry["certainty"] != "certain"]


def counted(place: Netns) -> int:
    """What the counters of the rules of `place` have counted, in all."""
    listed = json.loads(place.run(["nft", "-j", "list", "ruleset"]).stdout)["nftables"]
    return sum(word["counter"]["packets"] for entry in listed if "rule" in entry for word in entry["rule"]["expr"]
               if isinstance(word, dict) and word.get("counter"))


def snmp(place: Netns, protocol: str) -> dict[str, int]:
    """A protocol's counters in a namespace: Ip, Udp, Tcp … of /proc/net/snmp and /proc/net/netstat."""
    found: dict[str, int] = {}
    text = place.run(["cat", "/proc/net/snmp", "/proc/net/netstat"]).stdout
    names: dict[str, list[str]] = {}
    for label, values in re.findall(r"^(\w+): (.*)$", text, re.MULTILINE):
        if label in names:
            found.update({f"{label}.{name}": int(value)
                          for name, value in zip(names.pop(label), values.split(), strict=True)})
        else:
            names[label] = values.split()
    return {name.partition(".")[2]: value for name, value in found.items() if name.startswith(protocol + ".")}


def dropped(lab: Lab, place: str, device: str, way: str = "tx") -> int:
    """A device's own drop counter."""
    return lab.netns(place).counters(device)[way + "_dropped"]
