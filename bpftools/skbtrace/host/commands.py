# SPDX-License-Identifier: Apache-2.0
"""What host_evidence.py does: a reading of the host, one of Open vSwitch, or looks at who takes packets from queues."""
import argparse
import json
import sys
from typing import List

from ..errors import InputError
from . import looks, netns, openvswitch, reading


def _say_ready() -> None:
    """Print what JSON may begin with."""
    sys.stdout.write("\n")
    sys.stdout.flush()


def main(arguments: List[str]) -> int:
    """Print a reading and return the exit status."""
    parser = argparse.ArgumentParser(description="Print what on this host can drop packets: rules, routes, queues, "
                                                 "ports and their counters, as JSON. Changes nothing.")
    parser.add_argument("--netns", action="append", default=[], metavar="NETNS",
                        help="of this network namespace: a name, a path, a pid, or self (the default); may be given "
                             "more than once")
    parser.add_argument("--seconds", type=float, default=reading.SECONDS, metavar="N",
                        help="what takes longer is left out (default %g)" % reading.SECONDS)
    parser.add_argument("--switch", action="store_true",
                        help="instead: Open vSwitch's ports, OpenFlow rules, meters and datapath flows")
    parser.add_argument("--flow", action="append", default=[], metavar="'DEVICE FLOW'",
                        help="with --switch: what the rules would do with a packet that comes in by this device, whose "
                             "headers are FLOW, as ovs-appctl ofproto/trace takes it without in_port; may be given up "
                             "to %d times" % openvswitch.MOST_FLOWS)
    parser.add_argument("--watch", action="store_true",
                        help="instead: look at who takes packets from taps and UDP sockets, from the first byte of "
                             "standard input to its end")
    options = parser.parse_args(arguments)
    try:
        places = [netns.path_of(name) for name in options.netns or ["self"]]
    except InputError as error:
        sys.stderr.write("error: %s\n" % error)
        return 2
    if options.switch:
        words = [flow.partition(" ") for flow in options.flow]
        content = openvswitch.read([{"device": device, "flow": flow} for device, _, flow in words], options.seconds)
    elif options.watch:
        content = looks.watch(places, sys.stdin.fileno(), _say_ready)
    else:
        content = reading.read_all(places, options.seconds)
    json.dump(content, sys.stdout, sort_keys=True)
    return 0
