# SPDX-License-Identifier: Apache-2.0
"""What ofproto/trace prints, as Open vSwitch 3.1 printed it."""
from fleetmerge.findings.causes.traced import Part, Step, parts_of

ASIDE = """Flow: udp,in_port=1,vlan_tci=0x0000
bridge("br9")
-------------
 0. ip,in_port=1, priority 32768
    resubmit(,5)
     5. ip, priority 7
            drop
    output:2
bridge("br8")
-------------
 0. ip,nw_dst=10.0.0.2, priority 5
    drop
Final flow: unchanged
Megaflow: recirc_id=0,eth,udp,in_port=1,nw_dst=10.0.0.2,nw_frag=no
Datapath actions: drop"""
CLONED = """bridge("br9")
-------------
 0. tcp,in_port=1, priority 40000
    clone(output:2)
    output:2
    bridge("br8")
    -------------
         0. ip,nw_dst=10.0.0.2, priority 5
            drop
    resubmit(,5)
 5. ip, priority 7
    drop
Final flow: unchanged
Megaflow: recirc_id=0,eth,tcp,in_port=1,nw_dst=10.0.0.2,nw_frag=no
Datapath actions: drop"""
STATED = """bridge("br0")
-------------
 0. tcp,tp_dst=5004, priority 90
    ct(table=1)
    drop
     -> A clone of the packet is forked to recirculate. The forked pipeline will be resumed at table 1.
Final flow: unchanged
Megaflow: recirc_id=0,eth,tcp,in_port=1,nw_frag=no,tp_dst=5004
Datapath actions: ct,recirc(0x2)
===============================================================================
recirc(0x2) - resume conntrack with default ct_state=trk|new (use --ct-next to customize)
===============================================================================
Flow: recirc_id=0x2,ct_state=new|trk,eth,tcp,in_port=1
bridge("br0")
-------------
    thaw
        Resuming from table 1
 1. ct_state=+new+trk,in_port=1, priority 10, cookie 0x9
    drop
Final flow: unchanged
Megaflow: recirc_id=0x2,ct_state=+new+trk,eth,ip,in_port=1,nw_frag=no
Datapath actions: drop"""
ENDLESS = """bridge("br9")
-------------
 0. arp, priority 32768
    resubmit(,6)
64. No match.
     >> stack underflow on stack pop
     >>>> resubmit actions recursed over 64 times <<<<
Final flow: unchanged
Megaflow: recirc_id=0,eth,arp
Datapath actions: drop
Translation failed (Recursion too deep), packet is dropped."""


def test_a_trace_that_is_too_long_has_no_parts() -> None:
    """Each line is held against all before it, and a host may say what it likes."""
    lines = ["     0. priority 0", *["    note"] * 1997, "Megaflow: recirc_id=0", "Datapath actions: drop"]
    assert len(parts_of(lines[:1] + lines[2:])) == 1 and len(parts_of(lines)) == 1
    assert parts_of([*lines, "    note"]) == []


def of(text: str) -> list[Part]:
    return parts_of(text.splitlines())


def ends(text: str) -> list[tuple[str, int, str]]:
    (part,) = of(text)
    return [(step.bridge, step.table, ",".join(step.actions)) for step in part.ends]


def test_a_table_that_is_asked_beside_the_way() -> None:
    """It did not send the packet anywhere either; the last one is where the way ended."""
    assert ends(ASIDE) == [("br9", 5, "drop"), ("br8", 0, "drop")]
    (part,) = of(ASIDE)
    assert [(step.actions, step.passed_on) for step in part.steps][0] == (["resubmit(,5)", "output:2"], True)
    assert ends(ASIDE.replace("            drop\n", "            load:0->NXM_NX_REG0[]\n")) == [("br8", 0, "drop")]


def test_a_copy_for_another_bridge() -> None:
    assert ends(CLONED) == [("br8", 0, "drop"), ("br9", 5, "drop")]


def test_what_goes_on_behind_conntrack() -> None:
    first, second = of(STATED)
    assert (first.resumed, first.drops, first.actions) == ("", False, "ct,recirc(0x2)")
    assert second.resumed.startswith("conntrack with default ct_state=trk|new")
    assert (second.drops, second.megaflow) == (
        True, "recirc_id=0x2,ct_state=+new+trk,eth,ip,in_port=1,nw_frag=no")
    assert second.ends == [Step("br0", 1, "ct_state=+new+trk,in_port=1, priority 10, cookie 0x9", 0,
                                "ct_state=+new+trk,in_port=1", 10, "0x9", ["drop"])]


def test_a_translation_that_failed() -> None:
    (part,) = of(ENDLESS)
    (step,) = part.ends
    assert (step.table, step.priority, step.notes) == (64, None, [
        "stack underflow on stack pop", "resubmit actions recursed over 64 times",
        "Translation failed (Recursion too deep)"])


def test_what_is_no_trace_has_no_parts() -> None:
    assert of("") == of("bridge\n    drop\n\n 0. x") == []
