# SPDX-License-Identifier: Apache-2.0
"""TCP at full speed, GSO packets and all, on a wire that loses one packet in a hundred."""
import json

from faults.capture import Capture
from faults.healthy import wait_for_silence
from faults.scene import Scene
from faults.table import HYPERVISORS
from faults.truth import dropped, losses, snmp, unknown
from faults.wire import A_TO_B

PORT = 4433
LOSSY = f"""
table bridge known {{
  chain known {{
    type filter hook forward priority 0
    tcp dport {PORT} ip length > 100 numgen random mod 100 0 counter drop
  }}
}}
"""


def lost_bytes(scene: Scene) -> int:
    """Bytes, headers included, that the rule on the wire has counted."""
    listed = json.loads(scene.wire.run(["nft", "-j", "list", "ruleset"]).stdout)["nftables"]
    return sum(word["counter"]["bytes"] for entry in listed if "rule" in entry for word in entry["rule"]["expr"]
               if isinstance(word, dict) and word.get("counter"))


def test_lost_bytes_and_retransmissions(lab, run, request) -> None:
    size = request.config.getoption("--tcp-bytes")
    capture = Capture(run, HYPERVISORS, ["--protocol", "tcp", "--dst-port", PORT, "--both-directions"])
    scene = Scene(lab, capture)
    ring = dropped(lab, "hv-b", "vnet0")
    with scene.wire.nft(LOSSY), scene.vm_b.serve("tcp", scene.vm_b_address, PORT, count=1) as server, scene.window():
        before = snmp(scene.vm_a, "Tcp")["RetransSegs"]
        assert scene.vm_a.send("tcp", scene.vm_b_address, PORT, bytes=size)["received"] == size
        assert server.wait()["bytes"] == size
        wait_for_silence(scene)
        retransmitted = snmp(scene.vm_a, "Tcp")["RetransSegs"] - before
        lost = lost_bytes(scene)
    assert lost
    assert dropped(lab, "hv-b", "vnet0") == ring
    assert all(capture.manifest(host)["counters"]["lost"] == 0 for host in HYPERVISORS)
    summary = capture.merge()
    assert {loss.between for loss in losses(summary)} == {A_TO_B}
    assert unknown(summary) == []
    assert sum(loss["bytes"] for loss in summary["losses"]) == lost
    assert sum(flow["retransmitted"] for flow in summary["flows"]) == retransmitted
