# SPDX-License-Identifier: Apache-2.0
"""The preflight's table and verdicts, from answers as hosts give them."""
import copy

import pytest

PROFILES = {"nic": ["dev.rx", "skb.drop"], "bridge": ["dev.rx", "skb.drop", "br.rx"],
            "ovs": ["dev.rx", "ovs.rx", "ovs.tx"], "full": ["dev.rx", "skb.drop", "br.rx", "ovs.rx", "ovs.tx"]}
NO_FUNCTION = "no function %s: it was inlined, or its module is not loaded"
GOOD = {
    "contact": {"clock_difference_ns": 200_000, "clock_error_ns": 700_000},
    "obstacles": [],
    "answer": {
        "error": "", "runs": {},
        "facts": {"kernel": "6.1.0-18", "machine": "x86_64", "btf": True, "headers": False, "free_bytes": 5 << 30,
                  "cpus": 4, "load": 0.26},
        "trial": {
            "bcc": "0.26.0", "btf": True, "headers": False, "buffer": "ring", "absent": {},
            "attached": {"dev.rx": "raw_tracepoint", "skb.drop": "raw_tracepoint", "br.rx": "fentry",
                         "ovs.rx": "kprobe", "ovs.tx": "kprobe"},
            "skipped": {}, "profiles": {name: [] for name in PROFILES},
            "clock": {"synchronised": True, "daemon": "chronyd", "max_error_us": 12_000},
            "devices": [{"name": name, "role": role} for name, role in (
                ("lo", "loopback"), ("br0", "bridge"), ("vnet0", "vnet"), ("vnet1", "vnet"), ("vnet2", "vnet"),
                ("vnet3", "vnet"), ("eth0", "phy"))],
        },
    },
}


def host(**changes) -> dict:
    """A good host with some keys of its answer, trial, facts or contact changed: trial__buffer="perf"."""
    made = copy.deepcopy(GOOD)
    for path, value in changes.items():
        place, _two, key = path.partition("__")
        if not key:
            made[place] = value
            continue
        {"trial": made["answer"]["trial"], "facts": made["answer"]["facts"], "answer": made["answer"],
         "contact": made["contact"]}[place][key] = value
    return made


def without(*points: str, absent: bool = False) -> dict:
    """A host that lacks points, because it cannot reach them or because they are not there."""
    made = host()
    trial = made["answer"]["trial"]
    for point in points:
        del trial["attached"][point]
        if absent:
            trial["absent"][point] = "module openvswitch is not loaded"
        else:
            trial["skipped"][point] = NO_FUNCTION % point.replace(".", "_")
    if not absent:
        trial["profiles"] = {name: [point for point in members if point in points]
                             for name, members in PROFILES.items()}
    return made


def verdict(preflight, one: dict, required=("nic",)) -> str:
    """The verdict on one host, which has to fit whether it counts as ready."""
    report = preflight.report({"hv": one}, PROFILES, list(required))["hosts"]["hv"]
    assert report["ready"] == report["verdict"].startswith("ready")
    return report["verdict"]


def test_a_row_tells_all(preflight):
    text = preflight.report({"hv-a": host()}, PROFILES, ["nic"])["text"]
    assert text[0].split("  ")[0] == "host"
    assert text[1].split() == ["hv-a", "6.1.0-18", "0.26.0", "BTF", "ring", "5.0", "GiB", "0.3/4", "2/2", "3/3", "3/3",
                               "5/5", "2/1/2"]
    assert text[2:] == ["  clock: agrees with this machine's to ±700 µs; synchronised by chronyd to ±12 ms",
                        "  devices: 4 vnet (vnet0, vnet1, vnet2 and 1 more), 1 bridge (br0), 1 phy (eth0)", "  ready"]


@pytest.mark.parametrize(("changes", "gap"), [
    ({"trial__clock": {"synchronised": False, "daemon": "", "max_error_us": 16_000_000}},
     "its clock is not synchronised"),
    ({"contact__clock_difference_ns": -31_200_000_000},
     "its clock is wrong by 31.2 s, for which the window is corrected"),
    ({"facts__free_bytes": 300 << 20}, "only 300 MiB of disk are free"),
    ({"trial__btf": False}, "no BTF, so the kernel's headers are compiled, which takes seconds"),
    ({"answer__runs": {"k": "ended"}}, "records of the run k wait there for playbooks/collect.yml"),
])
def test_a_gap_is_named(preflight, changes, gap):
    assert verdict(preflight, host(**changes)) == "ready with gaps: " + gap


