# SPDX-License-Identifier: Apache-2.0
"""The variables of a pair, and which hosts carry it: found, given, or one sentence about what is not clear."""
import types

import pytest

SRC, DST, MAC, OTHER = "192.168.32.10", "192.168.32.20", "52:54:00:32:00:0a", "52:54:00:32:00:14"
HOSTS = ["hv-a", "hv-b", "hv-c"]


def values(**changes) -> dict:
    """All pair_ variables as Ansible has them when only two are given."""
    names = [f"pair_{end}{what}" for end in ("src", "dst") for what in ("", "_host", "_mac", "_device")]
    return {**dict.fromkeys(names), "pair_src": SRC, "pair_dst": DST, "pair_probe": True, **changes}


def test_a_pair_is_made_of_the_variables(pair):
    assert pair.pair_of(values(pair_src_mac="52:54:00:32:00:0A", pair_dst_host="hv-b", pair_probe="no"), HOSTS) == {
        "src": {"address": SRC, "host": "", "mac": MAC, "device": ""},
        "dst": {"address": DST, "host": "hv-b", "mac": "", "device": ""}, "probe": False}
    six = pair.pair_of(values(pair_src="FD00:32:0::10", pair_dst="fd00:32::20"), HOSTS)
    assert six["src"]["address"] == "fd00:32::10"


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"pair_src": None}, "pair_src is not set: it must be the IPv4 or IPv6 address of a VM"),
    ({"pair_dst": "192.168.32.0/24"}, "pair_dst is '192.168.32.0/24': it must be the IPv4 or IPv6 address of a VM, "
                                      "without a prefix length"),
    ({"pair_dst": "fd00::1"}, "pair_src is '192.168.32.10' and pair_dst is 'fd00::1': both must be IPv4 or both IPv6"),
    ({"pair_dst": SRC}, "pair_src and pair_dst are both '192.168.32.10': they must be the addresses of two VMs"),
    ({"pair_src_host": "hv-x"}, "pair_src_host is 'hv-x': it must be one of the hosts of this play, hv-a, hv-b, hv-c"),
    ({"pair_dst_mac": "52:54"}, "pair_dst_mac is '52:54': it must be six pairs of hexadecimal digits with colons"),
    ({"pair_src_device": "a b"}, "pair_src_device is 'a b': it must be the name of a network device"),
    ({"pair_probe": "maybe"}, "pair_probe is 'maybe': it must be true or false"),
])
def test_bad_values_are_one_sentence(pair, changes, sentence):
    with pytest.raises(pair.Refused) as refused:
        pair.pair_of(values(**changes), HOSTS)
    assert str(refused.value) == sentence


def test_unknown_names_templates_and_another_filter_are_refused(pair):
    known = list(values())
    pair.check_prefix({"pair_src": 1, "other": 2, "capture_src": 3}, "pair_", known)
    with pytest.raises(pair.Refused, match="pair_source is not a variable of skbfleet, .*: did you mean pair_src"):
        pair.check_prefix({"pair_source": 1}, "pair_", known)
    with pytest.raises(pair.Refused, match="templates are not evaluated"):
        pair.check_plain("pair_src", "{{ lookup('pipe', 'id') }}")
    ends = pair.pair_of(values(), HOSTS)
    pair.check_filter(ends, {"src": SRC, "dst": DST, "bidirectional": True})
    with pytest.raises(pair.Refused, match=r"capture_src is '192.0.2.1' in the case or in -e: leave it out"):
        pair.check_filter(ends, {"src": "192.0.2.1", "dst": DST, "bidirectional": True})


def place(mac=MAC, device="vnet0", here=True, **changes) -> dict:
    return {"mac": mac, "known_from": [], "device": device, "role": "vnet" if here else "veth" if device else "",
            "here": here, "bridge": "br0", "uplinks": ["eth0"], "vlan": 0, "found_in": ["bridge forwarding table"],
            **changes}


def answer(src=(), dst=()) -> dict:
    return {"places": {SRC: list(src), DST: list(dst)}, "gaps": {}}


def found() -> dict:
    """What three hosts say: vm-a is on hv-a, vm-b on hv-b."""
    away = {"device": "eth0", "here": False}
    return {"hv-a": answer([place()], [place(OTHER, **away)]), "hv-b": answer([place(**away)], [place(OTHER)]),
            "hv-c": answer([place(**away)], [place(OTHER, **away)])}


@pytest.fixture
def ends(pair) -> types.SimpleNamespace:
    """Pairs as the action plugin makes them."""
    return types.SimpleNamespace(of=lambda **changes: pair.pair_of(values(**changes), HOSTS))


