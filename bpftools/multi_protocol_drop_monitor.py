#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Drop monitor: which matching packets this host's kernel freed as drops, where, why, with the call stack."""
import _signal  # type: ignore[import-not-found]  # the module signal around it takes its time to import
import sys

_signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # until there is something to end orderly, Ctrl-C ends it plainly

from skbtrace.command import main  # noqa: E402

WHAT = "Show which packets this host drops: where, in which function, for which reason, with the call stack."
EXAMPLES = """examples:
  every drop on this host, until Ctrl-C
    ./multi_protocol_drop_monitor.py
  one TCP service between two machines, into a log
    ./multi_protocol_drop_monitor.py --src 192.168.32.10 --dst 192.168.32.20 --protocol tcp --dst-port 443 \\
        > tcp-drop.log 2>&1
  everything between two machines, both ways, for a minute
    ./multi_protocol_drop_monitor.py --src 192.168.32.10 --dst 192.168.32.20 --both-directions --duration 60
  any IPv6 neighbour discovery or ping at one device, as JSON
    ./multi_protocol_drop_monitor.py --protocol icmpv6 --interface vnet0 --format json
"""

if __name__ == "__main__":
    sys.exit(main("drop_monitor", WHAT, EXAMPLES, "drop", sys.argv[1:]))
