# SPDX-License-Identifier: Apache-2.0
"""Drops by netfilter: a rule or a policy of nftables or iptables, or conntrack."""
from ...bundle.evidence import Reading
from . import iptables, nftables
from .drop import Candidate, Drop
from .hooks import Hook, hook_of

_LIMIT = "/proc/sys/net/netfilter/nf_conntrack_max"


def find(drop: Drop, reading: Reading, _host: Reading) -> list[Candidate] | None:
    """Return what may have dropped these packets; None if netfilter did not, or its rules were not read."""
    hook = hook_of(drop)
    if hook is None:
        return None
    if not {"nftables", "iptables", "ip6tables"}.intersection(reading.after):
        return None
    of_iptables = iptables.candidates(drop, hook, reading)
    listed = iptables.chains_of(reading)
    out: list[Candidate] = []
    if hook.engine in ("", "nftables"):
        out = [one for one in nftables.candidates(drop, hook, reading) if _chain(one) not in listed]
    if hook.engine == "nftables":    # which may keep iptables' rules, too
        kept = nftables.chains_of(reading)
        of_iptables = [one for one in of_iptables if _chain(one) in kept]
    out += of_iptables
    for one in out:
        one.alone = bool(hook.engine)
    if not hook.engine:
        out += _conntrack(hook, reading)
    return out


def _chain(candidate: Candidate) -> tuple[str, str, str]:
    where = candidate.where
    return where["family"], where["table"], where["chain"]


def _conntrack(hook: Hook, reading: Reading) -> list[Candidate]:
    """Return conntrack, if it had no room for new connections."""
    if hook.layer != "ip" or hook.name not in ("prerouting", "output"):
        return []
    rose = _column(reading, "after", "drop") - _column(reading, "before", "drop")
    if rose <= 0:
        return []
    limit = "".join(reading.by_key("settings-more").get(_LIMIT, [])) or "?"
    return [Candidate("conntrack", "connection tracking, whose table is full (net.netfilter.nf_conntrack_max is %s)"
                      % limit, {"setting": "net.netfilter.nf_conntrack_max", "value": limit}, rose,
                      "the drop counter of /proc/net/stat/nf_conntrack")]


def _column(reading: Reading, when: str, name: str) -> int:
    """Return the sum over the CPUs of a column of conntrack's statistics."""
    lines = reading.by_key("conntrack", when).get("/proc/net/stat/nf_conntrack", [])
    if not lines or not all(isinstance(line, str) for line in lines):
        return 0
    names = lines[0].split()
    try:
        return sum(int(line.split()[names.index(name)], 16) for line in lines[1:])
    except (ValueError, IndexError):
        return 0
