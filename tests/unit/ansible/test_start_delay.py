# SPDX-License-Identifier: Apache-2.0
"""How long before the window hosts are told of it, by how long it took to turn to them."""
import jinja2
import pytest
import yaml
from support.attack import ROOT

WORDS = yaml.safe_load((ROOT / "roles/capture/vars/main.yml").read_text())


@pytest.mark.parametrize(("reaching", "bringing", "given", "delay"), [
    (1, 2, 5, 5), (21, 1, 5, 5), (4, 16, 5, 8), (40, 30, 5, 30), (21, 1, 0, 1)],
    ids=["few hosts", "one is off", "many hosts", "many, and one is off", "as soon as can be"])
def test_a_host_that_is_off_does_not_put_off_the_others(reaching, bringing, given, delay):
    """reaching, bringing: seconds that it took to reach all hosts, and to bring the tracers to those that were."""
    known = {"__capture_turned_to": "1000", "__capture_reached": str(1000 + reaching),
             "__capture_supplied": str(1000 + reaching + bringing), "__capture_settings": {"start_delay": given}}
    for name in ("__capture_told_in", "__capture_start_delay"):
        known[name] = jinja2.Template(WORDS[name]).render(known)
    assert float(known["__capture_start_delay"]) == delay
