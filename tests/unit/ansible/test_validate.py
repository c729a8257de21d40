# SPDX-License-Identifier: Apache-2.0
"""What the validation accepts, what it refuses, and in which words."""
import datetime
import subprocess

import pytest
import yaml
from ansible.module_utils import skbfleet_tracing
from support.validation import DEFAULTS, KNOWN, ROOT

LIMITS = ["--max-records=4000000", "--max-rate=100000", "--max-bytes=1073741824"]
def without_limits(result):
    """Return the arguments but for the limits that hold when nobody sets one."""
    return {tracer: [word for word in words if word not in LIMITS] for tracer, words in result["arguments"].items()}


def test_defaults_are_valid_and_hand_nothing_to_the_tracers(plan):
    result = plan()
    assert result["arguments"] == {"drop_monitor": LIMITS, "datapath_tracing": [*LIMITS, "--exclude-point=skb.drop"]}
    assert result["settings"]["run_id"] == "20261122T113800Z"
    assert result["settings"]["duration"] == 10.0


def test_every_default_is_declared():
    assert set(DEFAULTS) <= set(KNOWN)


@pytest.mark.parametrize(("variables", "words"), [
    ({"capture_src": "192.168.32.10", "capture_dst": "192.168.32.0/24"},
     ["--src=192.168.32.10", "--dst=192.168.32.0/24"]),
    ({"capture_protocol": "tcp", "capture_dst_port": 443, "capture_src_port": "40000-40999"},
     ["--protocol=tcp", "--src-port=40000-40999", "--dst-port=443"]),
    ({"capture_bidirectional": True}, ["--both-directions"]),
    ({"capture_bidirectional": "no"}, []),
    ({"capture_interfaces": ["vnet0", "eth0"]}, ["--interface=vnet0", "--interface=eth0"]),
    ({"capture_interfaces": "vnet0,eth0"}, ["--interface=vnet0", "--interface=eth0"]),
    ({"capture_netns": "self", "capture_vlan": 100}, ["--netns=self", "--vlan=100"]),
    ({"capture_max_records": 1000, "capture_max_bytes": "1000000"}, ["--max-records=1000", "--max-bytes=1000000"]),
    ({"capture_max_rate": 5000}, ["--max-rate=5000"]),
    ({"capture_sample": 100, "capture_sample_drops": True}, ["--sample=100", "--sample-drops"]),
    ({"capture_points": ["skb.drop"]}, ["--point=skb.drop"]),
    ({"capture_follow": "yes"}, ["--follow"]),
    ({"capture_follow": False}, []),
    ({"capture_src": "", "capture_dst": None}, []),
])
def test_variables_become_words_of_the_command_line(plan, variables, words):
    assert without_limits(plan(variables, only=["drop_monitor"])) == {"drop_monitor": words}


