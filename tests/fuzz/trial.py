# SPDX-License-Identifier: Apache-2.0
"""Run a target on made-up values."""
import pathlib
import tempfile

from hypothesis import HealthCheck, Phase, given, seed, settings

from .targets import Target


def run(target: Target, number: int, examples: int) -> None:
    """Try so many values, and raise what does not hold of a small one; number: where the random numbers begin."""
    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, print_blob=False,
              suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink])
    @given(target.made_up)
    def hold(value: object) -> None:
        with tempfile.TemporaryDirectory() as place:
            target.hold(value, pathlib.Path(place))

    hold()
