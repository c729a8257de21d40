# SPDX-License-Identifier: Apache-2.0
"""Configuration that was changed in one place only, or lags behind: the difference is named, on both of its sides."""
from faults.capture import BOTH, Capture
from faults.kinds import tunnel
from faults.scene import Scene

COUNT = 60


def test_a_network_that_was_changed_at_one_end_of_a_tunnel(lab, run) -> None:
    """hv-b's VXLAN device gets another VNI; hv-a's sends with the old one."""
    capture = Capture(run, ["hv-a", "hv-b"], ["--protocol", "udp", "--evidence"], tracers=BOTH)
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
