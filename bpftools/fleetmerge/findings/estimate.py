# SPDX-License-Identifier: Apache-2.0
"""From what a sample shows to all packets.

Packets are taken in clusters, all of one or none: of TCP those of one block of bytes. So a number of packets is a sum
of cluster sizes, each in the sample with probability 1/N, and N times what was taken estimates it without bias. The
interval is that of Fay and Feuer (Statistics in Medicine 16, 1997) for weighted sums of Poisson counts: clusters in
place of weights, quantiles of the chi-squared distribution by Wilson and Hilferty's approximation.
"""
from typing import Any

# 98 % of a normal distribution lie within; so much is said of 95 %, because the sizes of clusters that were not taken
# are only known from those that were
_Z = 2.33


def estimate(taken: int, squares: int, largest: int, one_in: int) -> dict[str, int]:
    """Return {taken, about, low, high}: packets that were taken, about how many there are, between which bounds (95 %).

    squares: sum of the squares of the clusters' sizes; largest: cluster, 0 if not known.
    """
    if one_in == 1:
        return {"taken": taken, "about": taken, "low": taken, "high": taken}
    most = max(1, largest)
    low = _chi_squared(2 * taken * taken / squares, -_Z) * squares / (2 * taken) if taken else 0.0
    more = squares + most * most    # one more cluster, of the largest size, might have been taken
    high = _chi_squared(2 * (taken + most) ** 2 / more, _Z) * more / (2 * (taken + most))
    return {"taken": taken, "about": one_in * taken, "low": max(taken, int(one_in * low)),
            "high": int(one_in * high) + 1}


def _chi_squared(degrees: float, z: float) -> float:
    """Return the quantile of the chi-squared distribution that is at z in the normal one."""
    part = 2 / (9 * degrees)
    return degrees * max(0.0, 1 - part + z * part ** 0.5) ** 3


def words(known: dict[str, Any]) -> str:
    """Return `about 7400 (95 %: 6100 to 8900)`."""
    return "about %d (95 %%: %d to %d)" % (known["about"], known["low"], known["high"])
