#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A fault to look at: clients on vm-a connect to a service on vm-b:443, and vm-b's guest stops polling for a moment.

Its hypervisor, hv-b, then drops what the ring of vnet0 cannot hold. Prints, as JSON, what the clients noticed and how
far vnet0's own drop counter went up.
"""
import argparse
import json
import os
import subprocess
import sys
import time

import namespaces
import plan
import state

ADDRESS, PORT = plan.hypervisors(2)[1].vm_address, 443
TRAFFIC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "traffic.py")


def traffic(vm: str, *words: object) -> subprocess.Popen:
    """Start traffic.py in a VM; returns when it says that it is ready."""
    argv = ["ip", "netns", "exec", vm, sys.executable, TRAFFIC] + [str(word) for word in words]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, universal_newlines=True)
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise namespaces.LabError("the traffic in the lab did not start")
    return process


def tx_dropped() -> int:
    """What vnet0 on hv-b has dropped so far."""
    (link,) = json.loads(namespaces.run(["ip", "-n", "hv-b", "-s", "-j", "link", "show", "dev", "vnet0"]))
    return link["stats64"]["tx"]["dropped"]


def result(process: subprocess.Popen) -> dict:
    """Wait for a traffic.py and return what it counted."""
    output = process.communicate()[0]
    if process.returncode:
        raise namespaces.LabError("the traffic in the lab failed")
    return json.loads(output)


def main() -> int:
    """Run the fault once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1, help="how long the guest stops polling")
    parser.add_argument("--rate", type=int, default=2500, help="new connections per second")
    options = parser.parse_args()
    before = tx_dropped()
    server = traffic("vm-b", "tcp-serve", ADDRESS, PORT)
    clients = traffic("vm-a", "tcp-clients", ADDRESS, PORT, "--rate", options.rate,
                      "--count", int(options.rate * (options.seconds + 1)))
    state.set_stopped("vm-b", True)
    time.sleep(options.seconds)
    state.set_stopped("vm-b", False)
    answer = result(clients)
    server.terminate()
    answer.update(served=result(server)["connections"], device="vnet0", tx_dropped=tx_dropped() - before)
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (namespaces.LabError, OSError) as failure:
        sys.exit("error: %s" % failure)
