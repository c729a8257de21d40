# SPDX-License-Identifier: Apache-2.0
"""The merge from end to end: bundles in; the products of a run out."""
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any

from .bundle.find import Inputs
from .bundle.labels import labels_of
from .bundle.manifest import Bundle
from .clock.align import align
from .clock.host import HostClock, host_clock
from .errors import BundleError, MergeError
from .excerpt.marks import Marks
from .executors import processes
from .findings import topology
from .findings.hosts import Host, counting, gather, trust_of
from .findings.names import Names
from .findings.seen import Witnesses, seen
from .journey.atlas import make_atlas
from .journey.prepare import link, prepare
from .memory import give_back
from .packet.places import places_of
from .packet.sample import sample_of
from .packet.survey import Survey
from .products import evidence, perfetto, report
from .products.excerpt import Cut
from .products.numbers import window_ns
from .products.page import chosen, series
from .products.page.document import page
from .products.pcapng import interfaces
from .products.queues import Queues
from .products.ranges import plan
from .products.store import Store
from .products.summary import Request, summarise
from .told import known_to, mapped
from .work import Workers, explore_all, join_journeys, mark_all, merge_ranges, survey_all

TIMELINE, EVENTS, JOURNEYS = "timeline.log", "events.parquet", "journeys.parquet"
SUMMARY, VERDICT, REPORT, CAPTURE = "summary.json", "verdict.txt", "report.html", "capture.pcapng"
TRACE, EVIDENCE = "journeys.perfetto-trace", "evidence.parquet"
PRODUCTS = (TIMELINE, EVENTS, JOURNEYS, SUMMARY, VERDICT, REPORT, CAPTURE, TRACE, EVIDENCE)
LATEST = "latest"


Usable = tuple[Bundle, Survey, HostClock]


def merge(request: Request, executor: Executor | None = None, count: int = 0) -> dict[str, Any]:
    """Merge; return the summary. MergeError, and nothing is left behind, if no bundle can be used.

    executor: who does the work, with `count` workers that see the run's directory; processes here if not given.
    """
    found = request.inputs
    made_here = [path for path in (found.output, os.path.dirname(found.output)) if not os.path.isdir(path)]
    try:
        for path in reversed(made_here):
            os.makedirs(path, mode=0o700)
        scratch = tempfile.mkdtemp(prefix=".merge-", dir=found.output)
    except OSError as error:
        raise MergeError("%s cannot be written to: %s" % (found.output, error.strerror)) from error
    try:
        with Workers(scratch, sum(bundle.records for bundle in found.bundles), executor, count) as workers:
            summary = _produce(request, _verify(found, workers, scratch), workers, scratch)
        for name in made(request):
            os.chmod(os.path.join(scratch, name), 0o600)
            os.replace(os.path.join(scratch, name), os.path.join(found.output, name))
        for name in set(PRODUCTS) - set(made(request)):    # of an earlier merge
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(found.output, name))
        if found.whole_run:
            _point_latest(found.output)
    except OSError as error:
        raise MergeError("the merge into %s failed: %s" % (found.output, error.strerror or error)) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        for path in made_here:
            with suppress(OSError):    # it holds something
                os.rmdir(path)
    return summary


def made(request: Request) -> tuple[str, ...]:
    """Return the names of the products that a merge makes."""
    unwanted = {name for name, wanted in ((CAPTURE, request.packets), (REPORT, request.report),
                                          (TRACE, request.trace)) if not wanted}
    return tuple(name for name in PRODUCTS if name not in unwanted)


def _verify(found: Inputs, workers: Workers, scratch: str) -> list[Usable]:
    """Read every bundle's records and give it a clock; a bundle that fails costs its own data only."""
    usable = []
    for bundle, survey in zip(found.bundles, survey_all(workers, found.bundles, scratch), strict=True):
        try:
            if not survey.index.checksum_ok and not bundle.truncated:
                raise BundleError("its records.bin does not have the checksum that its manifest says")
            usable.append((bundle, survey, host_clock(_of_one_boot(bundle, found.bundles))))
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


