# SPDX-License-Identifier: Apache-2.0
"""Fields by name and stacks at any point, on the lab: known marks, MTUs and states, exactly."""
import json
import pathlib
from collections import Counter

import numpy as np
import pytest
from support.lab import PYTHON, Lab
from support.tracers import COMMANDS, tracing, until

from fleetmerge.bundle.fields import slots_of
from fleetmerge.bundle.manifest import open_bundle

PORT = 5021
SENT, MARKED, MARK = 100, 7, 0x2A
ESTABLISHED, SYN_SENT, FIN_WAIT1, TIME_WAIT, CLOSED = 1, 2, 4, 6, 7  # include/net/tcp_states.h
MARK_SOME = """
table bridge known {
  chain forward {
    type filter hook forward priority 0
    udp dport %d numgen inc mod %d < %d meta mark set %d
  }
}
""" % (PORT, SENT, MARKED, MARK)
OURS = ["--netns", "self", "--protocol", "udp", "--dst-port", PORT]
FIELDS = ["sk_buff.mark", "sk_buff.dev->mtu", "sk_buff.sk->sk_state", "net_device.ifindex", "sk_buff.protocol"]


def send(lab: Lab, count: int = SENT) -> None:
    """Datagrams from vm-a to vm-b, of which all arrive."""
    address = lab.address("vm-b")
    with lab.netns("vm-b").serve("udp", address, PORT, count=count) as server:
        lab.netns("vm-a").send("udp", address, PORT, count=count)
        server.wait()


def words(fields: list[str]) -> list[str]:
    return [word for name in fields for word in ("--field", name)]


def test_fields_have_the_values_that_are_known(lab: Lab) -> None:
    """nft marks seven packets on their way through the bridge; one tap has an MTU of its own."""
    host = lab.netns("hv-a")
    host.run(["ip", "link", "set", "vnet0", "mtu", "1400"])
    try:
        with host.nft(MARK_SOME), tracing(host, "datapath_tracing", *OURS, "--point", "dev.rx", "--point", "dev.tx",
                                          *words(FIELDS)) as tracer:
            send(lab)
            records = tracer.stop()
    finally:
        host.run(["ip", "link", "set", "vnet0", "mtu", "1500"])
    states = {"dev.rx": CLOSED, "dev.tx": None}  # of the tap's own socket, which the bridge parts the packet from
    ways = {("dev.rx", "vnet0"): 1400, ("dev.tx", "eth0"): 1500}
    assert Counter((one["point"], one["device"]) for one in records) == dict.fromkeys(ways, SENT)
    for one in records:
        assert list(one["fields"]) == FIELDS
        assert one["fields"]["sk_buff.dev->mtu"] == ways[one["point"], one["device"]]
        assert one["fields"]["sk_buff.mark"] == one.get("mark", 0)
        assert one["fields"]["sk_buff.sk->sk_state"] == states[one["point"]]
        assert one["fields"]["sk_buff.protocol"] == 0x0800
    marks = Counter((one["point"], one["fields"]["sk_buff.mark"]) for one in records)
    assert marks == {("dev.rx", 0): SENT, ("dev.tx", 0): SENT - MARKED, ("dev.tx", MARK): MARKED}
    changed = Counter(word for one in records for word in one.get("changed", []) if word.startswith("sk_buff.mark"))
    assert changed == {"sk_buff.mark 0->%d" % MARK: MARKED}
    assert sum("sk_buff.dev->mtu 1400->1500" in one.get("changed", []) for one in records) == SENT
    numbers = {(one["device"], one["fields"]["net_device.ifindex"]) for one in records}
    listed = {link["ifname"]: link["ifindex"] for link in json.loads(host.run(["ip", "-j", "link"]).stdout)}
    assert numbers == {(name, listed[name]) for name in ("vnet0", "eth0")}


def test_a_socket_s_state_and_port(lab: Lab) -> None:
    """Of the segments that vm-a sends the first is sent in SYN_SENT; the states are those of the kernel."""
    address = lab.address("vm-b")
    with lab.netns("vm-b").serve("tcp", address, PORT, count=1), \
            tracing(lab.here(), "datapath_tracing", "--netns", "vm-a", "--protocol", "tcp", "--dst-port", PORT,
                    "--point", "dev.tx", *words(["sk_buff.sk->sk_state", "sock.sk_dport", "sk_buff.sk"])) as tracer:
        lab.netns("vm-a").send("tcp", address, PORT, bytes=100_000)
        records = tracer.stop()
    syns = [one for one in records if one["packet"]["flags"] == "S"]
    assert [one["fields"]["sk_buff.sk->sk_state"] for one in syns] == [SYN_SENT]
    data = [one for one in records if one["packet"]["flags"] == "PA"]
    assert data
    assert {one["fields"]["sk_buff.sk->sk_state"] for one in data} <= {ESTABLISHED, FIN_WAIT1}
    owned = [one for one in records if one["fields"]["sk_buff.sk"] != "0x0"]
    connected = [one for one in owned if one["fields"]["sk_buff.sk->sk_state"] != TIME_WAIT]
    assert len({one["fields"]["sk_buff.sk"] for one in connected}) == 1
    assert {one["fields"]["sock.sk_dport"] for one in owned} == {PORT}


