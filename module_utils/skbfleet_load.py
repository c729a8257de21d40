# SPDX-License-Identifier: Apache-2.0
"""Whether a run may begin, by what its hosts counted before the window opens."""

_NAMED = 5  # hosts in one sentence


def in_words(load):
    """Return what a host would record."""
    return "%d records a second (%d matching packets a second at its busiest point, %s)" % (
        load["records_per_s"], load["packets_per_s"], load["point"])


def refusal(host, loads, limits):
    """Return why the run ends for this host before its window opens, "" if it goes on.

    loads: host -> records_per_s, packets_per_s, point, of those that measured; limits: host -> the most records a
    second that may be made there, None if any load is accepted.
    """
    over = [name for name in sorted(loads) if limits.get(name) and loads[name]["records_per_s"] > limits[name]]
    if not over:
        return ""
    if host not in over:
        more = " and %d more" % (len(over) - _NAMED) if len(over) > _NAMED else ""
        return "the run was stopped before its window opened, for what would be recorded on %s%s" % (
            ", ".join(over[:_NAMED]), more)
    return ("the run was stopped before its window opened: %s would make %s, and capture_max_load is %d; narrow the "
            "filter, set capture_sample, or set capture_accept_load=true" % (
                host, in_words(loads[host]), limits[host]))


def busiest(loads):
    """Return the host that would record most, None if none has measured anything."""
    return max(sorted(loads), key=lambda name: loads[name]["records_per_s"], default=None)
