# SPDX-License-Identifier: Apache-2.0
"""The merger: bundles of one run in, one timeline, tables, one summary and one verdict out.

Runs on the controller, on bundles alone: it never needs a host. Data goes one way, and each folder imports only those
before it:

    bundle/     find bundles, check their manifests, read their records
    packet/     headers, identity: one small row per record, by which a packet is recognised; places
    clock/      one host's clock, and one clock for all hosts, from the packets themselves
    journey/    follow each packet over places and hosts
    findings/   what the journeys show: losses with their grounds, flows, steps, hosts, devices, what drops mean
    products/   the files that a run ends in, one module for each
    runs/       two merged runs, side by side

excerpt/ narrows a merge to a part of its run; archive/ and pseudonyms/ make one file of a run, to send.

merge.py is the way from end to end on one page. work.py has its parts as tasks for an executor; executors.py and
cluster.py are who does them: processes of this machine, or a Dask cluster, over TLS with certificates of its run
(certificates.py). told.py is what all tasks know.
"""
from skbtrace import VERSION as TOOL_VERSION

__all__ = ["TOOL_VERSION"]
