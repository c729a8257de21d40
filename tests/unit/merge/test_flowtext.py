# SPDX-License-Identifier: Apache-2.0
"""Many flows at once have the same words as each by itself."""
import numpy as np

from fleetmerge.packet.flowtext import flow_of, flows_of
from fleetmerge.packet.identity import FLOW


def test_many_at_once() -> None:
    rows = np.zeros(5, FLOW)
    rows["version"] = [6, 4, 4, 0, 4]
    rows["protocol"] = [6, 17, 1, 0, 99]
    rows["ports"] = [True, True, False, False, True]
    rows["source_port"], rows["target_port"] = 443, range(5)
    rows["source"][:, :4], rows["target"][:, :4] = [10, 0, 200, 255], [192, 168, 32, 7]
    rows["ethertype"][3] = 0x88CC
    found = flows_of(rows).to_pylist()
    assert found == [flow_of(row) for row in rows]
    assert found[1] == "10.0.200.255:443 > 192.168.32.7:1 udp"
    assert flows_of(rows[:0]).to_pylist() == []
