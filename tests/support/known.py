# SPDX-License-Identifier: Apache-2.0
"""Traffic of which is known to the packet what becomes of it."""
import json

from support.lab import Lab

SENT, PORT = 1000, 5001
DROPPED = 143  # every seventh, from the first on
DROP_SOME = """
table bridge known {
  chain forward {
    type filter hook forward priority 0
    udp dport 5001 numgen inc mod 7 0 counter drop
  }
}
"""


def dropped_by_rule(lab: Lab) -> int:
    """Packets that the rule itself counted."""
    listed = json.loads(lab.netns("hv-b").run(["nft", "-j", "list", "ruleset"]).stdout)["nftables"]
    (rule,) = [entry["rule"] for entry in listed if "rule" in entry]
    (counter,) = [word["counter"] for word in rule["expr"] if "counter" in word]
    return counter["packets"]


def send(lab: Lab) -> None:
    """1,000 datagrams and some pings from vm-a to vm-b; at the end the rule dropped its share, the rest arrived."""
    address = lab.address("vm-b")
    with lab.netns("hv-b").nft(DROP_SOME), \
            lab.netns("vm-b").serve("udp", address, PORT, count=SENT - DROPPED) as server:
        lab.netns("vm-a").send("udp", address, PORT, count=SENT, rate=20000)
        lab.netns("vm-a").run(["ping", "-q", "-c", "3", "-i", "0.01", address])
        server.process.wait(timeout=10)
        assert dropped_by_rule(lab) == DROPPED
