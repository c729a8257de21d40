# SPDX-License-Identifier: Apache-2.0
"""Words for values."""
from fleetmerge.words import settings


def test_settings() -> None:
    assert settings({"src": "192.0.2.1", "both_directions": True, "filter": "tcp port 80", "vlan": 1}) == (
        'bidirectional, filter="tcp port 80", src=192.0.2.1, vlan=1')
    assert settings({"dst": "a\nb", "interfaces": ["eth0", "br0"]}) == "dst=a_b, interfaces=eth0,br0"
    assert settings({}) == ""
