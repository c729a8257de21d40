# SPDX-License-Identifier: Apache-2.0
"""Configuration that was changed in one place only, or lags behind: the difference is named, on both of its sides."""
from faults import cached
from faults.capture import BOTH, Capture
from faults.kinds import tunnel
from faults.scene import Scene

COUNT, FEW = 60, 30
OPTIONS = ["--protocol", "udp", "--evidence"]


def test_a_network_that_was_changed_at_one_end_of_a_tunnel(lab, run) -> None:
    """hv-b's VXLAN device gets another VNI; hv-a's sends with the old one."""
    capture = Capture(run, ["hv-a", "hv-b"], OPTIONS, tracers=BOTH)
    scene = Scene(lab, capture)
    with tunnel(scene):
        for words in ("del vxlan0",
                      "add vxlan0 type vxlan id 43 dstport 4789 local 10.88.0.2 remote 10.88.0.1 dev eth0",
                      "set vxlan0 master br0 up"):
            lab.here().run(["ip", "-n", "hv-b", "link", *words.split()])
        with scene.window():
            before = scene.hv_b.counters("eth0")["rx_packets"]
            scene.send_anyhow(scene.vm_b_address, COUNT)
            scene.until(lambda: scene.hv_b.counters("eth0")["rx_packets"] - before, COUNT, "packets of the tunnel")
    summary = capture.merge()
    (network,) = summary["unknown_networks"]
    assert network["packets"] >= COUNT
    assert dict(network, packets=0) == {
        "host": "hv-b", "netns": "hv-b", "kind": "vxlan", "vni": 42, "packets": 0, "senders": ["10.88.0.1"],
        "ends": [{"device": "vxlan0", "vni": 43}]}
    assert any("came to hv-b in the VXLAN network 42, for which it has no device (vxlan0 has 43)" in sentence
               for sentence in summary["verdict"]), summary["verdict"]


def test_a_path_mtu_for_which_a_tunnel_sends_packets_back(lab, run) -> None:
    """They may not be fragmented: the tunnel answers in place of the path, and the kernel drops nothing."""
    capture = Capture(run, ["hv-a", "hv-b"], OPTIONS, tracers=BOTH)
    scene = Scene(lab, capture)
    with cached.small_path(scene, 1000, "unset"), scene.window():
        scene.talk()
        cached.arrive(scene, COUNT, whole=True)
        cached.arrive(scene, COUNT, whole=True, size=950 - 28)    # these fit
        scene.talk()
    summary = capture.merge()
    (route,) = summary["cached_routes"]
    assert 0 < route["seconds"] <= 600
    assert dict(route, seconds=0) == {
        "host": "hv-a", "netns": "hv-a", "tunnel": "vxlan0", "to": cached.THERE, "device": "eth0", "path_mtu": 1000,
        "device_mtu": 1500, "seconds": 0, "fits": 950, "packets": COUNT,
        "flows": [{"flow": f"192.168.32.10:40000 > {scene.vm_b_address}:5001 udp", "packets": COUNT}]}
    assert any(f"{COUNT} packets went into vxlan0 and did not leave it" in sentence for sentence in summary["verdict"])
    assert not any("left the hosts" in doubt for doubt in summary["doubts"]), summary["doubts"]


def test_a_path_mtu_to_which_a_tunnel_fragments(lab, run) -> None:
    """Nothing is lost by it, and nothing said."""
    capture = Capture(run, ["hv-a", "hv-b"], OPTIONS, tracers=BOTH)
    scene = Scene(lab, capture)
    with cached.small_path(scene, 1000, "unset"), scene.receiver(COUNT) as server, scene.window():
        scene.talk()
        cached.arrive(scene, COUNT, whole=False)
        assert server.wait()["distinct"] == COUNT
        scene.talk()
    summary = capture.merge()
    assert summary["cached_routes"] == []
    assert not any("cached route" in sentence for sentence in summary["verdict"])


def test_a_redirect_to_a_gateway_that_leads_nowhere(lab, run) -> None:
    """The wire takes the tunnel's packets, and forwards nothing."""
    capture = Capture(run, ["hv-a", "hv-b"], OPTIONS, tracers=BOTH)
    scene = Scene(lab, capture)
    with cached.redirected(scene), scene.window():
        cached.to_vm_a(scene)
        cached.arrive(scene, FEW, whole=False, size=64)
        cached.to_vm_a(scene)
    summary = capture.merge()
    (loss,) = [loss for loss in summary["losses"] if ":5001 " in loss["flow"]]    # not a question for an address
    (candidate,) = loss["cause"]["candidates"]
    assert (loss["packets"], loss["cause"]["certainty"]) == (FEW, "likely")
    assert (candidate["kind"], candidate["to"], candidate["gateway"]) == ("cached-route", cached.BEHIND, cached.ROUTER)
    assert any("and the route itself leads to 10.88.0.2" in sentence for sentence in summary["verdict"])
