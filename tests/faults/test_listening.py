# SPDX-License-Identifier: Apache-2.0
"""A service that does not accept its connections: the kernel drops what would open more, partly without a word."""
import contextlib
import subprocess
from collections.abc import Iterator

from faults.capture import Capture
from faults.scene import Scene
from faults.truth import snmp

PORT, LIMIT, TRIED = 4434, 1, 12
REFUSED = TRIED - LIMIT - 1          # a queue has room for one more than its limit
# An answer leaves every 75 ms: all SYNs are there before the second one has, and the last one leaves before SYNs are
# sent again.
SLOW_ANSWERS = ("tc qdisc add dev eth0 root tbf rate 8kbit burst 100 limit 10k", "tc qdisc del dev eth0 root")
LISTENS = """
import socket, sys
listener = socket.socket()
listener.bind((sys.argv[1], int(sys.argv[2])))
listener.listen(int(sys.argv[3]))
print("ready", flush=True)
sys.stdin.read()
"""
TRIES = """
import socket, sys
tried = []
for number in range(int(sys.argv[3])):
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex((sys.argv[1], int(sys.argv[2])))
    tried.append(one)
    print("tried", flush=True)
    sys.stdin.readline()
sys.stdin.read()
"""


class Service:
    """A service in vm-b that accepts nothing, and a client in vm-a."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.place = [scene.vm_b_address, PORT]

    @contextlib.contextmanager
    def run(self, place: str, script: str, *words: object) -> Iterator[subprocess.Popen]:
        process = self.scene.lab.netns(place).popen(["/usr/bin/python3", "-c", script, *self.place, *words],
                                                    stdin=subprocess.PIPE)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def overflows(self) -> int:
        return snmp(self.scene.vm_b, "TcpExt")["ListenOverflows"]

    def waiting(self) -> int:
        """How many connections wait to be accepted."""
        return int(self.scene.vm_b.run(["ss", "-Hltn", f"sport = :{PORT}"]).stdout.split()[1])


def try_(client: subprocess.Popen, count: int = 1) -> None:
    """Let the client try connections."""
    for _ in range(count):
        client.stdin.write("\n")
        client.stdin.flush()
        assert client.stdout.readline() == "tried\n"


def capture(run) -> Capture:
    return Capture(run, ["vm-b"], ["--protocol", "tcp", "--dst-port", PORT, "--both-directions", "--evidence"])


def test_syns_that_found_no_room(lab, run) -> None:
    scene = Scene(lab, capture(run))
    service = Service(scene)
    with service.run("vm-b", LISTENS, LIMIT) as listener:
        assert listener.stdout.readline() == "ready\n"
        before = service.overflows()
        with scene.window(), service.run("vm-a", TRIES, TRIED) as client:
            assert client.stdout.readline() == "tried\n"
            try_(client, LIMIT)
            scene.until(service.waiting, LIMIT + 1, "connections that wait")
            try_(client, REFUSED)
            # each is sent again after a second: so long the first ones had no answer
            scene.until(lambda: service.overflows() - before, 2 * REFUSED, "SYNs without room")
        rose = service.overflows() - before
        summary = scene.capture.merge()
    (entry,) = summary["unanswered"]
    assert (entry["kind"], entry["packets"]) == ("SYN", REFUSED)
    assert entry["queue"] == {"overflows": rose, "address": scene.vm_b_address, "port": PORT, "waiting": LIMIT + 1,
                              "limit": LIMIT}
    assert any(f"port {PORT} had no room for more connections" in sentence for sentence in summary["verdict"])
    assert [loss for loss in summary["losses"] if loss["kind"] == "drop"] == []


def test_connections_for_which_there_was_no_room_any_more(lab, run) -> None:
    """All SYNs come before the queue is full: they are answered, and the ACKs find no room."""
    scene = Scene(lab, capture(run))
    service = Service(scene)
    with service.run("vm-b", LISTENS, LIMIT) as listener:
        assert listener.stdout.readline() == "ready\n"
        before = service.overflows()
        with (scene.changed(scene.vm_b, *SLOW_ANSWERS), scene.window(),
              service.run("vm-a", TRIES.replace("    sys.stdin.readline()\n", ""), TRIED)):
            scene.until(lambda: service.overflows() - before, REFUSED, "ACKs without room")
        rose = service.overflows() - before
        summary = scene.capture.merge()
    drops = [loss for loss in summary["losses"] if loss["kind"] == "drop"]
    assert REFUSED <= sum(loss["packets"] for loss in drops) <= rose
    for loss in drops:
        assert loss["cause"]["certainty"] == "certain", loss
        (candidate,) = loss["cause"]["candidates"]
        assert (candidate["port"], candidate["limit"]) == (PORT, LIMIT)
        assert REFUSED <= candidate["rose"] <= rose    # the client's end is counted, too, when all has been read
    assert not any("nobody listens" in sentence for sentence in summary["verdict"])
