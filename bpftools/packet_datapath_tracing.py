#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Datapath tracer: each matching packet's metadata at every device and at the points between."""
import _signal  # type: ignore[import-not-found]  # the module signal around it takes its time to import
import sys

_signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # until there is something to end orderly, Ctrl-C ends it plainly

from skbtrace.command import main  # noqa: E402

WHAT = "Follow packets through this host: their metadata at every device, and what changed since the point before."
EXAMPLES = """examples:
  every ping of one machine, at every device
    ./packet_datapath_tracing.py --src 192.168.32.10 --protocol icmp
  one TCP connection both ways, for ten seconds, into a log
    ./packet_datapath_tracing.py --src 192.168.32.10 --dst 192.168.32.20 --protocol tcp --dst-port 443 \\
        --both-directions --duration 10 > tcp-path.log 2>&1
  by an expression as tcpdump takes it
    ./packet_datapath_tracing.py --filter 'tcp port 443 and (host 10.0.0.1 or net 10.1.0.0/16)'
  with the queues that the packets meet
    ./packet_datapath_tracing.py --dst 192.168.32.20 --protocol udp --profile queues
  with two numbers of the kernel's structures, and who sends
    ./packet_datapath_tracing.py --dst 192.168.32.20 --field sk_buff.mark --field 'sk_buff.dev->mtu' --stack dev.tx
  one namespace, one device, the first hundred records
    ./packet_datapath_tracing.py --netns hv-a --interface vnet0 --max-records 100
"""

if __name__ == "__main__":
    sys.exit(main("datapath_tracing", WHAT, EXAMPLES, "nic", sys.argv[1:]))
