# SPDX-License-Identifier: Apache-2.0
"""The profiles that the tracers know."""


def read_profiles(listing):
    """Return profile -> its points, the small profiles first, from what a tracer prints for --list-points."""
    words = [line.split() for line in listing.splitlines() if line.startswith("profile ")]
    return {line[1]: line[2:] for line in sorted(words, key=len)}


class FilterModule:
    """The filter."""

    def filters(self):
        """Return name -> function."""
        return {"skbfleet_profiles": read_profiles}
