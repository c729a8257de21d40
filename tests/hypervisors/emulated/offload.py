# SPDX-License-Identifier: Apache-2.0
"""Two hosts in one machine, joined by adapters that keep a queue of the kernel's in their own memory: modules/hwnic.c.

    namespace a (hv-a), hw0 192.168.32.10, its root qdisc offloaded == hw1 192.168.32.20, namespace b (hv-b)

The machine compiles them: no kernel of a distribution has a device that takes a qdisc, and that a machine can have.
"""

import json
from pathlib import Path
from typing import Any

from . import images
from .machine import Machine

FORM = "modules"
# added here, and not where the other forms are: what is said there decides whether all images are built anew
images.FORMS[FORM] = [*images.FORMS["headers"], "make"]

A, B = "192.168.32.10", "192.168.32.20"
FRAME, ROOM = 1000, 10    # bytes of a frame; frames that the adapter has room for
QDISC = {"qdisc": "red", "handle": "7:", "device": "hw0"}
_SOURCES, _THERE = Path(__file__).with_name("modules"), "/opt/modules"
_PAIR = f"""set -e
make -C /lib/modules/$(uname -r)/build M={_THERE} modules
insmod {_THERE}/hwnic.ko
for name in a b; do
  ip netns add $name
  ip netns exec $name sysctl -qw net.ipv6.conf.default.disable_ipv6=1
done
ip link set hw0 address 52:54:00:32:00:01 netns a
ip link set hw1 address 52:54:00:32:00:02 netns b
ip -n a addr add {A}/24 dev hw0
ip -n b addr add {B}/24 dev hw1
ip -n a link set hw0 up
ip -n b link set hw1 up
ip -n a neigh add {B} lladdr 52:54:00:32:00:02 dev hw0
ip -n b neigh add {A} lladdr 52:54:00:32:00:01 dev hw1
tc -n a qdisc add dev hw0 root handle 7: red limit {FRAME * ROOM} min 1500 max 4500 avpkt 1000 burst 3
"""
# Those that the adapter has no room for, while nothing leaves it, are between others; what arrives is answered.
_SENDING = """
import socket, sys
sys.path.insert(0, "/opt")
from workload import in_namespace
size, room, more, others = map(int, sys.argv[1:])
ends = [in_namespace(name, socket.SOCK_DGRAM) for name in ("a", "b")]
for end, port in zip(ends, (4000, 5000)):
    end.bind(("", port))
    end.settimeout(60)
sender, receiver = ends
numbers = iter(range(10 ** 6))
def pause(is_so):
    with open("/sys/module/hwnic/parameters/paused", "w") as handle:
        handle.write("01"[is_so])
def send(count):
    for _ in range(count):
        sender.sendto(b"%08d" % next(numbers) + bytes(size - 8), ("192.168.32.20", 5000))
def answer(count):
    for _ in range(count):
        receiver.sendto(*receiver.recvfrom(2000))
        sender.recv(2000)
send(others)
answer(others)
pause(True)
send(room + more)
pause(False)
answer(room)
send(others)
answer(others)
"""


def set_up(machine: Machine) -> None:
    """Compile the adapters in a machine that has the workload, and join two hosts by them."""
    machine.push(_SOURCES, _THERE)
    machine.run(_PAIR, timeout=600)
    machine.run("cat > /opt/sending.py", data=_SENDING.encode())


def send(machine: Machine, more: int, others: int) -> None:
    """Send so many datagrams more than the adapter has room for, between others that arrive; all that is not dropped
    has arrived then, and was answered."""
    machine.run(f"python3 /opt/sending.py {FRAME - 42} {ROOM} {more} {others}")


def counted(machine: Machine) -> dict[str, Any]:
    """Return what tc says of the adapter's queue."""
    (row,) = json.loads(machine.run("tc -n a -s -j qdisc show dev hw0").stdout)
    return dict(row)
