# SPDX-License-Identifier: Apache-2.0
"""Open vSwitch is asked at its socket, within time and bytes, and not told anything."""
import contextlib
import json
import pathlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from skbtrace.host import jsonrpc, openvswitch
from skbtrace.host.collectors import Unread

SHOW = "system@ovs-system: hit:27 missed:19\n  br0:\n    br0 65534/1: (internal)\n    eth1 1/2: (system)\n"
TRACE = "Flow: tcp\n\nbridge(\"br0\")\n-------------\n 0. priority 0\n    drop\n\nDatapath actions: drop\n"
STATED = TRACE + "recirc(0x1) - resume conntrack with default ct_state=trk|new (use --ct-next to customize)\n"
LATE = "ovs-vswitchd did not answer within 0.2 s"
READS = {"dpif/show", "memory/show", "revalidator/wait", "bridge/dump-flows", "fdb/show", "ofproto/trace",
         "dpctl/dump-flows", "transact"}    # what a reading may ask: none of these changes anything


class Daemon:
    """A daemon that answers as it is told."""

    def __init__(self, path: pathlib.Path, answer: Callable[[str, list[str]], Any]) -> None:
        self.asked: list[tuple[str, list[Any]]] = []
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                with link:
                    while question := link.recv(1 << 16):
                        asked = json.loads(question)
                        self.asked.append((asked["method"], asked["params"]))
                        said = self._answer(asked["method"], asked["params"])
                        link.sendall(said if isinstance(said, bytes) else json.dumps(said).encode())

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def daemon(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Daemon]]:
    """Start daemons that stand for Open vSwitch's own."""
    monkeypatch.setattr(jsonrpc, "_PLACES", (str(tmp_path),))
    monkeypatch.setattr(openvswitch.os.path, "exists", lambda path: path == "/sys/module/openvswitch")
    started: list[Daemon] = []

    def start(answer: Callable[[str, list[str]], Any], name: str = "ovs-vswitchd.7.ctl") -> Daemon:
        started.append(Daemon(tmp_path / name, answer))
        return started[-1]
    yield start
    for one in started:
        one.close()


def said(**answers: Any) -> Callable[[str, list[str]], Any]:
    texts = {"dpif/show": SHOW, "memory/show": "handlers:2 rules:5", "ofproto/trace": TRACE, **answers}
    return lambda method, words: {"id": 0, "error": None, "result": texts.get(method, "")}


def flow(device: str = "eth1") -> dict[str, str]:
    return {"device": device, "flow": "tcp,tcp_dst=443"}


def test_what_is_asked_and_what_is_kept(daemon: Callable[..., Daemon]) -> None:
    one = daemon(said(**{"bridge/dump-flows": "n_packets=1,\tactions=drop\n\x1b[2J\n"}))
    host = openvswitch.read([flow(), flow("eth9")])["host"]
    assert {method for method, _ in one.asked} <= READS
    assert host["openflow"]["value"] == {"br0": ["n_packets=1,\\tactions=drop", "\\x1b[2J"]}
    assert host["traces"]["value"] == [dict(flow(), bridge="br0", state="", lines=[
        line for line in TRACE.splitlines() if line])]
    (trace,) = [words for method, words in one.asked if method == "ofproto/trace"]
    assert trace == ["br0", "in_port=1,tcp,tcp_dst=443"]    # with a packet behind it, it would be learned from
    assert host["switch-ports"]["why"] == "ovsdb-server does not listen on this host"


def test_rules_that_ask_conntrack_are_traced_for_each_state(daemon: Callable[..., Daemon]) -> None:
    one = daemon(said(**{"ofproto/trace": STATED}))
    traces = openvswitch.read([flow()])["host"]["traces"]["value"]
    assert [trace["state"] for trace in traces] == ["trk,new", "trk,est", "trk,est,rpl", "trk,inv"]
    words = [words for method, words in one.asked if method == "ofproto/trace"]
    assert [len(some) for some in words] == [2, 10, 10, 10]
    assert words[1][2:4] == ["--ct-next", "trk,est"]


def test_no_more_than_so_many_flows_are_traced(daemon: Callable[..., Daemon]) -> None:
    daemon(said())
    assert len(openvswitch.read([flow()] * 99)["host"]["traces"]["value"]) == openvswitch.MOST_FLOWS


def test_many_rules_are_not_listed(daemon: Callable[..., Daemon]) -> None:
    one = daemon(said(**{"memory/show": "handlers:2 rules:20001 udpif keys:4"}))
    host = openvswitch.read([])["host"]
    assert host["openflow"]["why"] == "it has 20001 OpenFlow rules, and no more than 20000 are listed"
    assert "bridge/dump-flows" not in {method for method, _ in one.asked}
    assert "traces" not in host


def test_many_flows_of_the_datapath_are_not_listed(daemon: Callable[..., Daemon]) -> None:
    one = daemon(said(**{"memory/show": "handlers:2 rules:5 udpif keys:20001"}))
    host = openvswitch.read([])["host"]
    assert host["datapath"]["why"] == "it has 20001 flows in its datapath, and no more than 20000 are listed"
    assert "dpctl/dump-flows" not in {method for method, _ in one.asked} and "value" in host["openflow"]


@pytest.mark.parametrize(("answer", "why"), [
    ({"id": 0, "error": "no such\nbridge", "result": None}, "ovs-vswitchd refused: no such"),
    (b"[1]}", LATE), (b"{}" * 4, LATE), (b"[{}", LATE), (b"{" * 3000 + b"}", LATE),
    (b"x" * 5000, "it is longer than 4 KiB")])
def test_answers_that_are_none(daemon: Callable[..., Daemon], answer: Any, why: str) -> None:
    daemon(lambda method, words: answer)
    link = jsonrpc.Daemon("ovs-vswitchd", jsonrpc.sockets("ovs-vswitchd.*.ctl"))
    with pytest.raises(Unread) as refused:
        link.ask("dpif/show", [], 0.2, 4096)
    assert str(refused.value) == why
    link.close()


def test_a_daemon_that_hangs_costs_only_its_time(daemon: Callable[..., Daemon]) -> None:
    daemon(lambda method, words: b"")
    host = openvswitch.read([flow()], 0.5)["host"]
    assert host["switch"]["why"].startswith("ovs-vswitchd did not answer within")
    assert host["datapath"]["why"] in (host["switch"]["why"], "there was no time left")


def test_a_host_without_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvswitch.os.path, "exists", lambda path: False)
    assert openvswitch.read([flow()])["host"] == {"switch": {"why": "openvswitch is not loaded", "seconds": 0.0}}


def test_a_socket_that_nobody_listens_at(tmp_path: pathlib.Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "left.ctl"))
    left.close()
    with pytest.raises(Unread, match="ovs-vswitchd does not listen on this host"):
        jsonrpc.Daemon("ovs-vswitchd", [str(tmp_path / "left.ctl")]).ask("dpif/show", [], 1, 100)
