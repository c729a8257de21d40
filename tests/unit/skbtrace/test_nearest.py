# SPDX-License-Identifier: Apache-2.0
"""What passed where nothing matched: which flows are nearest to a filter, in which words, and when that is asked.
"""
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from skbtrace import options
from skbtrace.capture import nearest
from skbtrace.programs import filters, nearness
from skbtrace.show import nearest as words

A, B = "10.0.0.1", "10.0.0.2"
FLOW = {"src": A, "dst": B, "protocol": "udp", "src_port": 40000, "dst_port": 5001, "netns": "hv-a", "device": "vnet0",
        "point": "dev.rx"}
TUNNEL = {"src": "172.16.0.1", "dst": "172.16.0.2", "protocol": "udp", "src_port": 5, "dst_port": 4789,
          "tunnel": "vxlan", "tunnel_id": 7, "inner": {**FLOW, "vlan": 12}}


def parsed(*arguments: str) -> tuple[Any, filters.Filter]:
    return options.parse(options.make_parser("tracer", "what", "examples", "nic"), list(arguments))


def without(*names: str, **others: Any) -> dict[str, Any]:
    return {name: value for name, value in {**FLOW, **others}.items() if name not in names}


def near(flow: dict[str, Any], arguments: str, is_namespace: bool = True) -> nearness.Nearness:
    return nearness.of({**FLOW, **flow}, parsed(*arguments.split())[1], is_namespace)


UDP = "--protocol udp --dst-port 5001"


@pytest.mark.parametrize(("flow", "arguments", "differs", "said"), [
    (FLOW, f"--dst {B} {UDP}", [], "the filter's destination address, protocol and destination port, but only after "
                                   "the window"),
    (FLOW, f"--dst {B} --protocol udp --dst-port 5002", ["dst_port"],
     "the filter's destination address and protocol, but another destination port"),
    (FLOW, f"--dst {B} --protocol udp --dst-port 5000-5010 --src-port 1-9", ["src_port"],
     "the filter's destination address, protocol and destination port, but another source port"),
    (FLOW, f"--dst {B} --protocol tcp --dst-port 5001", ["protocol"],
     "the filter's destination address and destination port, but another protocol"),
    (FLOW, "--dst 10.0.0.3", ["dst"], "another destination address"),
    (FLOW, "--src 10.1.0.0/16 --dst 10.0.0.0/24", ["src"],
     "the filter's destination address, but another source address"),
    (FLOW, f"--src {B} --dst {A} {UDP}", ["direction"],
     "the filter's source address, destination address, protocol and destination port, but in the other direction"),
    (FLOW, f"--src {B} --dst {A} --protocol udp --src-port 5001", ["direction"],
     "the filter's source address, destination address, protocol and source port, but in the other direction"),
    (FLOW, f"--src {B} --dst {A} --protocol udp --src-port 5001 --both-directions", [],
     "the filter's source address, destination address, protocol and source port, but only after the window"),
    (FLOW, f"--src {A} --dst {B} --protocol udp --src-port 5001 --both-directions", ["ports"],
     "the filter's source address, destination address, protocol and source port, but with the ports exchanged"),
    (FLOW, f"--dst {B} --vlan 12", ["vlan"], "the filter's destination address, but no VLAN tag"),
    ({"vlan": 13}, f"--dst {B} --vlan 12", ["vlan"], "the filter's destination address, but another VLAN"),
    ({"vlan": 12}, "--dst 10.0.0.3 --vlan 12", ["dst"], "the filter's VLAN, but another destination address"),
    (FLOW, f"--dst {B} --interface eth0", ["interfaces"], "the filter's destination address, but at another device"),
    (FLOW, "--interface vnet0 --protocol arp", ["protocol"], "another protocol"),
    (FLOW, "--dst fd00::1", ["dst"], "another destination address"),
    (FLOW, f"--dst {B} --filter udp", [], "the filter's destination address, but the filter's expression was not "
                                          "compared"),
    (TUNNEL, f"--dst {B} --vlan 12 --protocol tcp --dst-port 5001", ["protocol"],
     "inside the tunnel: the filter's destination address, destination port and VLAN, but another protocol"),
    (TUNNEL, "--dst 172.16.0.2 --protocol udp --dst-port 4790", ["dst_port"],
     "the filter's destination address and protocol, but another destination port"),
    ({"protocol": "icmp", "src_port": None, "dst_port": None}, f"--dst {B} {UDP}", ["protocol", "no_ports"],
     "the filter's destination address, but another protocol"),
    ({"src_port": None, "dst_port": None}, f"--dst {B} {UDP}", ["no_ports"],
     "the filter's destination address and protocol, but without ports to compare"),
    ({"protocol": "ip-protocol-50"}, f"--dst {B} --protocol 50", [],
     "the filter's destination address and protocol, but only after the window"),
])
def test_what_differs_is_the_least_to_correct(flow: dict[str, Any], arguments: str, differs: list[str],
                                              said: str) -> None:
    found = near(flow, arguments)
    assert found.differs == differs
    section = {**FLOW, **flow, "differs": found.differs, "inside": found.inside}
    assert words.difference(section, filters.describe(parsed(*arguments.split())[1])) == said


