# SPDX-License-Identifier: Apache-2.0
"""The merge from end to end: bundles in; timeline.log, events.parquet, summary.json and verdict.txt out."""
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import verdict
from .bundle import Bundle
from .clock import HostClock, host_clock
from .devices import device_table
from .errors import BundleError, MergeError
from .fleet import Expected, counting, gather
from .index import Index, plan
from .inputs import Inputs
from .losses import find_drops
from .store import Store
from .summary import summarise
from .work import index_all, merge_ranges, processes

TIMELINE, EVENTS, SUMMARY, VERDICT = "timeline.log", "events.parquet", "summary.json", "verdict.txt"
PRODUCTS = (TIMELINE, EVENTS, SUMMARY, VERDICT)
LATEST = "latest"


@dataclass
class Request:
    """What to merge and what is known about the run besides."""

    inputs: Inputs
    expected: Mapping[str, Expected] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)   # goes into the summary as it is: reproduce, …


def merge(request: Request) -> dict[str, Any]:
    """Merge; return the summary. MergeError, before anything is written, if no bundle can be used."""
    found = request.inputs
    usable = _verify(found)
    try:
        os.makedirs(found.output, mode=0o700, exist_ok=True)
        scratch = tempfile.mkdtemp(prefix=".merge-", dir=found.output)
    except OSError as error:
        raise MergeError("%s cannot be written to: %s" % (found.output, error.strerror)) from error
    try:
        summary = _produce(request, usable, scratch)
        for name in PRODUCTS:
            os.chmod(os.path.join(scratch, name), 0o600)
            os.replace(os.path.join(scratch, name), os.path.join(found.output, name))
        if found.whole_run:
            _point_latest(found.output)
    except OSError as error:
        raise MergeError("the merge into %s failed: %s" % (found.output, error.strerror or error)) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return summary


def _verify(found: Inputs) -> list[tuple[Bundle, Index, HostClock]]:
    """Check every bundle's records and give it a clock; a bundle that fails costs its own data only."""
    usable = []
    indexes = index_all(found.bundles)
    for bundle, index in zip(found.bundles, indexes, strict=True):
        try:
            if not index.checksum_ok and not bundle.problems:
                raise BundleError("its records.bin does not have the checksum that its manifest says")
            usable.append((bundle, index, host_clock(_of_one_boot(bundle, found.bundles))))
        except BundleError as error:
            found.broken.setdefault(bundle.host, []).append("the bundle %s cannot be used: %s"
                                                            % (bundle.directory, error))
    if not usable:
        raise MergeError(next(iter(found.broken.values()))[0])
    return usable


def _of_one_boot(bundle: Bundle, bundles: Sequence[Bundle]) -> list[Bundle]:
    """Return the bundles that share this one's monotonic clock."""
    boot = bundle.manifest["kernel"].get("boot_id")
    return [other for other in bundles if other is bundle or (
        boot and other.host == bundle.host and other.manifest["kernel"].get("boot_id") == boot)]


def _produce(request: Request, usable: Sequence[tuple[Bundle, Index, HostClock]], scratch: str) -> dict[str, Any]:
    """Write all products into the scratch directory."""
    bundles, indexes = [bundle for bundle, _, _ in usable], [index for _, index, _ in usable]
    clocks = [clock for _, _, clock in usable]
    events = os.path.join(scratch, EVENTS)
    merge_ranges(bundles, clocks, plan(bundles, indexes, clocks), os.path.join(scratch, TIMELINE), events)
    hosts = gather(usable, request.inputs.broken, request.expected)
    store = Store(events, scratch, counting(hosts), processes())
    try:
        drops = find_drops(store)
        devices = device_table(hosts)
        summary = summarise(request.inputs.run_id, hosts, store, drops, devices, request.facts)
        summary["verdict"] = verdict.sentences(hosts, drops, devices, summary["records"])
        summary["doubts"] = verdict.doubts(hosts, request.inputs.foreign, request.facts)
    finally:
        store.close()
    with open(os.path.join(scratch, SUMMARY), "w", encoding="utf-8") as handle:
        json.dump(summary, handle, indent=1)
        handle.write("\n")
    with open(os.path.join(scratch, VERDICT), "w", encoding="utf-8") as handle:
        handle.write(verdict.text(summary, summary["doubts"]))
    return summary


def _point_latest(run: str) -> None:
    """Let `latest` beside the run point to it; a real file or directory of that name is left alone."""
    link = os.path.join(os.path.dirname(run), LATEST)
    if os.path.lexists(link) and not os.path.islink(link):
        return
    fresh = "%s.%d" % (link, os.getpid())
    os.symlink(os.path.basename(run), fresh)
    os.replace(fresh, link)
