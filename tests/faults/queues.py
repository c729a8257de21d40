# SPDX-License-Identifier: Apache-2.0
"""Faults of queues: a guest that does not poll, a qdisc that is over its limit."""
import json

from support.lab import wait_until

from .scene import COUNT, Scene
from .truth import Loss, drop


def guest_not_polling(scene: Scene) -> list[Loss]:
    """vm-b stops polling: the tap's ring fills."""
    host, count = scene.hv_b, 1500
    before, arrived = host.counters("vnet0")["tx_dropped"], host.counters("eth0")["rx_packets"]
    received = scene.vm_b.counters("eth0")["rx_packets"]
    with scene.receiver() as server, scene.window():
        with scene.lab.paused("vm-b"):
            scene.send(count)
            scene.until(lambda: host.counters("eth0")["rx_packets"] - arrived, count, "datagrams at hv-b")
            dropped = host.counters("vnet0")["tx_dropped"] - before
        scene.until(lambda: scene.vm_b.counters("eth0")["rx_packets"] - received, count - dropped, "the rest at vm-b")
        assert server.stop()["distinct"] == count - dropped
        assert dropped
        return [drop("hv-b", "vnet0", "tun_net_xmit", "FULL_RING", dropped)]


def shaper(scene: Scene) -> list[Loss]:
    """A token bucket on hv-a's NIC is smaller than the traffic."""
    with scene.changed(scene.hv_a, "tc qdisc add dev eth0 root tbf rate 2mbit burst 3k limit 20k",
                       "tc qdisc del dev eth0 root"), scene.receiver() as server, scene.window():
        before = scene.hv_b.counters("vnet0")["tx_packets"]
        scene.send()
        wait_until(lambda: _qdisc(scene)["qlen"] == 0 and _qdisc(scene)["packets"] + _qdisc(scene)["drops"] >= COUNT,
                   "the queue is empty", 20)
        dropped = _qdisc(scene)["drops"]
        scene.until(lambda: scene.hv_b.counters("vnet0")["tx_packets"] - before, COUNT - dropped, "the rest at hv-b")
        assert server.stop()["distinct"] == COUNT - dropped
        assert dropped
    for place in ("hv-a", "hv-b"):
        scene.capture.require(place, "dev.tx", COUNT - dropped)
    return [drop("hv-a", "eth0", "__dev_queue_xmit", "QDISC_DROP", dropped)]


def _qdisc(scene: Scene) -> dict:
    return json.loads(scene.hv_a.run(["tc", "-s", "-j", "qdisc", "show", "dev", "eth0"]).stdout)[0]