def _produce(request: Request, usable: Sequence[Usable], workers: Workers, scratch: str) -> dict[str, Any]:
    """Write all products into the scratch directory."""
    bundles, surveys = [bundle for bundle, _, _ in usable], [survey for _, survey, _ in usable]
    labels = labels_of(bundles)
    places = [places_of(bundle, names, survey.tables)
              for bundle, names, survey in zip(bundles, labels, surveys, strict=True)]
    counted = counting(bundles)
    entrances = topology.entrances(request.homes, bundles, labels)
    atlas = make_atlas(bundles, surveys, places, counted, entrances.values())
    for survey in surveys:
        survey.tables.keep_names()
    linked = link(workers, atlas, bundles, surveys, scratch)
    clocks = align(bundles, [clock for _, _, clock in usable], surveys, places, linked.names)
    for survey in surveys:
        os.unlink(survey.rows)    # chains and clocks were all that needed it
    hosts = gather(list(zip(bundles, [survey.index for survey in surveys], clocks, strict=True)),
                   request.inputs.broken, request.expected)
    trusts = trust_of(hosts)
    names = Names(atlas, labels)
    excerpt = _excerpt(request, workers, bundles, hosts, scratch)
    told = workers.tell("setting", prepare(workers, atlas, linked, bundles, clocks, trusts, scratch,
                                           topology.told(entrances, atlas), names.unwanted(), excerpt))
    renamed, atlas.flows = linked.names, mapped(known_to(told).words)
    del linked    # of millions of flows it is large
    give_back()
    findings = explore_all(workers, told)
    events = os.path.join(scratch, EVENTS)
    ranges = plan(bundles, [survey.index for survey in surveys], clocks)
    unjudged = merge_ranges(workers, bundles, clocks, labels, ranges, renamed, findings.pieces, scratch,
                            os.path.join(scratch, TIMELINE), events, os.path.join(scratch, CAPTURE),
                            interfaces(bundles, labels, places, surveys, clocks, counted, atlas)
                            if request.packets else None, excerpt)
    store = Store(events, scratch, counted, processes())
    try:
        queues = Queues(store, labels)
        summary = summarise(request, hosts, store, findings, names, trusts,
                            seen(labels, surveys, places, clocks, atlas.counts), Witnesses(labels, surveys),
                            sample_of(bundles), queues, Cut(excerpt.bounds, unjudged) if excerpt else None)
        along = series.axis(summary)
        fill = series.of_queues(queues, along) if request.report or request.trace else []
    finally:
        store.close()
    join_journeys(workers, findings.pieces, atlas, {host for host, trust in trusts.items() if trust.lossy}, scratch,
                  os.path.join(scratch, JOURNEYS))
    workers.end()
    evidence.write(os.path.join(scratch, EVIDENCE), hosts)
    with open(os.path.join(scratch, SUMMARY), "w", encoding="utf-8") as handle:
        json.dump(summary, handle, indent=1)
        handle.write("\n")
    with open(os.path.join(scratch, VERDICT), "w", encoding="utf-8") as handle:
        handle.write(report.text(summary))
    if request.report:
        with open(os.path.join(scratch, REPORT), "w", encoding="utf-8") as handle:
            handle.write(page(summary, os.path.join(scratch, JOURNEYS), events, fill))
    if request.trace:
        packets = chosen.choose(summary, os.path.join(scratch, JOURNEYS), None, perfetto.LOST, perfetto.EACH)
        with open(os.path.join(scratch, TRACE), "wb") as written:
            written.write(perfetto.trace(packets, summary, fill, along))
    return summary


def _excerpt(request: Request, workers: Workers, bundles: Sequence[Bundle], hosts: Sequence[Host],
             scratch: str) -> Marks | None:
    """Return which records fit what is asked for, None if that is the whole run."""
    if not request.excerpt:
        return None
    return mark_all(workers, bundles, request.excerpt, request.excerpt.bounds(window_ns(hosts)[0]), scratch)


def _point_latest(run: str) -> None:
    """Let `latest` beside the run point to it; a real file or directory of that name is left alone."""
    link = os.path.join(os.path.dirname(run), LATEST)
    if os.path.lexists(link) and not os.path.islink(link):
        return
    fresh = "%s.%d" % (link, os.getpid())
    os.symlink(os.path.basename(run), fresh)
    os.replace(fresh, link)
