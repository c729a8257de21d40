# SPDX-License-Identifier: Apache-2.0
"""What passed instead, where nothing matched: the flows of a short sample without a filter that are nearest to it.

    {"packets", "flows_total", "flows": [flow, …], "why"}    `nearest` in the manifest; empty: no sample was to be taken

packets: in the sample; why: it could not be taken. A flow, nearest first, at most MOST_FLOWS of them, has the keys of
show/headers.py's packets that name it (`inner`: what a tunnel carries), `netns`, `device` and `point` where it was
seen, `packets`, `differs` (keys of programs/nearness.py's WEIGHTS) and `inside`: whether that is said of `inner`.

The sample is taken by a datapath tracer of its own, which ends by itself and with this process. Only headers are in it.
"""
import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from typing import Any, Dict, List, Tuple

from .. import foreign
from ..host import children
from ..programs import filters, nearness

DATAPATH = "datapath_tracing"
MOST_FLOWS = 20
POINTS = ("dev.rx", "dev.tx")
_PACKETS, _SECONDS = 256, 1
_PATIENCE_S = 15.0   # for compiling, too; capture_end_timeout, for which a controller waits, is twice that
_GRACE_S = 1.0       # for the sample's tracer to end orderly
_LOOK_S = 0.1        # between looks for a signal
_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "packet_datapath_tracing.py")
_KEYS = ("src", "dst", "protocol", "src_port", "dst_port", "operation", "vlan", "tunnel", "tunnel_id")


def take(tracer: Any) -> Dict[str, Any]:
    """Return the section of a finished tracer; without an occasion there is no sample, and the section is empty."""
    if not _is_wanted(tracer):
        return {}
    try:
        lines = _sample(tracer)
    except OSError as error:  # no memory, no more processes
        return {"why": str(error.strerror)}
    except _Failed as failed:
        return {"why": str(failed)}
    return choose(lines, tracer.chosen, _own_names(tracer.scope))


def _is_wanted(tracer: Any) -> bool:
    """Whether the window took its course and nothing matched; one tracer of a host samples, and does so once."""
    options, window = tracer.options, tracer.window
    return bool(options.tracer == DATAPATH and not options.no_nearest and filters.describe(tracer.chosen)
                and tracer.stopped_by == "window" and not tracer.interrupted and window.start_ns < window.end_ns
                and not tracer.totals()["matched"])


class _Failed(Exception):
    """There is no sample; says why."""


def _sample(tracer: Any) -> List[Dict[str, Any]]:
    """Return the packets of a sample as --format json shows them; raises _Failed or OSError."""
    options = tracer.options
    command = [sys.executable, _PROGRAM, "--no-nearest", "--format=json", "--duration=%d" % _SECONDS,
               "--max-records=%d" % _PACKETS, "--max-rate=%d" % _PACKETS, "--buffer-pages=64"]
    command += ["--point=" + point for point in POINTS]
    command += ["--run-id=" + options.run_id] if options.run_id else []  # which shares the limit of records as one
    # who names a namespace may have named the wrong one; who says self says how far this tracer may look
    command += ["--netns=self"] if options.netns == "self" else []
    command += ["--perf-buffer"] if options.perf_buffer else []
    child = children.start(command)
    try:
        output, errors = _wait(child, tracer)
    finally:
        _end(child)
    if child.returncode:
        said = errors.decode("utf-8", "replace").strip().splitlines() or ["it ended with status %d" % child.returncode]
        raise _Failed(foreign.from_system(said[-1][:500]))
    try:
        return [json.loads(line) for line in output.decode().splitlines()]
    except ValueError:  # cut off
        raise _Failed("it said what is no packet") from None


def _wait(child: Any, tracer: Any) -> Tuple[bytes, bytes]:
    """Return what the sample's tracer wrote; raises _Failed if it takes too long, or this one is to end."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            output, errors = child.communicate(timeout=_LOOK_S)
            return output, errors
        if tracer.interrupted:
            raise _Failed("the tracer was stopped")
        if time.monotonic() > until:
            raise _Failed("it took more than %g s" % _PATIENCE_S)


def _end(child: Any) -> None:
    """Let nothing of the sample go on; its programs go with their process."""
    if child.poll() is None:
        child.terminate()
        try:
            child.communicate(timeout=_GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()


def _own_names(scope: Any) -> List[str]:
    """Return what the namespace that the filter names may be called in the sample; empty: it names none."""
    return [] if scope.netns is None else [str(scope.netns), scope.names.get(scope.netns, "")]


def choose(lines: List[Dict[str, Any]], chosen: filters.Filter, namespaces: List[str]) -> Dict[str, Any]:
    """Return the section. lines: packets as --format json shows them; namespaces: names of the filter's, if any."""
    counts: Counter = Counter(json.dumps(_flow(shown), sort_keys=True) for shown in lines)
    found = []
    for text, packets in counts.items():
        flow = json.loads(text)
        near = nearness.of(flow, chosen, not namespaces or flow["netns"] in namespaces)
        flow.update(packets=packets, differs=near.differs, inside=near.inside)
        found.append((near.order(), -packets, text, flow))
    return {"packets": len(lines), "flows_total": len(found), "flows": [one[-1] for one in sorted(
        found, key=lambda one: one[:-1])[:MOST_FLOWS]], "why": ""}


def _flow(shown: Dict[str, Any]) -> Dict[str, Any]:
    packet = shown["packet"]
    flow = _named(packet)
    if "inner" in packet:
        flow["inner"] = _named(packet["inner"])
    return dict(flow, netns=shown["netns"], device=shown["device"], point=shown["point"])


def _named(packet: Dict[str, Any]) -> Dict[str, Any]:
    """Return of a packet what names its flow."""
    named = {name: packet[name] for name in _KEYS if name in packet}
    return named if "src" in named else dict(named, ethertype=packet["ethertype"])
