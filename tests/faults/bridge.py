# SPDX-License-Identifier: Apache-2.0
"""Faults of a bridge: ports that do not forward, addresses learnt where they are not, ports that go away.

A bridge refuses what was flooded to it for a VM that lives elsewhere, too. So the VMs talk before and after: that shows
where vm-b lives.
"""
from .scene import COUNT, Scene
from .truth import Loss, drop

VM_B_MAC = "52:54:00:32:00:14"


def _all_at_hv_b(scene: Scene, count: int = COUNT) -> None:
    """Send all; returns when all have arrived at hv-b."""
    before = scene.hv_b.counters("eth0")["rx_packets"]
    scene.send(count)
    scene.until(lambda: scene.hv_b.counters("eth0")["rx_packets"] - before, count, "datagrams at hv-b")


def _all_while(scene: Scene, do: str, undo: str) -> None:
    """Send all while a command's effect on hv-b lasts."""
    with scene.window():
        scene.talk()
        with scene.changed(scene.hv_b, do, undo):
            _all_at_hv_b(scene)
        scene.talk()


def way_out_blocked(scene: Scene) -> list[Loss]:
    """hv-b's port to the VM listens, but does not forward."""
    _all_while(scene, "bridge link set dev vnet0 state 1", "bridge link set dev vnet0 state 3")
    return [drop("hv-b", "eth0", "br_handle_frame_finish", "NOT_SPECIFIED", COUNT)]


def way_in_blocked(scene: Scene) -> list[Loss]:
    """hv-b's port to the wire listens, but does not forward."""
    _all_while(scene, "bridge link set dev eth0 state 1", "bridge link set dev eth0 state 3")
    return [drop("hv-b", "eth0", "br_handle_frame", "BRIDGE_INGRESS_STP_STATE", COUNT)]


def isolated(scene: Scene) -> list[Loss]:
    """Both ports of hv-b are isolated from each other."""
    ports = "bridge link set dev eth0 isolated {0}; bridge link set dev vnet0 isolated {0}"
    _all_while(scene, ports.format("on"), ports.format("off"))
    return [drop("hv-b", "eth0", "br_handle_frame_finish", "NOT_SPECIFIED", COUNT)]


def learnt_wrong(scene: Scene) -> list[Loss]:
    """hv-a believes that vm-b is behind the port that its datagrams come in from."""
    with scene.changed(scene.hv_a, f"bridge fdb replace {VM_B_MAC} dev vnet0 master static sticky",
                       f"bridge fdb del {VM_B_MAC} dev vnet0 master"), scene.window():
        before = scene.hv_a.counters("vnet0")["rx_packets"]
        scene.send()
        scene.until(lambda: scene.hv_a.counters("vnet0")["rx_packets"] - before, COUNT, "datagrams at hv-a")
        return [drop("hv-a", "vnet0", "br_handle_frame_finish", "NOT_SPECIFIED", COUNT)]


def link_down(scene: Scene) -> list[Loss]:
    """The VM's tap goes down on hv-b after half of the datagrams."""
    half = COUNT // 2
    with scene.receiver(half) as server, scene.window():
        scene.talk()
        scene.send(half)
        assert server.wait()["datagrams"] == half
        with scene.changed(scene.hv_b, "ip link set vnet0 down", "ip link set vnet0 up"):
            _all_at_hv_b(scene, half)
        scene.talk()
        return [drop("hv-b", "eth0", "br_handle_frame_finish", "NO_TX_TARGET", half)]


def tap_deleted(scene: Scene) -> list[Loss]:
    """The VM's tap is deleted on hv-b after half of the datagrams, and made anew at the end."""
    half = COUNT // 2
    try:
        with scene.receiver(half) as server, scene.window():
            scene.talk()
            scene.send(half)
            assert server.wait()["datagrams"] == half
            scene.hv_b.run(["ip", "link", "del", "vnet0"])
            _all_at_hv_b(scene, half)
            scene.lab.up()
            scene.lab.settle()
            scene.talk()
            return [drop("hv-b", "eth0", "br_handle_frame_finish", "NO_TX_TARGET", half)]
    finally:
        scene.lab.up()
        scene.lab.settle()