def test_a_clock_that_is_not_told_about_is_no_gap(preflight):
    unknown = {"synchronised": None, "daemon": "", "max_error_us": None}
    assert verdict(preflight, host(trial__clock=unknown)) == "ready"


def test_a_difference_within_its_error_is_no_gap(preflight):
    unsure = host(contact__clock_difference_ns=3 * 10**9, contact__clock_error_ns=2 * 10**9)
    assert verdict(preflight, unsure) == "ready"


def test_missing_points_are_gaps_but_in_required_profiles(preflight):
    lacking = without("br.rx", "ovs.tx")
    assert verdict(preflight, lacking) == "ready with gaps: not every point of the profiles bridge, ovs (br.rx, ovs.tx)"
    assert verdict(preflight, lacking, ["nic", "bridge"]) == (
        "not ready: the profile bridge lacks 1 of 3 points (br.rx), do this: see below why, or leave bridge out of "
        "preflight_profile")


def test_points_of_modules_that_are_not_loaded_are_no_loss(preflight):
    idle = without("ovs.rx", "ovs.tx", absent=True)
    assert verdict(preflight, idle) == "ready"
    assert verdict(preflight, idle, ["ovs"]) == (
        "ready with gaps: most of what the profile ovs looks at is in modules that are not loaded")
    text = preflight.report({"hv": idle}, PROFILES, ["nic"])["text"]
    assert "1/1*" in text[1].split()
    assert text[-1].startswith("* most points of this profile belong to modules that are not loaded")


def test_obstacles_make_a_host_not_ready_and_keep_what_is_known(preflight):
    bare = host(obstacles=[{"what": "no bcc", "do": "install it"}], answer__trial={}, answer__error="no bcc")
    assert verdict(preflight, bare) == "not ready: no bcc, do this: install it"
    lost = {"contact": {"unreachable": True}, "answer": {"skipped": True},
            "obstacles": [{"what": "it cannot be reached", "do": "look"}]}
    report = preflight.report({"hv-a": bare, "hv-lost": lost}, PROFILES, ["nic"])
    rows = {line.split()[0]: line.split()[1:] for line in report["text"] if line.startswith("hv-")}
    assert rows["hv-a"] == ["6.1.0-18", "-", "BTF", "-", "5.0", "GiB", "0.3/4", "-", "-", "-", "-", "-"]
    assert set(rows["hv-lost"]) == {"-"}
    assert "  not ready: it cannot be reached, do this: look" in report["text"]


def test_reasons_are_grouped_over_points_and_hosts(preflight):
    hosts = {"hv-a": without("br.rx", "ovs.tx"), "hv-b": without("br.rx")}
    text = preflight.report(hosts, PROFILES, ["nic"])["text"]
    assert text[text.index("Points that cannot be had, and why:") + 1:] == [
        "  no function …: it was inlined, or its module is not loaded (hv-a, hv-b)", "      br.rx ovs.tx"]
    text = preflight.report({"hv-b": hosts["hv-b"]}, PROFILES, ["nic"])["text"]
    assert text[-2:] == ["  no function br_rx: it was inlined, or its module is not loaded (hv-b)", "      br.rx"]


@pytest.mark.parametrize(("ns", "words"), [(0, "0 µs"), (1_499, "1 µs"), (999_499, "999 µs"), (12_000_000, "12 ms"),
                                           (1_234_000_000, "1.23 s"), (3600 * 10**9, "3600 s")])
def test_times_are_told_in_fitting_units(preflight, ns, words):
    assert preflight.duration(ns) == words


@pytest.mark.parametrize(("difference", "words"), [
    (5 * 10**9, "5 s ±700 µs ahead of this machine's"), (-90_000_000, "90 ms ±700 µs behind this machine's")])
def test_a_clock_s_side_is_told(preflight, difference, words):
    one = host(contact__clock_difference_ns=difference)
    assert preflight.clock_of(one["answer"], one["contact"]).startswith(words + "; ")


def test_profiles_are_read_from_the_tracer_s_listing(profiles):
    assert list(profiles.read_profiles("dev.rx  a device\nprofile full a b c\nprofile nic a b\n").items()) == [
        ("nic", ["a", "b"]), ("full", ["a", "b", "c"])]