def at(seconds, zone=datetime.UTC):
    """A time that is so many seconds from now, as a person writes it."""
    return (datetime.datetime.now(zone) + datetime.timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize("zone", [datetime.UTC, datetime.timezone(datetime.timedelta(hours=5, minutes=30))])
def test_an_absolute_start_becomes_nanoseconds(plan, zone):
    start = at(3600, zone)
    settings = plan({"capture_start_at": start})["settings"]
    assert settings["start_at_ns"] == round(datetime.datetime.fromisoformat(start).timestamp() * 1e6) * 1000
    assert plan()["settings"]["start_at_ns"] is None


@pytest.mark.parametrize("start", ["soon", "12:00", at(3600).removesuffix("+00:00"), at(-1), at(2), at(90000)])
def test_a_start_that_no_host_could_keep_is_refused(refusal, start):
    assert refusal({"capture_start_at": start}).startswith(
        f"capture_start_at is {start!r}: it must be a date and time with its time zone, such as 2026-11-22T11:38:00Z, "
        "from 3.5 seconds (capture_start_delay) to a day from now, which is ")


def test_a_run_that_is_collected_has_no_start_any_more(plan):
    plan({"capture_start_at": at(-1), "capture_run_id": "r"}, run="existing")


def test_expressions_are_compiled_on_the_controller(plan):
    result = plan({"capture_filter": "ether[0] = 1", "capture_inner_filter": "udp or not udp"})
    words = ["--filter=ether[0] = 1", "--inner-filter=udp or not udp"]
    programs = ["--filter-code=4,48 0 0 0,21 0 1 1,6 0 0 262144,6 0 0 0", "--inner-filter-code=1,6 0 0 262144"]
    assert without_limits(result) == {"drop_monitor": words + programs,
                                      "datapath_tracing": [*words, "--exclude-point=skb.drop", *programs]}


def test_points_are_the_datapath_tracers_and_drops_are_recorded_once(plan):
    result = plan({"capture_profile": ["nic"], "capture_excluded_points": ["skb.free"]})
    assert without_limits(result) == {"drop_monitor": [], "datapath_tracing": [
        "--profile=nic", "--exclude-point=skb.free", "--exclude-point=skb.drop"]}


def test_only_the_datapath_tracer_looks_for_what_is_nearest(plan):
    assert without_limits(plan({"capture_nearest": False})) == {
        "drop_monitor": [], "datapath_tracing": ["--exclude-point=skb.drop", "--no-nearest"]}
    assert without_limits(plan({"capture_nearest": False}, only=["drop_monitor"])) == {"drop_monitor": []}


def test_only_the_datapath_tracer_knows_of_drops_of_what_it_follows(plan):
    followed = plan({"capture_follow": True})
    assert without_limits(followed) == {"drop_monitor": ["--follow"],
                                        "datapath_tracing": ["--follow", "--only-followed=skb.drop"]}
    not_there = plan({"capture_follow": True, "capture_excluded_points": ["skb.drop"]})
    assert without_limits(not_there) == {"drop_monitor": ["--follow"],
                                         "datapath_tracing": ["--follow", "--exclude-point=skb.drop"]}


def test_a_required_point_goes_to_the_tracer_that_looks_at_it(plan):
    result = plan({"capture_required_points": ["skb.drop", "tun.xmit"]})
    assert without_limits(result) == {"drop_monitor": ["--require-point=skb.drop"], "datapath_tracing": [
        "--require-point=tun.xmit", "--exclude-point=skb.drop"]}


def test_fields_are_both_tracers_and_stacks_those_of_the_one_that_looks_there(plan):
    result = plan({"capture_fields": ["sk_buff.mark", "sk_buff.dev->mtu"], "capture_points": ["func:ip_rcv@skb"],
                   "capture_stacks": ["skb.drop", "dev.tx"]})
    fields = ["--field=sk_buff.mark", "--field=sk_buff.dev->mtu"]
    assert without_limits(result) == {"drop_monitor": fields, "datapath_tracing": [
        *fields, "--point=func:ip_rcv@skb", "--stack=dev.tx", "--exclude-point=skb.drop"]}
    alone = plan({"capture_stacks": ["skb.drop"]}, only=["drop_monitor"])
    assert without_limits(alone) == {"drop_monitor": ["--stack=skb.drop"]}


def test_a_value_cannot_become_an_option(refusal):
    assert refusal({"capture_src": "--run-dir=/etc"}).startswith("capture_src is '--run-dir=/etc': it must be an IPv4")


@pytest.mark.parametrize(("variables", "sentence"), [
    ({"capture_fields": ["task_struct.pid"]}, "capture_fields is 'task_struct.pid': it must be the kernel's name"),
    ({"capture_stacks": ["dev.tz"]}, "capture_stacks is 'dev.tz': it must be one of"),
    ({"capture_src": "192.168.32.300"}, "capture_src is '192.168.32.300': it must be an IPv4 or IPv6 address"),
    ({"capture_src": "192.0.2.1; touch /tmp/x"}, "capture_src is '192.0.2.1; touch /tmp/x': it must be"),
    ({"capture_src": "192.0.2.1", "capture_dst": "2001:db8::1"},
     "capture_src is 192.0.2.1 and capture_dst is 2001:db8::1: both must be"),
    ({"capture_dst_port": 443}, "capture_dst_port is 443 but capture_protocol is all: a port needs tcp, udp or sctp"),
    ({"capture_protocol": "tcp", "capture_dst_port": "99999"}, "capture_dst_port is '99999': it must be a port"),
    ({"capture_protocol": "ipx"}, "capture_protocol is 'ipx': it must be all, tcp"),
    ({"capture_profile": ["nics"]}, "capture_profile is 'nics': it must be one of"),
    ({"capture_points": ["dev.rxx"]}, "capture_points is 'dev.rxx': it must be one of"),
    ({"capture_duration": 0}, "capture_duration is '0': it must be more than 0"),
    ({"capture_duration": 86401}, "capture_duration is '86401': it must be more than 0 and at most 86400"),
    ({"capture_duration": "long"}, "capture_duration is 'long': it must be a number"),
    ({"capture_max_records": "-1"}, "capture_max_records is '-1': it must be a whole number"),
    ({"capture_vlan": 4095}, "capture_vlan is '4095': it must be a VLAN id"),
    ({"capture_filter": "tcp prot 443"}, "capture_filter is 'tcp prot 443': can't parse filter expression: syntax err"),
    ({"capture_filter": "inbound"}, "capture_filter is 'inbound': it asks for what is no byte of the packet"),
    ({"capture_inner_filter": "less 64"}, "capture_inner_filter is 'less 64': it asks for the packet's length"),
    ({"capture_bidirectional": "maybe"}, "capture_bidirectional is 'maybe': it must be true or false"),
    ({"capture_tracers": ["drop-monitor"]},
     "capture_tracers is ['drop-monitor']: it must be drop_monitor, datapath_tracing"),
    ({"capture_tracers": []}, "capture_tracers is []: it must be"),
    ({"capture_run_id": "../../etc"}, "capture_run_id is '../../etc': it must be up to 64 letters"),
    ({"capture_remote_dir": "/var/tmp"}, "capture_remote_dir is '/var/tmp': it must be an absolute path that ends in"),
    ({"capture_remote_dir": "/x/../skbfleet"}, "capture_remote_dir is '/x/../skbfleet': it must be"),
    ({"capture_tracer_python": "python3"}, "capture_tracer_python is 'python3': it must be an absolute path"),
    ({"capture_max_load": 0}, "capture_max_load is 0: it must be from 1 to 1000000000"),
    ({"capture_start_delay": -1}, "capture_start_delay is -1.0: it must be from 0 to 3600"),
    ({"capture_interface": "eth0"},
     "capture_interface is not a variable of skbfleet, and was set to 'eth0': did you mean capture_interfaces?"),
    ({"capture_sorce": "192.0.2.1"},
     "capture_sorce is not a variable of skbfleet, and was set to '192.0.2.1': did you mean"),
    ({"capture_zzzzzzzzzzzz": 1},
     "capture_zzzzzzzzzzzz is not a variable of skbfleet, and was set to 1: it must be one of capture_"),
    ({"inventory_hostname": "fe80::1"}, "the inventory's name of this host is 'fe80::1': it must be letters"),
])
def test_a_refusal_names_variable_value_and_what_is_allowed(refusal, variables, sentence):
    said = refusal(variables)
    assert said.startswith(sentence)
    assert "\n" not in said


def test_a_used_name_is_refused_for_a_new_run_and_needed_for_an_old_one(plan, refusal, tmp_path):
    (tmp_path / "old").mkdir()
    site = {"capture_output_dir": str(tmp_path)}
    assert refusal({**site, "capture_run_id": "old"}).startswith("capture_run_id is 'old': it must be a name that")
    assert plan({**site, "capture_run_id": "old"}, run="existing")["settings"]["run_id"] == "old"
    assert refusal(site, run="existing").startswith("capture_run_id is not set")
    assert plan(site, run="any")["settings"]["run_id"] is None


def test_a_case_is_used_below_the_command_line_and_above_the_inventory(plan, tmp_path):
    case = tmp_path / "case.yml"
    case.write_text("capture_src: 192.0.2.1\ncapture_dst: 192.0.2.2\n")
    result = plan({"capture_src": "192.0.2.3", "capture_protocol": "tcp"},
                  {"capture_case": str(case), "capture_dst": "192.0.2.4"}, only=["drop_monitor"])
    assert without_limits(result)["drop_monitor"] == ["--src=192.0.2.1", "--dst=192.0.2.4", "--protocol=tcp"]


@pytest.mark.parametrize(("text", "sentence"), [
    ("capture_src: \"{{ lookup('pipe', 'touch x') }}\"",
     "capture_src is \"{{ lookup('pipe', 'touch x') }}\" in a case file: it must be a plain value"),
    ("capture_interfaces: [eth0, '{% set x = 1 %}']", "capture_interfaces is ['eth0', '{% set x = 1 %}'] in a case"),
    ("ansible_ssh_executable: /tmp/x", "ansible_ssh_executable does not belong in a case file: "),
    ("capture_tracer_python: /tmp/x", "capture_tracer_python does not belong in a case file: "),
    ("capture_remote_dir: /tmp/skbfleet", "capture_remote_dir does not belong in a case file: "),
    ("capture_accept_load: true", "capture_accept_load does not belong in a case file: "),
    ("capture_scr: 192.0.2.1",
     "capture_scr is not a variable of skbfleet, and was set to '192.0.2.1': did you mean capture_src?"),
    ("capture_src: !!python/object/apply:os.system [id]", "capture_src has the tag tag:yaml.org,2002:python/object"),
    ("- capture_src", "capture_case is "),
    ("capture_src: [", "capture_case is "),
])
@pytest.mark.parametrize("how", ["capture_case", "-e @file"])
def test_a_case_file_is_data(refusal, tmp_path, monkeypatch, text, sentence, how):
    case = tmp_path / "case.yml"
    case.write_text(text)
    place = "" if sentence.startswith("capture_case") else f"{case}, line 1: "
    if how == "capture_case":
        assert refusal(given={"capture_case": str(case)}).startswith(place + sentence)
    elif text.startswith("capture_") and "!!python" not in text and not text.endswith("["):
        # what Ansible itself cannot read does not get this far; a file without capture_ variables is not a case
        assert refusal(given=yaml.safe_load(text), extra_files=("@" + str(case),)).startswith(place + sentence)


def test_a_case_that_is_not_there(refusal):
    assert refusal(given={"capture_case": "/nowhere/case.yml"}) == (
        "capture_case is '/nowhere/case.yml': it must be a file that can be read: No such file or directory")


def test_templates_are_refused_in_what_is_given_and_evaluated_in_the_inventory(plan, refusal):
    assert refusal(given={"capture_src": "{{ x }}"}).startswith("capture_src is '{{ x }}' in -e: it must be a plain")
    assert "{{ x }}" in plan({"capture_case": None, "capture_netns": "{{ x }}"})["templar"].asked


def test_values_given_are_never_handed_to_the_template_engine(plan):
    result = plan({"capture_netns": "self"}, {"capture_src": "192.0.2.1", "capture_run_id": "x"})
    assert "self" in result["templar"].asked
    assert "192.0.2.1" not in result["templar"].asked
    assert "x" not in result["templar"].asked


def test_a_command_is_taken_for_reproduce_alone(plan, refusal):
    command = {"reproduce_command": "touch x"}
    assert "reproduce_command" not in plan(given=command)["settings"]
    assert plan(given=command, reproduce=True)["settings"]["reproduce_command"] == "touch x"
    assert plan(command, reproduce=True)["settings"]["reproduce_command"] == "touch x"
    assert refusal(reproduce=True) == "reproduce_command is None: it must be a shell command for the controller"


def test_no_file_that_is_given_chooses_a_command(refusal, tmp_path):
    case = tmp_path / "case.yml"
    case.write_text("reproduce_command: touch x\n")
    assert refusal(given={"capture_case": str(case)}).startswith(
        f"{case}, line 1: reproduce_command does not belong in a case file: ")
    assert refusal(given={"reproduce_command": "touch x"}, extra_files=(f"@{case}",)).startswith(
        f"reproduce_command is 'touch x' in the file {case}: it must be given with -e on the command line")


@pytest.mark.parametrize("variables", [
    {}, {"capture_protocol": "all"}, {"capture_interfaces": ["eth0"]}, {"capture_netns": "self"},
    {"capture_src": "", "capture_bidirectional": True}])
def test_a_new_capture_needs_a_filter_or_a_word(plan, refusal, variables):
    assert refusal({"capture_everything": False, **variables}) == (
        "capture_everything is false and no filter is set: set capture_src or capture_dst or capture_protocol or "
        "capture_src_port or capture_dst_port or capture_vlan or capture_filter or capture_inner_filter, or "
        "capture_everything=true to take every packet")
    plan({"capture_everything": True, **variables})
    plan({"capture_everything": False, **variables}, run="any")
    for name, value in (("src", "192.0.2.1"), ("protocol", "arp"), ("vlan", 7), ("filter", "tcp"),
                        ("inner_filter", "tcp")):
        plan({"capture_everything": False, **variables, f"capture_{name}": value})


@pytest.mark.parametrize(("name", "value", "near"), [
    ("captur_case", "x.yml", "did you mean capture_case?"), ("capture_scr", "192.0.2.1", "did you mean capture_src?"),
    ("CAPTURE_SRC", 1, ""), ("pair_source", "x", "did you mean pair_src?"), ("merge_dir", "x", "did you mean merge_"),
    ("preflight_profiles", "x", "did you mean preflight_profile?"), ("reproduce_comand", "x", "reproduce_command?"),
    ("lab_hypervisor", 3, "did you mean lab_hypervisors?"), ("capturesrc", "x", "did you mean capture_src?"),
    ("capture-src", "x", "did you mean capture_src?"), ("merge_zzzzzz", "x", "it must be one of ")])
def test_what_is_given_and_only_looks_like_ours_is_refused(plan, refusal, name, value, near):
    if not near:
        plan(given={name: value})
        return
    sentence = refusal(given={name: value})
    assert sentence.startswith(f"{name} is not a variable of skbfleet, and was set to {value!r}: ")
    assert near in sentence


def test_words_behind_a_value_are_refused(refusal):
    assert refusal(given={"capture_filter": "tcp", "_raw_params": "port 443"}).startswith(
        "-e has 'port 443', which belongs to no variable: it must be name=value")


def test_other_variables_may_be_given(plan):
    plan(given={"ansible_user": "me", "ticket": 7, "case": "x", "src": "y", "datacentre": "z"})


def test_the_longest_window_is_the_site_s_to_set(plan, refusal):
    assert refusal(given={"capture_duration": 3601}) == (
        "capture_duration is 3601: it must be at most 3600, which is capture_max_duration in the inventory")
    plan({"capture_max_duration": 7200}, {"capture_duration": 3601})
    assert refusal(given={"capture_max_duration": 7200}) == (
        "capture_max_duration is 7200 in -e: it must be set in the inventory")
    for name in ("capture_max_records", "capture_max_rate", "capture_max_bytes"):
        assert refusal({name: ""}) == f"{name} is '': it must be a whole number above 0"


@pytest.fixture
def case(tmp_path):
    """Write a case file; return its path."""
    def write(text):
        (tmp_path / "case.yml").write_text(text)
        return str(tmp_path / "case.yml")
    return write


def test_what_is_set_for_a_host_alone_counts_more_than_the_case(plan, case):
    path = case("capture_dst: 192.0.2.9\ncapture_protocol: tcp\ncapture_hosts: {hv-b: {capture_protocol: udp}}\n")
    site = {"capture_dst": "198.51.100.1", "capture_src": "198.51.100.2"}
    settings = plan(site, {"capture_case": path})["settings"]
    assert [settings[name] for name in ("src", "dst", "protocol")] == ["198.51.100.2", "192.0.2.9", "tcp"]
    settings = plan(site, {"capture_case": path}, own=["capture_dst"])["settings"]
    assert [settings[name] for name in ("dst", "protocol")] == ["198.51.100.1", "tcp"]
    path = case("capture_dst: 192.0.2.9\ncapture_hosts: {hv-a: {capture_dst: 192.0.2.10}}\n")
    assert plan(site, {"capture_case": path}, own=["capture_dst"])["settings"]["dst"] == "192.0.2.10"
    assert plan(site, {"capture_case": path, "capture_dst": "192.0.2.11"})["settings"]["dst"] == "192.0.2.11"


@pytest.mark.parametrize(("text", "sentence"), [
    ("capture_src: 192.0.2.1\ncapture_dst: 192.0.2.2\ncapture_src: 192.0.2.3\n",
     "FILE, line 3: capture_src is set twice, first in line 1: it must be set once"),
    ("capture_hosts: {hv-a: {capture_src: 1, capture_src: 2}}",
     "FILE, line 1: capture_src is set twice, first in line 1"),
    ("capture_hosts: [hv-a]", "FILE, line 1: capture_hosts is ['hv-a']: it must map names of hosts to"),
    ("capture_hosts: {hv-a: {capture_run_id: x}}", "FILE, line 1: for hv-a, capture_run_id does not belong in"),
    ("capture_hosts: {hv-a: {capture_src: '{{ x }}'}}", "FILE, line 1: for hv-a, capture_src is '{{ x }}' in a"),
    ("capture_hosts: {'{{ x }}': {}}", "FILE, line 1: capture_hosts has a value for the host '{{ x }}'"),
    ("capture_points: &a [x]\ncapture_profile: *a\n", "capture_case is 'FILE': it must be plain YAML without anchors"),
    ("a: &a [x,x]\n" + "".join(f"{two}: &{two} [*{one},*{one}]\n" for one, two in zip("abcdefghi", "bcdefghij",
                                                                                  strict=True)),
     "capture_case is 'FILE': it must be plain YAML without anchors"),
    ("[" * 5000, "capture_case is 'FILE': it must be plain YAML"),
    ("capture_max_records: " + "9" * 5000, "FILE, line 1: capture_max_records is '999"),
    ("capture_src: x\n" + "#" * 70000, "capture_case is 'FILE': it must be a file of at most 64 KiB"),
    ("? {a: b}\n: c\n", "FILE, line 1: capture_case has a list or a mapping for a name: it must be text"),
    ("\0", "capture_case is 'FILE': it must be plain YAML"),
])
def test_a_case_that_is_no_case_is_one_sentence(refusal, case, text, sentence):
    path = case(text)
    said = refusal(given={"capture_case": path})
    assert said.startswith(sentence.replace("FILE", path))
    assert all(path in line for line in said.split("\n"))


def test_a_case_given_with_at_is_held_to_the_same(refusal, case):
    path = case("capture_src: 192.0.2.1\ncapture_src: 192.0.2.2\n")
    assert "is set twice" in refusal(given={"capture_src": "192.0.2.2"}, extra_files=("@" + path,))
    path = case("capture_hosts: {hv-a: {}}\n")
    assert "capture_hosts must be in a case that is given as capture_case=" in refusal(extra_files=("@" + path,))


@pytest.mark.parametrize("path", ["/tmp/a\n!touch x\n/skbfleet", "/tmp/a b/skbfleet", "/tmp/../skbfleet",
                                  "/a/skbfleet/", "/tmp/'x'/skbfleet", "/tmp/$(id)/skbfleet", "skbfleet"])
def test_a_remote_directory_has_a_plain_name(refusal, path):
    assert refusal({"capture_remote_dir": path}).startswith(f"capture_remote_dir is {path!r}: it must be an absolute")


def test_no_file_of_an_inventory_is_a_case():
    """Ansible reads every file below an inventory's directory as inventory, and evaluates templates there."""
    inside = [path for path in (ROOT / "inventories").rglob("*.yml")
              if path.parent.name not in ("group_vars", "host_vars") and path.name != "hosts.yml"]
    assert inside == []
    assert list((ROOT / "playbooks" / "cases").glob("*.yml"))


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks" / "cases").glob("*.yml")), ids=lambda path: path.name)
def test_the_examples_are_cases(plan, path):
    assert plan({"capture_everything": False}, {"capture_case": str(path)})["settings"]["src"] == "192.168.32.10"


def test_a_name_that_nobody_answers_for_is_refused_and_not_waited_for(refusal, monkeypatch):
    def stuck(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])
    monkeypatch.setattr(skbfleet_tracing.subprocess, "run", stuck)
    assert "no name server answers for a name in it" in refusal({"capture_filter": "host vm-17.example"})