def test_the_hosts_that_carry_the_pair_are_chosen(decide, ends):
    done = decide.decide(found(), ends.of())
    assert (done["error"], done["hosts"]) == ("", ["hv-a", "hv-b"])
    assert done["topology"]["hosts"]["hv-a"] == {"taps": ["vnet0"], "uplinks": ["eth0"], "toward": {DST: ["eth0"]},
                                                 "gaps": {}}
    assert done["topology"]["pair"]["dst"]["host"] == "hv-b"
    assert done["text"][0] == (f"src {SRC} ({MAC}) is on hv-a behind vnet0, bridge br0 with eth0 "
                               "(found in: bridge forwarding table)")


def test_both_may_be_on_one_host(decide, ends):
    done = decide.decide({"hv-a": answer([place()], [place(OTHER, "vnet1")])}, ends.of())
    assert (done["hosts"], done["topology"]["hosts"]["hv-a"]["taps"]) == (["hv-a"], ["vnet0", "vnet1"])


def test_none_is_one_sentence(decide, ends):
    answers = {**found(), "hv-b": {"lost": True, "msg": "Task failed: Failed to connect\n"}}
    assert decide.decide(answers, ends.of())["error"] == (
        "pair_dst is '192.168.32.20': no hypervisor of this play carries it; hv-a sees 52:54:00:32:00:14 behind eth0 "
        "(veth), hv-c sees 52:54:00:32:00:14 behind eth0 (veth); nobody knows what hv-b would have said; "
        "set pair_dst_host to the hypervisor that carries it, or pair_dst_device to the device behind which it is. "
        "hv-b: it cannot be reached: Failed to connect")
    answers = {"hv-a": answer([place()]), "hv-b": answer()}
    assert decide.decide(answers, ends.of())["error"] == (
        "pair_dst is '192.168.32.20': no hypervisor of this play carries it; none of hv-a, hv-b knows a MAC for it; "
        "set pair_dst_host to the hypervisor that carries it, or pair_dst_mac to the MAC of the VM")


def test_nobody_who_answers_is_said_once(decide, ends):
    lost = {"lost": True, "msg": "Task failed: Failed to connect\n"}
    assert decide.decide({"hv-a": lost, "hv-b": lost}, ends.of())["error"] == (
        "no hypervisor could be asked; playbooks/preflight.yml says what to do. hv-a: it cannot be reached: Failed to "
        "connect; hv-b: it cannot be reached: Failed to connect")


def test_several_are_one_sentence_and_each_override_helps(decide, ends):
    answers = found()
    answers["hv-c"]["places"][SRC] = [place("52:54:00:00:00:99", "vnet5")]
    assert decide.decide(answers, ends.of())["error"] == (
        "pair_src is '192.168.32.10': 2 hypervisors carry it, hv-a behind vnet0 (52:54:00:32:00:0a), hv-c behind vnet5 "
        "(52:54:00:00:00:99); set pair_src_host to the one that is meant, or pair_src_mac to the MAC of the VM")
    for override in ({"pair_src_host": "hv-c"}, {"pair_src_mac": "52:54:00:00:00:99"}, {"pair_src_device": "vnet5"}):
        assert decide.decide(answers, ends.of(**override))["hosts"] == ["hv-b", "hv-c"]


def test_a_given_host_needs_no_answer_and_a_given_device_no_tap(decide, ends):
    answers = {"hv-a": {"msg": "broken"}, "hv-b": answer(dst=[place(OTHER, "veth7", False)])}
    done = decide.decide(answers, ends.of(pair_src_host="hv-a", pair_dst_device="veth7"))
    assert done["hosts"] == ["hv-a", "hv-b"]
    assert done["topology"]["hosts"]["hv-b"]["taps"] == ["veth7"]
    assert done["topology"]["pair"]["src"]["given"] is True
    assert done["text"][2] == "hv-a: it could not be asked: broken"


def test_macs_are_told_to_the_other_hosts(decide, ends):
    answers = {"hv-a": answer([place()]), "hv-b": {"msg": "broken"}}
    assert decide.macs_of(answers, ends.of()) == {SRC: [MAC], DST: []}
    assert decide.macs_of({}, ends.of(pair_src_mac=OTHER)) == {SRC: [OTHER], DST: []}


def test_two_answers_of_a_host_lose_nothing(decide):
    asked = place(known_from=["answer of the VM"], found_in=["answer of the VM"])
    both = decide.together(answer([asked]), answer([place(device="", here=False, found_in=[])], [place(OTHER)]))
    assert both["places"] == {SRC: [asked], DST: [place(OTHER)]}
    both = decide.together(answer([asked]), answer([place()]))
    assert both["places"][SRC][0]["found_in"] == ["answer of the VM", "bridge forwarding table"]
