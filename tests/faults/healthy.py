# SPDX-License-Identifier: Apache-2.0
"""No fault at all: whatever is found is wrong."""
import contextlib

from .scene import PORT, Scene
from .truth import Loss


def mixed(scene: Scene) -> list[Loss]:
    """Pings, datagrams both ways and a TCP transfer."""
    a, b = scene.lab.address("vm-a"), scene.vm_b_address
    with scene.receiver(500) as there, scene.vm_a.serve("udp", a, PORT, count=500) as back, \
            scene.vm_b.serve("tcp", b, PORT, count=1) as sink, scene.window():
        scene.vm_a.run(["ping", "-q", "-c", "20", "-i", "0.01", b])
        scene.send(500)
        scene.vm_b.send("udp", a, PORT, count=500, rate=10000)
        assert scene.vm_a.send("tcp", b, PORT, bytes=2_000_000)["received"] == 2_000_000
        assert (there.wait()["distinct"], back.wait()["distinct"], sink.wait()["bytes"]) == (500, 500, 2_000_000)
        wait_for_silence(scene)
    return []


def fast(scene: Scene, count: int = 20000, rate: float = 20000) -> list[Loss]:
    """20,000 datagrams a second."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(scene.receiver(count))
        stack.enter_context(scene.window())
        scene.send(count, rate=rate)
        assert server.wait()["distinct"] == count
    return []


def wait_for_silence(scene: Scene) -> None:
    """A TCP connection's last segments are on their way when its ends have closed: wait until vm-a's is gone."""
    scene.until(lambda: not scene.vm_a.run(["ss", "-Htn", "state", "fin-wait-1", "state", "fin-wait-2", "state",
                                            "last-ack", "state", "closing"]).stdout, True, "the connection's end")
