# SPDX-License-Identifier: Apache-2.0
"""Drops at a tap whose ring was full: who was slow to take packets out of it, a process, its vhost thread, or the host.

A process without vhost reads the tap itself. With vhost the thread does, and the guest gives it room.
"""
from collections.abc import Sequence

from ...bundle.evidence import Reading
from ...bundle.looks import Holder
from .drop import Candidate, Drop
from .hooks import plain
from .watched import Seen, Stretch, seen, share, stretch

_FUNCTIONS = ("tun_net_xmit",)
_STARVED = 0.05        # share of the time for which a thread that had enough CPU does not wait
_STARVED_MOST = 0.5    # nor one that could have kept up
_BUSY = 0.8            # share for which a thread has a CPU that can hardly do more
_BUSY_MOST = 0.95
_ASLEEP = 0.2          # share below which a thread has little to do
_STOLEN, _MEMORY = 0.05, 0.1
_USUAL = "nothing unusual was read"
_UNSEEN = "who takes packets from it was not seen"
_BURST = "bursts that are longer than the ring look the same"


def find(drop: Drop, _reading: Reading, _host: Reading) -> list[Candidate] | None:
    """Return what may have kept packets in the ring; None if they were not dropped at a full one, or nobody looked."""
    # kernels before 5.17 give no reason
    full = drop.reason == "FULL_RING" or (drop.full and drop.reason in (None, "NOT_SPECIFIED"))
    if plain(drop.function) not in _FUNCTIONS or not full or drop.looks is None:
        return None
    around = stretch(drop)
    if around is None:
        return [_nobody(drop, "there were not two looks at the host while the window was open")]
    holders = [one for one in around.looks.holders if {drop.inode, 0} & one.taps.get(drop.device, set()) and one.tasks]
    if not holders:
        return [_nobody(drop, "no process has %s open%s" % (
            drop.device, "" if around.looks.complete else ", of those that could be looked into"))]
    doubt = _doubt(drop, holders, around)
    found = [one for holder in holders for one in _of_holder(holder, drop, around, doubt)]
    return found + _of_host(around)


def _nobody(drop: Drop, why: str) -> Candidate:
    return Candidate("reader", why, {"state": "unseen", "device": drop.device}, usual=_UNSEEN)


def _doubt(drop: Drop, holders: Sequence[Holder], around: Stretch) -> str:
    """Return what keeps a reading from being certain; empty if nothing does."""
    if len(holders) > 1:
        return "%d processes have %s open" % (len(holders), drop.device)
    if drop.inode not in holders[0].taps[drop.device]:
        return "in which network namespace its %s is was not to be found out" % drop.device
    if not around.whole:
        return "there was no look before the first of these drops, or none after the last"
    return ""


def _of_holder(holder: Holder, drop: Drop, around: Stretch, doubt: str) -> list[Candidate]:
    """Return what is unusual about a process and its vhost threads; if nothing is, what was read."""
    threads = [seen(holder, task, around) for task in holder.tasks]
    own = [one for one in threads if not one.task.vhost]
    carriers = [one for one in threads if one.task.vhost] or own
    stopped = [one for one in own if one.stopped]
    if stopped:
        worst = max(stopped, key=lambda one: one.stopped)
        still = worst.stopped == worst.looks and not sum(one.ran_ms for one in own)
        return [_candidate(drop, worst, "stopped", doubt or (
            "" if still else "from the look before these drops to that after them it was not stopped all the time"))]
    alone = len(threads) == 1
    out = []
    # what waits for a CPU most of the time does not wait for the guest to make room
    ready = all(one.waited >= _BUSY for one in carriers)
    for group in [carriers] + ([own] if own is not carriers and not ready else []):
        out += _starved(drop, group, alone, doubt) + _busy(drop, group, alone, doubt)
    return out or [_asleep(drop, carriers, around, doubt)]


def _starved(drop: Drop, threads: Sequence[Seen], alone: bool, doubt: str) -> list[Candidate]:
    worst = max(threads, key=lambda one: one.waited, default=None)
    if worst is None or worst.waited < _STARVED:
        return []
    clear = alone and worst.waited >= _STARVED_MOST and worst.waited + worst.ran >= _BUSY
    return [_candidate(drop, worst, "starved", doubt or ("" if clear else _BURST))]


def _busy(drop: Drop, threads: Sequence[Seen], alone: bool, doubt: str) -> list[Candidate]:
    worst = max(threads, key=lambda one: one.ran, default=None)
    if worst is None or worst.ran < _BUSY:
        return []
    clear = alone and worst.ran >= _BUSY_MOST
    return [_candidate(drop, worst, "busy", doubt or ("" if clear else _BURST))]


def _asleep(drop: Drop, carriers: Sequence[Seen], around: Stretch, doubt: str) -> Candidate:
    """Return that those who should have read slept, if they did so while packets were dropped for most of the time."""
    most = max(carriers, key=lambda one: one.ran_ms)
    still = all(one.ran_ms == 0 and one.states.get("R", 0) == 0 for one in carriers)
    if still or (most.ran < _ASLEEP and around.drops_s >= around.seconds / 2):
        state = "blocked" if most.states.get("D", 0) * 2 > most.looks else "asleep"
        return _candidate(drop, most, state, doubt or ("" if still else _BURST))
    usual = _candidate(drop, most, "usual", "")
    usual.read, usual.usual = False, _USUAL
    return usual


_MEANING = {"busy": ": it could not do more", "asleep": ", while packets lay in the ring",
            "blocked": ", while packets lay in the ring"}


def _candidate(drop: Drop, one: Seen, state: str, doubt: str) -> Candidate:
    words = "it " + one.words(waiting=state == "starved") + _MEANING.get(state, "")
    return Candidate("reader", "%s, which has %s open" % (one.name, drop.device),
                     {"state": state, "device": drop.device, **one.entry()}, by=words, read=not doubt, doubt=doubt)


def _of_host(around: Stretch) -> list[Candidate]:
    """Return what kept the whole host from its work."""
    out = []
    stolen = share(around, 1)
    if stolen >= _STOLEN:
        out.append(Candidate(
            "host", "whoever the host runs on", {"state": "stolen", "share": round(stolen, 3)},
            by="%.0f %% of the time of the host's CPUs was taken away (steal) in %.2f s" % (
                100 * stolen, around.seconds), doubt=_BURST))
    memory = around.gain(around.looks.memory_us) / 1e6
    if memory >= _MEMORY * around.seconds:
        out.append(Candidate(
            "host", "want of memory", {"state": "memory", "waited_ms": round(1000 * memory, 3)},
            by="tasks waited %.0f ms for it in %.2f s" % (1000 * memory, around.seconds), doubt=_BURST))
    return out
