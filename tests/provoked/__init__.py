# SPDX-License-Identifier: Apache-2.0
"""Drops that are provoked one by one, each for a reason that is known beforehand.

pair.py     two hosts on one wire, and sockets in them
packets.py  packets with right checksums, and with wrong ones
peer.py     a TCP that does what it is told
cases.py    the list of cases, which the other files add to: link.py, ip.py, ipv6.py, sockets.py, tcp.py, tunnels.py
"""
