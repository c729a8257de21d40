# SPDX-License-Identifier: Apache-2.0
"""The table of collectors: what is read of a host's configuration, beside the records, and within which limits.

Each only reads. A command that would load a kernel module to find it empty is not run where that module is not loaded.
"""
import functools
import glob
import os
from typing import Any, Callable, Dict, List, NamedTuple

MOST_DEVICES = 64   # that are asked one by one
MIB = 1 << 20


class Unread(Exception):
    """A collector has nothing to give; the message says why."""


class Collector(NamedTuple):
    """A row of the table."""

    name: str
    command: List[str] = []                 # the program and its words; {device} stands for one of `devices`
    files: str = ""                         # or a pattern of files
    json: bool = False                      # whether it prints JSON; else its lines are kept
    most: int = MIB                         # bytes
    seconds: float = 2.0
    needs: Callable[[], str] = lambda: ""   # says what is missing, so that it is not run; empty if nothing is
    devices: Callable[[Dict[str, Any]], List[str]] = lambda _read: []   # from what the rows before it have read
    everywhere: bool = False                # the same in all network namespaces


@functools.lru_cache(maxsize=None)
def _kernel_has(module: str, function: bytes) -> bool:
    """Whether a module is loaded, or built in: then the kernel's types know its functions."""
    if os.path.isdir("/sys/module/" + module):
        return True
    for path in ("/sys/kernel/btf/vmlinux", "/proc/kallsyms"):
        try:
            with open(path, "rb") as handle:
                return function in handle.read()
        except OSError:
            continue
    return False


def _nftables() -> str:
    return "" if _kernel_has("nf_tables", b"nft_do_chain") else "nf_tables is not loaded"


def _legacy_tables() -> str:
    for path in ("/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"):
        try:
            with open(path) as handle:
                if handle.read(1):
                    return ""
        except OSError:
            continue
    return "no table of iptables is loaded"


def _iptables() -> str:
    return _nftables() and _legacy_tables()


def _bridges() -> str:
    return "" if _kernel_has("bridge", b"br_handle_frame") else "the kernel has no bridge loaded"


def _with_filters(read: Dict[str, Any]) -> List[str]:
    return _devices_with(read, lambda qdisc: qdisc.get("kind") in ("clsact", "ingress"))


def _with_classes(read: Dict[str, Any]) -> List[str]:
    return _devices_with(read, lambda qdisc: qdisc.get("kind") in ("htb", "hfsc", "drr", "qfq", "prio", "cbq"))


def _devices_with(read: Dict[str, Any], wanted: Callable[[Dict[str, Any]], bool]) -> List[str]:
    rows = read.get("qdiscs")
    found = [str(row.get("dev")) for row in rows if isinstance(row, dict) and wanted(row)] if isinstance(
        rows, list) else []
    return sorted(set(found))[:MOST_DEVICES]


def _cards(_read: Dict[str, Any]) -> List[str]:
    """Return the devices behind which there is hardware, or a hypervisor."""
    return sorted(path.split("/")[4] for path in glob.glob("/sys/class/net/*/device"))[:MOST_DEVICES]


TABLE = [
    Collector("nftables", ["nft", "-j", "list", "ruleset"], json=True, most=4 * MIB, needs=_nftables),
    Collector("nftables-text", ["nft", "-a", "-t", "list", "ruleset"], most=4 * MIB, needs=_nftables),
    Collector("iptables", ["iptables-save", "-c"], most=4 * MIB, needs=_iptables),
    Collector("ip6tables", ["ip6tables-save", "-c"], most=4 * MIB, needs=_iptables),
    Collector("rules", ["ip", "-j", "-d", "-4", "rule", "show"], json=True),
    Collector("rules6", ["ip", "-j", "-d", "-6", "rule", "show"], json=True),
    Collector("routes", ["ip", "-j", "-d", "-4", "route", "show", "table", "all"], json=True, most=4 * MIB),
    Collector("routes6", ["ip", "-j", "-d", "-6", "route", "show", "table", "all"], json=True, most=4 * MIB),
    Collector("cached-routes", ["ip", "-j", "-d", "-4", "route", "show", "table", "all", "cache"], json=True),
    Collector("cached-routes6", ["ip", "-j", "-d", "-6", "route", "show", "table", "all", "cache"], json=True),
    Collector("neighbours", ["ip", "-j", "-s", "neigh", "show"], json=True),
    Collector("addresses", ["ip", "-j", "addr", "show"], json=True),
    Collector("links", ["ip", "-j", "-d", "link", "show"], json=True, most=4 * MIB),
    Collector("qdiscs", ["tc", "-s", "-j", "qdisc", "show"], json=True),
    Collector("classes", ["tc", "-s", "class", "show", "dev", "{device}"], devices=_with_classes),
    Collector("filters-in", ["tc", "-s", "-j", "filter", "show", "dev", "{device}", "ingress"], json=True,
              devices=_with_filters),
    Collector("filters-out", ["tc", "-s", "-j", "filter", "show", "dev", "{device}", "egress"], json=True,
              devices=_with_filters),
    Collector("ports", ["bridge", "-j", "-d", "link", "show"], json=True, needs=_bridges),
    Collector("bridges", ["ip", "-j", "-d", "link", "show", "type", "bridge"], json=True, needs=_bridges),
    Collector("fdb", ["bridge", "-j", "-s", "fdb", "show"], json=True, needs=_bridges),
    Collector("vlans", ["bridge", "-j", "vlan", "show"], json=True, needs=_bridges),
    Collector("statistics", files="/proc/net/snmp"),
    Collector("statistics6", files="/proc/net/snmp6"),
    Collector("statistics-more", files="/proc/net/netstat"),
    Collector("conntrack", files="/proc/net/stat/nf_conntrack"),
    Collector("sockets", files="/proc/net/udp*"),
    Collector("listeners", ["ss", "-H", "-l", "-t", "-n"]),
    Collector("settings", files="/proc/sys/net/ipv4/conf/*/rp_filter"),
    Collector("settings-more", files="/proc/sys/net/netfilter/nf_conntrack_[cm][oa]*"),
    Collector("softnet", files="/proc/net/softnet_stat", everywhere=True),
    Collector("limits", files="/proc/sys/net/core/[rw]mem_*", everywhere=True),
    Collector("softirqs", files="/proc/softirqs", everywhere=True),
    Collector("interrupts", files="/proc/interrupts", most=4 * MIB, everywhere=True),
    Collector("pressure", files="/proc/pressure/*", everywhere=True),
    Collector("drivers", ["ethtool", "-S", "{device}"], devices=_cards, everywhere=True),
]


def paths(pattern: str) -> List[str]:
    """Return the files of a row, at most a thousand."""
    return sorted(glob.glob(pattern))[:1000]
