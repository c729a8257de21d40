# SPDX-License-Identifier: Apache-2.0
"""Which time a packet was sent, of those that look the same: where a key came to a host more than once."""
from dataclasses import dataclass

import numpy as np

from ..packet.identity import IS_OTHER, among, mix
from ..packet.places import FAR, NEAR
from .atlas import Layout
from .chains import INITIAL_HOPS
from .units import Units

_LATEST = 500e6      # ns: nothing comes later than this after it left the host where it began
_PROMPT = 10e6       # ns: or than this, where others that look the same were sent, too, and all others were as quick
STRAY = 1 << 20      # turns from here on are of packets whose beginning was not seen
NEAR_MISS = 2e6      # ns: packets that look the same and are closer than this may be taken for each other


def doubtful(key: np.ndarray, start: np.ndarray, leg: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return the units of keys that came to some host more than once, or so late that they were sent again. start:
    first unit of its key on its host."""
    first = np.append(True, key[1:] != key[:-1]) if len(key) else np.zeros(0, bool)
    begin = np.flatnonzero(first)
    since = time - np.minimum.reduceat(time, begin)[np.cumsum(first) - 1] if len(key) else time
    again = (leg > leg[start]) | (since > _LATEST)
    return np.flatnonzero(among(key, np.unique(key[again]))) if again.any() else np.zeros(0, "i8")


@dataclass
class _Legs:
    """Each time that one of the doubtful keys came to a host."""

    key: np.ndarray       # i8: number of the key
    place: np.ndarray     # i8: where it came in; of one that was not seen to come in, beyond all places
    host: np.ndarray
    time: np.ndarray
    left: np.ndarray      # i8: when it left the host last; if that was not seen, when it came
    witness: np.ndarray   # u8: its IP id, or the hash of what it carries; 0: it has none
    origin: np.ndarray    # bool: the packet began here
    dead: np.ndarray      # bool: it did not leave its host: what came to other ones was another
    marked: np.ndarray    # bool: by its numbers no other packet is the same
    guess: np.ndarray     # bool: it has data of which only that it looks the same shows that it is of the same packet


def turns(units: Units, many: np.ndarray, start: np.ndarray, leg: np.ndarray, guess: np.ndarray, layout: Layout,
           bounds: np.ndarray, slowest: np.ndarray, lossy: np.ndarray, time: np.ndarray, host: np.ndarray,
           place: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return (which time it was sent, from 0; whether that is unsure; whether it has twins; whether one that looks the
    same may have been sent unseen; whether one may be a double) of doubtful units. guess: see _comes_again."""
    code = start[many] * 65536 + np.minimum(leg[many], 65535)
    _, at, of = np.unique(code, return_index=True, return_inverse=True)
    at = many[at]
    keys, key = np.unique(units.key[at], return_inverse=True)
    arrives = layout.arrives[place[at]] > 0
    left = time[at].copy()
    out = _outlets(layout)[place[many]]
    np.maximum.at(left, of[out], time[many][out])
    gone, dropped = np.bincount(of, out) > 0, np.bincount(of, layout.drop[place[many]]) > 0
    legs = _Legs(key, np.where(arrives, place[at], place[at].astype("i8") + len(layout.arrives)), host[at], time[at],
                 left, _witness(units, at), np.zeros(len(at), bool), dropped & ~gone, units.marked[at],
                 # what is cut, or joined, has data of its own
                 (np.bincount(of, guess[many]) > 0) & (np.bincount(of, units.rows["unit"][units.row[many]]) == 0))
    hops = units.rows["ttl"][units.row[at]]
    near = layout.arrives[place[at]] == 1
    own = layout.vm[host[at]] & ~arrives     # of a VM that was traced as a host, it begins there
    began = np.zeros(len(keys), bool)
    began[key[own]] = True
    sends = own | (near & ((hops == 0) | np.isin(hops, INITIAL_HOPS)) & ~began[key])
    legs.origin = _origins(legs, len(keys), sends, near, hops)
    same = _at_once(legs)
    legs.origin &= ~(same & legs.marked & ~sends)     # doubled before anybody saw it
    perhaps = same & legs.origin & ~sends & (layout.arrives[place[at]] == FAR)
    legs.origin |= _began_unseen(legs, len(keys), arrives)
    legs.dead |= _stayed(legs, gone, lossy)
    turn, unsure, twins, open_ = _sent(legs, len(keys), bounds, slowest)
    unsure |= _perhaps_another(legs, len(keys), arrives, hops)
    double = (np.bincount(key, perhaps, len(keys)) > 0)[key]
    return tuple(column[of] for column in (turn, unsure, twins, open_, double))


def _perhaps_another(legs: _Legs, keys: int, arrives: np.ndarray, hops: np.ndarray) -> np.ndarray:
    """Return the legs of keys that came to one host more than once with as many hops left, at least once without being
    seen to come in: that may be the same again, or another one."""
    code = mix(mix(legs.key.astype("u8"), legs.host.astype("u8")), hops.astype("u8"))
    _, of, count = np.unique(code, return_inverse=True, return_counts=True)
    unseen = np.bincount(of, ~arrives) > 0
    return np.bincount(legs.key, ((count > 1) & unseen)[of], keys)[legs.key] > 0


def _witness(units: Units, at: np.ndarray) -> np.ndarray:
    """Return the IP id of some units, or the hash of what they carry; 0 of those that have neither of their own."""
    rows, row = units.rows, units.row[at]
    own = (rows["kind"][row] == IS_OTHER) & (rows["unit"][row] == 0)
    return np.where(units.ident[at] > 0, units.ident[at], np.where(own, rows["hash"][row], 0)).astype("u8")


def slowest_trips(units: Units, many: np.ndarray, start: np.ndarray, layout: Layout, time: np.ndarray, host: np.ndarray,
             place: np.ndarray) -> np.ndarray:
    """Return the longest time that a packet was on its way from one host to another, ns: f8[host, host], 0 where none
    was that cannot be taken for others. What came with another IP id may have been sent again unseen: it counts only
    where none came with its own. many: units of keys that came to some host more than once."""
    clear = units.marked.copy()
    clear[many] = False
    groups = np.flatnonzero(clear & (start == np.arange(len(units))))    # a key at a host
    left = np.full(len(units), -1, "i8")
    out = clear & layout.leaves[place]
    np.maximum.at(left, start[out], time[out])
    from_vm, far = groups[layout.arrives[place[groups]] == NEAR], groups[layout.arrives[place[groups]] == FAR]
    from_vm = from_vm[left[from_vm] >= 0]
    longest, own = (np.zeros((int(layout.host.max()) + 1,) * 2) for _ in range(2))
    at = np.searchsorted(units.key[from_vm], units.key[far])
    known = at < len(from_vm)
    known[known] = units.key[from_vm[at[known]]] == units.key[far[known]]
    one, two = from_vm[at[known]], far[known]
    took, same = time[two] - left[one], units.ident[one] == units.ident[two]
    np.maximum.at(longest, (host[one], host[two]), took)
    np.maximum.at(own, (host[one[same]], host[two[same]]), took[same])
    return np.where(own > 0, own, longest)


def _outlets(layout: Layout) -> np.ndarray:
    """Return the places at which packets have left their host: where a device took them that has none below it; on
    hosts that do not look at that, where they were on their way out."""
    out = layout.leaves & layout.final
    return np.where((np.bincount(layout.host, out) > 0)[layout.host], out, layout.leaves)


def _stayed(legs: _Legs, left: np.ndarray, lossy: np.ndarray) -> np.ndarray:
    """Return which legs began on a host and were not seen to leave it, where others of the same key were. lossy: bool
    by host, it did not record everything."""
    gate = mix(legs.key.astype("u8"), legs.place.astype("u8"))
    return legs.origin & ~left & ~lossy[legs.host] & among(gate, np.unique(gate[legs.origin & left]))


def _origins(legs: _Legs, keys: int, sends: np.ndarray, near: np.ndarray, hops: np.ndarray) -> np.ndarray:
    """Return which legs the key's packets began with: those that VMs sent; else those at the place where the first of
    them was seen, as hops tell for sure, and clocks where they do not. hops: that were left, 0: not known."""
    order = np.lexsort((legs.time, -hops.astype("i2"), ~near, legs.key))
    best = order[np.append(True, legs.key[order][1:] != legs.key[order][:-1])]
    place = np.empty(keys, "i8")
    place[legs.key[best]] = legs.place[best]
    sent = np.zeros(keys, bool)
    sent[legs.key[sends]] = True
    return np.where(sent[legs.key], sends, legs.place == place[legs.key])


def _began_unseen(legs: _Legs, keys: int, arrives: np.ndarray) -> np.ndarray:
    """Return which legs are the first of another packet on the host where the key's packets began: it was not seen to
    come in, and none that was has its witness."""
    known = np.unique(_code(legs)[legs.origin])
    told = np.bincount(legs.key, legs.origin & (legs.witness == 0), keys)[legs.key] == 0
    place = mix(legs.key.astype("u8"), legs.host.astype("u8"))
    some = np.flatnonzero(~legs.origin & ~arrives & (legs.witness > 0) & told & ~among(_code(legs), known)
                          & among(place, np.unique(place[legs.origin])))
    some = some[np.argsort(legs.time[some], kind="stable")]
    out = np.zeros(len(legs.key), bool)
    out[some[np.unique(mix(_code(legs)[some], legs.host[some].astype("u8")), return_index=True)[1]]] = True
    return out


def _code(legs: _Legs) -> np.ndarray:
    """Return keys of what has the same key and the same witness."""
    return mix(legs.key.astype("u8"), legs.witness)


def _at_once(legs: _Legs) -> np.ndarray:
    """Return which legs are the same as one just before, at the same place: one of them may be a double."""
    order = np.lexsort((legs.time, legs.witness, legs.place, legs.key))
    same = np.append(False, np.diff(legs.time[order]) < NEAR_MISS)
    for column in (legs.key, legs.place, legs.witness):
        same[1:] &= column[order][1:] == column[order][:-1]
    out = np.zeros(len(order), bool)
    out[order] = same
    return out


def _sent(legs: _Legs, keys: int, bounds: np.ndarray, slowest: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return (turn, unsure, twins, open) of each leg."""
    slack = np.minimum(_from_home(legs, keys, bounds), 1e15)
    prompt = np.clip(_from_home(legs, keys, slowest), _PROMPT, _LATEST)
    by_time, since = _by_time(legs, slack)
    told, sure, by_witness = _by_witness(legs, keys, np.bincount(legs.key, legs.origin, keys).astype("i8"))
    several = np.bincount(legs.key, _ranks(legs.key, legs.place, legs.time) > 0, keys)[legs.key] > 0
    stray = ~legs.origin & ((by_time < 0) | (since > np.where(several, prompt + slack, _LATEST))) & ~told[legs.key]
    by_time = np.where(sure & ~stray, by_witness, by_time)
    bursts = _bursts(legs, slack)
    # what was sent in one burst is counted through at each place; bursts are told apart by time
    burst = _at_turn(legs, bursts, by_time)
    same = mix(legs.key.astype("u8"), burst.astype("u8"))
    _, one = np.unique(same, return_inverse=True)
    number = int(one.max()) + 1
    count = np.bincount(one, legs.origin, number).astype("i8")
    clash = _twice(one, legs.place, by_time, ~stray)
    mixed = np.zeros(number, bool)
    mixed[one[clash]] = True
    rank = _ranks(one, legs.place, legs.time)
    live = np.bincount(one, legs.origin & ~legs.dead, number).astype("i8")
    uneven, more = _uneven(one, legs, count, live, ~stray)
    # where some are missing, the same ones are missing at all places behind
    mixed |= uneven & ~more & _from_one_place(legs, one, number)
    turn = np.where(mixed[one], _in_order(legs, one, burst, rank, count, live, by_time), by_time)
    turn = np.where(told[legs.key] | sure, by_witness, turn)
    guessed = np.bincount(one, legs.guess, number) > 0
    unsure = (count > 1) & (guessed | uneven) | (np.bincount(one, stray, number) > 0)
    turn = np.where(stray, STRAY + _ranks_of_strays(legs, stray, slack), turn)
    doubtful = ~told[legs.key] & ~stray
    several = doubtful & (count[one] > 1)
    open_ = several & _at_an_end(legs, bursts, burst, one, slack) | doubtful & _sent_unseen(legs, keys, slack)
    return turn, doubtful & (unsure[one] | open_ & ~several) | stray, several, open_


def _sent_unseen(legs: _Legs, keys: int, slack: np.ndarray) -> np.ndarray:
    """Return the legs of keys that some place, on a host whose clock tells too little, saw for longer than they were
    sent: others that look the same were sent unseen."""
    def spread(of: np.ndarray, number: int, which: np.ndarray) -> np.ndarray:
        low, high = np.full(number, np.inf), np.full(number, -np.inf)
        np.minimum.at(low, of[which], legs.time[which])
        np.maximum.at(high, of[which], legs.time[which])
        return np.maximum(high - low, 0)
    _, at = np.unique(mix(legs.key.astype("u8"), legs.place.astype("u8")), return_inverse=True)
    longer = spread(at, len(legs.key), ~legs.origin)[at] > spread(legs.key, keys, legs.origin)[legs.key] + _LATEST
    return np.bincount(legs.key, longer & ~legs.origin & (slack > _LATEST), keys)[legs.key] > 0


def _from_one_place(legs: _Legs, one: np.ndarray, number: int) -> np.ndarray:
    """Return which bursts began at one place. one: number of each leg's burst; number: how many there are."""
    first, last = np.full(number, np.iinfo("i8").max), np.full(number, -1)
    np.minimum.at(first, one[legs.origin], legs.place[legs.origin])
    np.maximum.at(last, one[legs.origin], legs.place[legs.origin])
    return first == last


def _at_an_end(legs: _Legs, bursts: tuple[np.ndarray, np.ndarray, np.ndarray], burst: np.ndarray, one: np.ndarray,
               slack: np.ndarray) -> np.ndarray:
    """Return which legs are of the first or the last burst of their key, where clocks differ by so much that one that
    was sent just outside its host's window may have come within another's. burst: its first turn; one: its number."""
    key, _, first = bursts
    last = first[np.searchsorted(key, legs.key, side="right") - 1]
    vague = np.bincount(one, slack > NEAR_MISS)[one] > 0
    return vague & ((burst == 0) | (burst == last))


def _in_order(legs: _Legs, one: np.ndarray, burst: np.ndarray, rank: np.ndarray, count: np.ndarray, live: np.ndarray,
              turn: np.ndarray) -> np.ndarray:
    """Return the turn of each leg if what was sent in one burst came to each place in order. one: number of the burst;
    burst: its first turn; count, live: legs that began it, and those of them that left their host."""
    out = burst + np.minimum(rank, np.maximum(count[one] - 1, 0))
    sent = np.flatnonzero(legs.origin & ~legs.dead)
    if not len(sent):
        return out
    sent = sent[np.lexsort((turn[sent], one[sent]))]
    starts = np.searchsorted(one[sent], one)
    which = np.minimum(starts + np.minimum(rank, np.maximum(live[one] - 1, 0)), len(sent) - 1)
    return np.where(legs.origin | (live[one] == 0), out, turn[sent][which])


def _from_home(legs: _Legs, keys: int, table: np.ndarray) -> np.ndarray:
    """Return what a table says about the host where the packets of each leg's key began, and the leg's; the most, if
    they began on several: their VM moved. table: [host, host]."""
    homes = np.unique(legs.key[legs.origin] * len(table) + legs.host[legs.origin])
    key, host = homes // len(table), homes % len(table)
    nth = np.arange(len(homes)) - np.searchsorted(key, key)
    out = np.zeros(len(legs.key))
    for turn in range(int(nth.max(initial=-1)) + 1):
        home = np.full(keys, -1, "i8")
        home[key[nth == turn]] = host[nth == turn]
        home = home[legs.key]
        out = np.maximum(out, np.where(home >= 0, table[home, legs.host], 0.0))
    return out


def _bursts(legs: _Legs, slack: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (key, turn, turn of the first of its burst) of what was sent, sorted by key and turn: packets that look
    the same, sent so shortly after each other that an arrival may be of either."""
    widest = np.zeros(int(legs.key.max()) + 1)
    np.maximum.at(widest, legs.key, slack)
    sent = np.flatnonzero(legs.origin)
    order = sent[np.lexsort((legs.time[sent], legs.key[sent]))]
    key = legs.key[order]
    new = np.append(True, key[1:] != key[:-1])
    start = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    gap = np.append(0, np.diff(legs.time[order]))
    fresh = new | (gap > 2 * widest[key] + NEAR_MISS)
    turn = np.arange(len(order)) - start
    return key, turn, turn[np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))]


def _at_turn(legs: _Legs, bursts: tuple[np.ndarray, np.ndarray, np.ndarray], turn: np.ndarray) -> np.ndarray:
    """Return the first turn of the burst that each leg's turn is in."""
    key, _, first = bursts
    starts = np.searchsorted(key, legs.key)
    return first[np.minimum(starts + np.maximum(turn, 0), len(first) - 1)]


def _ranks_of_strays(legs: _Legs, stray: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """Number the packets whose beginning was not seen: those of one key that were seen at about the same time, at
    different places."""
    out = np.zeros(len(stray), "i8")
    some = np.flatnonzero(stray)
    order = some[np.lexsort((legs.time[some], legs.key[some]))]
    if len(order):
        gap = np.append(0, np.diff(legs.time[order]))
        new = np.append(True, legs.key[order][1:] != legs.key[order][:-1])
        group = np.cumsum(new | (gap > 2 * slack[order] + NEAR_MISS))
        out[order] = group * len(order) + _ranks(group, legs.place[order], legs.time[order])
    return out


def _by_time(legs: _Legs, slack: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take each leg for the last packet that had been sent by then, as far as the clocks can tell; return (its turn, -1
    if none had been sent; for how long that had been on its way to other hosts, ns)."""
    when = legs.time + np.where(legs.origin, 0, slack).astype("i8")
    order = np.lexsort((~legs.origin, when, legs.key))
    origin = legs.origin[order]
    seen = np.cumsum(origin)
    new = np.append(True, legs.key[order][1:] != legs.key[order][:-1])
    rows = np.arange(len(order))
    start = np.maximum.accumulate(np.where(new, rows, 0))
    nth = seen - (seen - origin)[start] - 1
    latest = np.maximum.accumulate(np.where(origin, rows, 0))
    left = np.maximum.accumulate(np.where(origin & ~legs.dead[order], rows, 0))
    latest = np.where(origin | (left < start) | ~origin[left], latest, left)
    turn, since = np.empty(len(order), "i8"), np.empty(len(order), "i8")
    turn[order] = np.where(nth < 0, nth, nth[latest])
    late = slack[order].astype("i8")
    gone = legs.left[order][latest]
    since[order] = legs.time[order] - late - np.where(gone <= legs.time[order] + late, gone, legs.time[order][latest])
    return turn, since


def _ranks(key: np.ndarray, place: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return how many legs of the same key came to the same place before."""
    order = np.lexsort((time, place, key))
    new = np.append(True, (key[order][1:] != key[order][:-1]) | (place[order][1:] != place[order][:-1]))
    out = np.empty(len(order), "i8")
    out[order] = np.arange(len(order)) - np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    return out


def _twice(key: np.ndarray, place: np.ndarray, turn: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Return which of some legs share key, place and turn with one before."""
    order = np.lexsort((turn, place, key, ~which))
    same = np.append(False, (key[order][1:] == key[order][:-1]) & (place[order][1:] == place[order][:-1])
                     & (turn[order][1:] == turn[order][:-1]))
    out = np.zeros(len(order), bool)
    out[order] = same & which[order]
    return out


def _by_witness(legs: _Legs, keys: int, count: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (keys whose packets their witnesses tell apart; legs whose witness only one packet of the key was sent
    with; the turn of each leg)."""
    code = _code(legs)
    sent = np.flatnonzero(legs.origin)
    if not len(sent):
        return np.zeros(keys, bool), np.zeros(len(code), bool), np.zeros(len(code), "i8")
    order = sent[np.lexsort((legs.time[sent], legs.key[sent]))]
    new = np.append(True, legs.key[order][1:] != legs.key[order][:-1])
    rank = np.arange(len(order)) - np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    codes, first, often = np.unique(code[order], return_index=True, return_counts=True)
    different = np.bincount(legs.key[order[first]], minlength=keys)
    at = np.minimum(np.searchsorted(codes, code), len(codes) - 1)
    known = (codes[at] == code) & (legs.witness > 0)
    told = (different == count) & (np.bincount(legs.key, ~known, keys) == 0)
    return told, known & (often[at] == 1), np.where(known, rank[first][at], 0)


def _uneven(key: np.ndarray, legs: _Legs, count: np.ndarray, live: np.ndarray,
            which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (the keys that some place did not see as often as they were sent, or left the host where they began; those
    that some place saw more often)."""
    place = legs.place
    order = np.flatnonzero(which)
    order = order[np.lexsort((~legs.origin[order], place[order], key[order]))]
    new = np.append(True, (key[order][1:] != key[order][:-1]) | (place[order][1:] != place[order][:-1]))
    starts = np.flatnonzero(new)
    expected = np.where(legs.origin[order[starts]], count[key[order[starts]]], live[key[order[starts]]])
    seen = np.diff(np.append(starts, len(order)))
    uneven, more = (np.zeros(len(count), bool) for _ in range(2))
    uneven[key[order[starts]][seen != expected]] = True
    more[key[order[starts]][seen > expected]] = True
    return uneven, more
