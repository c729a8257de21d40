# SPDX-License-Identifier: Apache-2.0
"""What honest hosts and files say looks like. What looks different is refused as a whole, before anything reads it.

A shape is a type, a tuple of types, a list of one shape, a dict of required keys to shapes, or Map(shape) for a dict
with any keys.
"""
from typing import Any, Dict  # noqa: F401 (in type comments)

NUMBER = (int, float)
TRACERS = ("drop_monitor", "datapath_tracing")
STATES = ("starting", "armed", "started", "finished", "failed", "killed")


class Map:
    """Any text to values of one shape."""

    def __init__(self, shape):
        self.shape = shape


INFO = {"facts": {"kernel": str, "btf": bool, "headers": bool, "cpus": int, "load": NUMBER, "free_bytes": int},
        "error": str, "runs": Map(str), "trial": dict}
TRIAL = {"bcc": str, "buffer": str, "btf": bool, "headers": bool, "attached": Map(str), "skipped": Map(str),
         "profiles": Map([str]), "devices": [{"name": str, "role": str}],
         "clock": {"synchronised": (bool, type(None)), "daemon": (str, type(None)),
                   "max_error_us": (int, float, type(None))}}
PLACE = {"mac": str, "device": str, "role": str, "here": bool, "bridge": str, "uplinks": [str], "vlan": int,
         "known_from": [str], "found_in": [str]}
MOST_PER_S = 10 ** 9  # more than any host sees
LOAD = {"records_per_s": int, "packets_per_s": int, "point": str}
ENDED = {"status": str, "why": str, "tracers": Map({"state": str, "why": str}), "bundle": dict}


def fits(value, shape):
    """Return whether a value has a shape."""
    if isinstance(shape, Map):
        return isinstance(value, dict) and all(fits(item, shape.shape) for item in value.values())
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(key in value and fits(value[key], part) for key, part in shape.items())
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    types = shape if isinstance(shape, tuple) else (shape,)
    return isinstance(value, types) and (not isinstance(value, bool) or bool in types)


def info_fits(answer):
    """Return whether this is an answer of skbfleet_info."""
    trial = answer.get("trial")
    return fits(answer, INFO) and (not trial or fits(trial, TRIAL) and fits(trial.get("absent", {}), dict))


def tracers_of(answer):
    """Return what an answer of skbfleet_capture says of the tracers that there are; anything else is left out."""
    tracers = answer.get("tracers")
    good = {}  # type: Dict[str, Any]
    for name in TRACERS:
        one = tracers.get(name, {}) if isinstance(tracers, dict) else {}
        if fits(one, {"state": str, "why": str}) and one["state"] in STATES:
            good[name] = {"state": one["state"], "why": one["why"], "window": window_of(one),
                          **{key: one[key] for key in ("records", "lost", "shed", "bytes") if fits(one.get(key), int)}}
    return good


def load_of(answer):
    """Return the load of the busiest tracer in an answer of skbfleet_capture, {} if none was measured."""
    tracers = answer.get("tracers")
    loads = [tracers[name].get("load") for name in TRACERS
             if isinstance(tracers, dict) and isinstance(tracers.get(name), dict)]
    good = [load for load in loads if fits(load, LOAD)
            and all(0 <= load[name] <= MOST_PER_S for name in ("records_per_s", "packets_per_s"))]
    return max(good, key=lambda load: load["records_per_s"], default={})


def window_of(one):
    """Return a tracer's window, whole numbers only."""
    window = one.get("window")
    return {key: value for key, value in window.items() if fits(value, int)} if isinstance(window, dict) else None
