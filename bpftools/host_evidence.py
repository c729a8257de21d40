#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What on this host can drop packets: rules, routes, queues and their counters, read once; or who takes packets from
queues, looked at again and again; or what Open vSwitch does. As JSON."""
import sys

from skbtrace.host.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
