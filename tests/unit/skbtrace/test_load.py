# SPDX-License-Identifier: Apache-2.0
"""How much would be recorded, from what was counted while the window was closed."""
import types

import pytest

from skbtrace.capture import load
from skbtrace.programs import points


class Tracer:
    """Counters that a test sets."""

    def __init__(self, **options: object) -> None:
        self.options = types.SimpleNamespace(**{"sample": 1, "sample_drops": False, **options})
        self.wanted = [points.BY_NAME[name] for name in ("dev.rx", "dev.tx", "skb.drop")]
        self.count = {point.name: 50 for point in self.wanted}  # from before the measurement

    def counters(self) -> dict:
        return {name: {"outside_window": count} for name, count in self.count.items()}


@pytest.mark.parametrize(("options", "records"), [
    ({}, 4 + 2 + 1),
    ({"sample": 2}, 2 + 1 + 1),                        # drops are all taken
    ({"sample": 2, "sample_drops": True}, 2 + 1 + 0),  # half of one is rounded to even
])
def test_what_is_let_through_while_the_window_is_closed(monkeypatch, options, records):
    now = iter([100.0, 101.9, 102.0])
    monkeypatch.setattr(load.time, "monotonic", lambda: next(now))
    tracer = Tracer(**options)
    measure = load.Load(tracer, 2)
    tracer.count = {"dev.rx": 58, "dev.tx": 54, "skb.drop": 52}
    assert measure.measured() is None
    assert measure.measured() == {"seconds": 2.0, "point": "dev.rx", "packets_per_s": 4,
                                  "records_per_s": pytest.approx(records, abs=1)}