def test_another_namespace_is_told() -> None:
    assert near(FLOW, f"--dst {B} --netns self", is_namespace=False).differs == ["netns"]


def shown(flow: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A packet as --format json has it: with more than names its flow."""
    place = {name: flow[name] for name in ("netns", "device", "point")}
    packet = {name: value for name, value in flow.items() if name not in place}
    return {**place, "packet": {"ethertype": 0x800, "id": 7, "ttl": 64, **packet}, "time": "now", **more}


def test_the_nearest_come_first_and_the_rest_is_counted() -> None:
    lines = [shown(without(dst_port=port)) for port in range(6000, 6100) for _ in range(1 + (port == 6050))]
    lines += [shown(without(dst="10.0.0.99", dst_port=5001)), shown(without("src", "dst", "protocol", "src_port",
                                                                            "dst_port"))]
    section = nearest.choose(lines, parsed("--dst", B, *UDP.split())[1], [])
    assert (section["packets"], section["flows_total"], section["why"]) == (103, 102, "")
    assert len(section["flows"]) == nearest.MOST_FLOWS
    assert section["flows"][0] == without(dst_port=6050, packets=2, differs=["dst_port"], inside=False)
    assert all(flow["differs"] == ["dst_port"] for flow in section["flows"])
    assert nearest.choose(lines[-1:], parsed("--dst", B)[1], [])["flows"] == [
        {"ethertype": 0x800, "netns": "hv-a", "device": "vnet0", "point": "dev.rx", "packets": 1, "differs": ["dst"],
         "inside": False}]


def test_of_addresses_that_differ_the_one_that_begins_alike_is_nearer() -> None:
    lines = [shown(without(dst=dst)) for dst in ("192.168.0.1", "10.0.0.3", "10.9.0.1", "fd00::1")]
    section = nearest.choose(lines, parsed("--dst", B)[1], [])
    assert [flow["dst"] for flow in section["flows"]] == ["10.0.0.3", "10.9.0.1", "192.168.0.1", "fd00::1"]


def test_an_expression_takes_the_most_frequent() -> None:
    lines = [shown(without(dst_port=port)) for port in (1, 2, 2, 3)]
    section = nearest.choose(lines, parsed("--filter", "ether[0] = 1", "--filter-code", "1,6 0 0 1")[1], [])
    assert [(flow["dst_port"], flow["packets"]) for flow in section["flows"]] == [(2, 2), (1, 1), (3, 1)]


def test_a_flow_at_many_places_is_one_for_a_person() -> None:
    places = [without(device=device, point=point) for device in ("vnet0", "br0") for point in nearest.POINTS]
    lines = [shown(flow) for flow in [*places, places[0], without("src_port", "dst_port", protocol="icmp", vlan=12)]]
    asked = parsed("--dst", B, "--protocol", "tcp")[1]
    section = nearest.choose(lines, asked, [])
    one, other = words.shown(section, filters.describe(asked))
    assert (one.packets, len(one.places)) == (2, 4)
    assert one.sentence() == (
        "10.0.0.1:40000 > 10.0.0.2:5001 udp at vnet0 dev.rx, br0 dev.rx, br0 dev.tx and 1 more (the filter's "
        "destination address, but another protocol)")
    assert other.sentence().startswith("10.0.0.1 > 10.0.0.2 icmp vlan=12 at vnet0 dev.rx (")
    assert words.sentences(section, filters.describe(asked))[0] == "nothing matched; nearest of 6 packets just after:"


def test_a_namespace_is_named_where_it_is_another() -> None:
    chosen = parsed("--dst", B, "--netns", "self")[1]
    lines = [shown(without(netns="a pod", dst_port=port)) for port in (5001, 5002)] + [shown(FLOW)]
    section = nearest.choose(lines, chosen, ["4026531840", "hv-a"])
    assert [one.sentence().partition(" > 10.0.0.2:")[2] for one in words.shown(section, filters.describe(chosen))] == [
        "5001 udp at vnet0 dev.rx (the filter's destination address, but only after the window)",
        "5002 udp at vnet0@a_pod dev.rx (the filter's destination address, but in another namespace)"]


def test_no_sample_and_an_empty_one_are_told() -> None:
    assert words.sentences({}, {}) == []
    assert words.sentences({"why": "no memory"}, {}) == [
        "nothing matched, and what passed instead could not be sampled: no memory"]
    assert words.sentences({"packets": 0, "flows_total": 0, "flows": [], "why": ""}, {}) == [
        "nothing matched, and nothing else passed in the second after"]


def finished(*arguments: str, **more: Any) -> Any:
    """A tracer whose window is over and that matched nothing, as far as sampling asks."""
    given, chosen = parsed(*(arguments or ("--dst", B)))
    given.tracer = more.pop("tracer", "datapath_tracing")
    facts = {"stopped_by": "window", "interrupted": False, "window": SimpleNamespace(start_ns=1, end_ns=2),
             "totals": lambda: {"matched": 0}, "scope": SimpleNamespace(netns=None, names={}), **more}
    return SimpleNamespace(options=given, chosen=chosen, **facts)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a script in the place of the sample's tracer; it gets the tracer's arguments."""
    def make(text: str) -> None:
        (tmp_path / "program.py").write_text(text)
        monkeypatch.setattr(nearest, "_PROGRAM", str(tmp_path / "program.py"))
    return make


@pytest.mark.parametrize("tracer", [
    finished("--dst", B, "--no-nearest"), finished("--profile", "nic"), finished(tracer="drop_monitor"),
    finished(stopped_by="signal"), finished(stopped_by="limit"), finished(interrupted=True),
    finished(window=SimpleNamespace(start_ns=2, end_ns=1)), finished(totals=lambda: {"matched": 1})],
    ids=["no-nearest", "no filter", "drop monitor", "stopped", "limit", "interrupted", "never open", "matched"])
def test_without_an_occasion_there_is_no_sample(tracer: Any, program: Any, tmp_path: Path) -> None:
    program("import pathlib, sys; pathlib.Path(sys.argv[0]).with_name('ran').touch()")
    assert nearest.take(tracer) == {}
    assert not (tmp_path / "ran").exists()


def test_a_sample_is_bounded_and_without_the_filter(program: Any, tmp_path: Path) -> None:
    line = json.dumps(shown(FLOW))
    program("import pathlib, sys; pathlib.Path(sys.argv[0]).with_name('words').write_text(' '.join(sys.argv[1:])); "
            f"print({line!r})")
    section = nearest.take(finished("--dst", B, "--netns", "hv-a", "--run-id", "r1"))
    assert section == {"packets": 1, "flows_total": 1, "why": "", "flows": [
        {**FLOW, "packets": 1, "differs": [], "inside": False}]}
    given, chosen = parsed(*(tmp_path / "words").read_text().split())
    assert (given.duration, given.max_records, given.run_id, given.no_nearest) == (1, 256, "r1", True)
    assert given.point == ["dev.rx", "dev.tx"] and not given.profile and filters.describe(chosen) == {}


def test_who_says_self_is_not_looked_beyond(program: Any, tmp_path: Path) -> None:
    program("import pathlib, sys; pathlib.Path(sys.argv[0]).with_name('words').write_text(' '.join(sys.argv[1:]))")
    assert nearest.take(finished("--netns", "self", "--dst", B))["packets"] == 0
    assert "--netns=self" in (tmp_path / "words").read_text().split()


def test_a_sample_that_fails_says_why(program: Any) -> None:
    program("import sys; sys.exit('compiling\\nerror: bcc could not \\x1b[31mcompile')")
    assert nearest.take(finished()) == {"why": "error: bcc could not \\x1b[31mcompile"}
    program("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert nearest.take(finished()) == {"why": "it ended with status -9"}
    program("print('no json')")
    assert nearest.take(finished()) == {"why": "it said what is no packet"}


STUBBORN = """
import os, pathlib, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[0]).with_name("pid").write_text(str(os.getpid()))
signal.pause()
"""


@pytest.mark.parametrize(("interrupted", "why"), [(True, "the tracer was stopped"), (False, "it took more than 0.5 s")])
def test_a_sample_that_does_not_end_is_ended(interrupted: bool, why: str, program: Any, tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    program(STUBBORN)
    monkeypatch.setattr(nearest, "_PATIENCE_S", 0.5)
    tracer = finished()
    wait = nearest._wait

    def waiting(child: Any, tracer: Any) -> Any:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert child.poll() is None
        tracer.interrupted = interrupted
        return wait(child, tracer)
    monkeypatch.setattr(nearest, "_wait", waiting)
    assert nearest.take(tracer) == {"why": why}
    assert not Path("/proc", (tmp_path / "pid").read_text()).exists()
