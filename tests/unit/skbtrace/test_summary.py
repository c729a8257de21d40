# SPDX-License-Identifier: Apache-2.0
"""What a tracer saw, instead of lines."""
import json

from skbtrace.capture import record
from skbtrace.capture.spool import Budget
from skbtrace.capture.tracer import COUNTERS
from skbtrace.show import summary

ZERO = dict.fromkeys(COUNTERS, 0)
COUNTED = {"dev.rx": dict(ZERO, seen=12000, matched=10, lost=2), "skb.free": dict(ZERO, seen=7, matched=7, followed=3)}
ALL = dict(ZERO, seen=12007, matched=17, lost=2, followed=3)


def test_a_column_for_each_counter_that_says_something() -> None:
    assert summary.table(COUNTED, ALL) == (
        "point      seen  matched  followed  lost  shed\n"
        "dev.rx    12000       10         0     2     0\n"
        "skb.free      7        7         3     0     0\n"
        "all       12007       17         3     2     0\n")


def test_as_one_object() -> None:
    assert json.loads(summary.as_json(COUNTED, ALL)) == {"points": COUNTED, "all": ALL}


def test_limits_hold_though_nothing_is_shown() -> None:
    budget = Budget(3, None, record.STRIDE)
    silent = summary.Silent(budget, record.STRIDE)
    silent.take(bytes(5 * record.STRIDE))
    assert (budget.kept, budget.cut, len(budget.limits), silent.unshown()) == (3, 2, 1, 0)