def test_text_says_what_was_not_there(lab: Lab) -> None:
    """Behind the wire, a packet has no socket any more."""
    host = lab.netns("hv-b")
    process = host.popen([PYTHON, COMMANDS["datapath_tracing"], *OURS, "--point", "dev.rx", "--max-records", 1,
                          *words(FIELDS[:3])])
    try:
        assert process.stdout.readline().startswith("tracing dev.rx")
        send(lab, 1)
        line = process.stdout.readline()
    finally:
        process.communicate(timeout=10)
    assert " sk_buff.mark=0 sk_buff.dev->mtu=1500 sk_buff.sk->sk_state=- " in line


def test_a_table_for_each_packet(lab: Lab) -> None:
    """Between tap and wire the length grows by the Ethernet header, and seven packets get their mark."""
    host = lab.netns("hv-a")
    process = host.popen([PYTHON, COMMANDS["datapath_tracing"], *OURS, "--point", "dev.rx", "--point", "dev.tx",
                          "--max-records", 2 * SENT, "--compare", "--field", "sk_buff.mark"])
    try:
        assert process.stdout.readline().startswith("tracing dev.rx, dev.tx")
        with host.nft(MARK_SOME):
            send(lab)
            output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    tables = [table.splitlines() for table in output.split("\n\n")[:SENT]]
    assert {table[0].split(" skb=")[0].split(" > ")[1].split(" id=")[0] for table in tables} == {
        f"{lab.address('vm-b')}:{PORT} udp"}
    shown = Counter()
    for _what, head, *rows in tables:
        rx, tx = (dict(zip(head.split(), row.split(), strict=True)) for row in rows)
        assert (rx["point"], rx["device"], tx["point"], tx["device"]) == ("dev.rx", "vnet0", "dev.tx", "eth0")
        assert tx["len"] == "%d*" % (int(rx["len"]) + 14)
        shown[rx.get("sk_buff.mark"), tx.get("sk_buff.mark")] += 1
    assert shown == {(None, None): SENT - MARKED, ("0", "%d*" % MARK): MARKED}


@pytest.mark.parametrize("buffer", [[], ["--perf-buffer", "--buffer-pages", "64"]], ids=["ring", "perf"])
def test_a_bundle_describes_its_fields(lab: Lab, tmp_path: pathlib.Path, buffer: list[str]) -> None:
    run = tmp_path / "run"
    command = [PYTHON, COMMANDS["datapath_tracing"], "--netns", "hv-a", *OURS[2:], "--interface", "eth0",
               "--point", "dev.tx", "--run-dir", run, "--run-id", "r", *buffer, *words(FIELDS[:2])]
    process = lab.here().popen(command)
    try:
        until("started", run)
        with lab.netns("hv-a").nft(MARK_SOME):
            send(lab)
    finally:
        process.terminate()
        process.communicate(timeout=20)
    bundle = open_bundle(str(run))
    assert [(one.name, one.kind) for one in bundle.fields] == [(name, "unsigned") for name in FIELDS[:2]]
    slots = slots_of(np.fromfile(bundle.path, bundle.dtype), bundle.fields)
    assert Counter(map(tuple, slots[:, [0, 1, 8]].tolist())) == {(0, 1500, 3): SENT - MARKED, (MARK, 1500, 3): MARKED}


REFUSED = {
    "sk_buff.marc": "--field is 'sk_buff.marc': this kernel's sk_buff has no field marc; the nearest are mark",
    "sk_buff.cb": "--field is 'sk_buff.cb': sk_buff.cb is an array, not a number",
    "sk_buff.data->mtu": "--field is 'sk_buff.data->mtu': sk_buff.data is no pointer to a struct",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_this_kernel_does_not_have_is_one_sentence(lab: Lab, name: str) -> None:
    done = lab.netns("hv-a").run([PYTHON, COMMANDS["datapath_tracing"], "--field", name, "--duration", 1], check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: " + REFUSED[name])
    assert done.stderr.count("\n") == 1


def test_a_stack_at_a_point_that_is_no_drop(lab: Lab) -> None:
    with tracing(lab.netns("hv-a"), "datapath_tracing", *OURS, "--point", "dev.rx", "--stack", "dev.tx") as tracer:
        send(lab)
        records = tracer.stop()
    taken = Counter((one["point"], "stack" in one) for one in records)
    assert taken == {("dev.rx", False): SENT, ("dev.tx", True): SENT}
    for one in records:
        if "stack" in one:
            functions = [frame.split("+")[0] for frame in one["stack"]]
            assert functions[0] == "dev_hard_start_xmit"
            assert "br_dev_queue_push_xmit" in functions


@pytest.mark.parametrize(("name", "why"), [
    ("func:netif_receive_skbb", "no function netif_receive_skbb: it was inlined, or its module is not loaded; "
                                "the nearest are netif_receive_skb"),
    ("func:vfs_read", "function vfs_read takes no struct sk_buff *: its arguments are "),
    ("func:ip_rcv@dev", "argument dev of ip_rcv is no struct sk_buff *; skb is")])
def test_a_function_that_is_no_point_says_why(lab: Lab, name: str, why: str) -> None:
    done = lab.netns("hv-a").run([PYTHON, COMMANDS["datapath_tracing"], "--point", name, "--duration", 1], check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: none of the points can be attached: %s: %s" % (name, why))
