# SPDX-License-Identifier: Apache-2.0
"""Drops that are provoked one by one: each is recorded with its reason, as often as it happened, and explained."""
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from provoked import ip, ipv6, link, sockets, tcp, tunnels  # noqa: F401  they fill the list
from provoked.cases import CASES, Me
from provoked.pair import NAMES, pair
from support.lab import Lab
from support.tracers import tracing

from fleetmerge.findings.meaning import dictionary, meaning
from skbtrace.kernel import lookup, reasons

HERE = set(reasons.read(lookup.read_types(reasons.ENUMS)).values())


@pytest.fixture(scope="module")
def provoked() -> Iterator[SimpleNamespace]:
    """All cases, one after the other, under the eyes of one drop monitor in `b`, and of one for what has no device."""
    expected, failed, here = {}, {}, Lab().here()
    with pair() as both, tracing(here, "drop_monitor", "--netns", NAMES[1]) as monitor, \
            tracing(here, "drop_monitor", "--src", "10.77.1.0/24") as loose:
        for number, one in enumerate(CASES, 1):
            try:
                lost = one.provoke(both, Me(number))
                expected[number] = 1 if lost is None else lost
            except (AssertionError, OSError) as error:
                failed[number] = repr(error)
        records = monitor.stop() + [record for record in loose.stop() if record["netns"] == "0"]
    for log in (monitor.log, loose.log):
        assert ", lost 0" in log[-1] and "shed" not in log[-1] and "not shown" not in log[-1], log
    yield SimpleNamespace(records=records, expected=expected, failed=failed)


@pytest.mark.parametrize("number", range(1, len(CASES) + 1), ids=[one.name for one in CASES])
def test_a_drop_has_its_reason(provoked: SimpleNamespace, number: int) -> None:
    one, me = CASES[number - 1], Me(number)
    if one.reason not in HERE:
        pytest.skip("this kernel has no reason %s" % one.reason)
    assert number not in provoked.failed, provoked.failed[number]
    found = [record for record in provoked.records if me.lost(record)]
    seen = [(record["reason"], record["at"]) for record in found]
    assert [reason for reason, _at in seen].count(one.reason) == provoked.expected[number], seen
    at = next(place.split("+")[0] for reason, place in seen if reason == one.reason)
    rows = dictionary()
    of_reason = rows.functions[at] if one.reason == "NOT_SPECIFIED" else rows.reasons[one.reason]
    assert meaning(at, one.reason) == rows.both.get((at, one.reason), of_reason)


def test_how_many_reasons_were_provoked() -> None:
    assert len(HERE & {one.reason for one in CASES} - {"NOT_SPECIFIED"}) >= 40
