# SPDX-License-Identifier: Apache-2.0
"""For each point of the table of points, traffic that passes it, and what its records must say.

scene.py    networks and traffic, by itself on any machine: standard library, root, iproute2, nftables
table.py    the points: which traffic passes them, where, and the truth about it
"""
