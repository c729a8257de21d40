# SPDX-License-Identifier: Apache-2.0
"""The merger: bundles of one run in, one timeline, one table, one summary and one verdict out.

Runs on the controller, on bundles alone: it never needs a host. Data goes one way:

    inputs, bundle      find bundles, check their manifests
    survey              read each once: checksum, index of times, and one small row per record (identity)
    clock, fit, align   one clock for all hosts, from the packets themselves
    index, batch, lines, columns    merge ranges of time into timeline.log and events.parquet
    atlas, units, ways, outcomes, segments, journeys    follow each packet over places and hosts
    story, summary, verdict, meaning, report    summary.json and verdict.txt
    work                who does it: worker processes, each a part that fits into memory
"""
TOOL_VERSION = "0.1.0"
