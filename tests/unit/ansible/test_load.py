# SPDX-License-Identifier: Apache-2.0
"""Whether a run begins, by what its hosts counted; a host that lies there stops the run, and does nothing else."""
import pytest
from ansible.module_utils import skbfleet_load as load
from ansible.module_utils import skbfleet_told as told
from ansible.module_utils.skbfleet_outcome import of_host
from ansible.module_utils.skbfleet_shapes import load_of

LIGHT = {"records_per_s": 9, "packets_per_s": 3, "point": "dev.rx"}
HEAVY = {"records_per_s": 240000, "packets_per_s": 41000, "point": "dev.tx"}


def test_one_host_that_would_record_too_much_stops_all():
    loads, limits = {"hv-a": LIGHT, "hv-b": HEAVY}, {"hv-a": 100000, "hv-b": 100000}
    assert load.refusal("hv-b", loads, limits) == (
        "the run was stopped before its window opened: hv-b would make 240000 records a second (41000 matching packets "
        "a second at its busiest point, dev.tx), and capture_max_load is 100000; narrow the filter, set "
        "capture_sample, or set capture_accept_load=true")
    assert load.refusal("hv-a", loads, limits) == (
        "the run was stopped before its window opened, for what would be recorded on hv-b")
    assert load.refusal("hv-silent", loads, limits)
    assert load.busiest(loads) == "hv-b"
    for fine in ({"hv-a": 9, "hv-b": 240000}, {"hv-a": 9, "hv-b": None}):
        assert {load.refusal(host, loads, fine) for host in loads} == {""}
    many = {f"hv-{number:02}": HEAVY for number in range(64)}
    assert load.refusal("hv-x", many, dict.fromkeys(many, 1)).endswith(
        "on hv-00, hv-01, hv-02, hv-03, hv-04 and 59 more")


@pytest.mark.parametrize("said", [
    None, "much", [], {}, {"drop_monitor": None}, {"drop_monitor": {"load": "much"}}, {"other": {"load": HEAVY}},
    {"drop_monitor": {"load": dict(HEAVY, records_per_s=-1)}}, {"drop_monitor": {"load": dict(HEAVY, point=3)}},
    {"drop_monitor": {"load": dict(HEAVY, packets_per_s=10 ** 4000)}},
    {"drop_monitor": {"load": dict(HEAVY, records_per_s=True)}},
])
def test_what_is_no_load_is_none(said):
    assert load_of({"tracers": said}) == {}
    assert load_of({}) == {}
    assert load.busiest({}) is None


def test_the_busiest_tracer_counts():
    assert load_of({"tracers": {"drop_monitor": {"load": LIGHT}, "datapath_tracing": {"load": HEAVY}}}) == HEAVY
    assert load_of({"tracers": {"drop_monitor": {"load": LIGHT}, "datapath_tracing": {"load": None}}}) == LIGHT


def test_nothing_waits_on_a_host_that_was_stopped_before_its_window():
    known = {"contact": {"uid": 0}, "armed": {"tracers": {}}, "load": {"failed": True}, "failure": {"why": "too much"}}
    assert of_host(dict(known, removed={"removed": []}), ["drop_monitor"])["why"] == "too much"
    left = of_host(dict(known, removed={"failed": True, "msg": "it is asleep"}), ["drop_monitor"])["why"]
    assert left == "too much; it needs playbooks/cleanup.yml, because it is asleep"


def test_the_terminal_names_the_busiest_host_s_load_alone():
    words = "it would make %s" % load.in_words(HEAVY)
    assert told.of_success("skbfleet_load", {}, {"words": words}) == [("load", words)]
    assert told.of_success("skbfleet_load", {}, {"words": ""}) == []
