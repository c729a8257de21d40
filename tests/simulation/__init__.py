# SPDX-License-Identifier: Apache-2.0
"""Random fleets, what truly happened in them, and whether the merger tells the truth about it.

Each seed makes hosts, VMs, wires, flows and faults; a discrete event simulation moves every packet and remembers every
copy, every place and every loss (the truth). Then tracers look at it, with all that limits them: clocks, windows,
points, lost records. Their bundles are merged, and the summary is held against the truth.
"""
