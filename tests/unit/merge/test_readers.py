# SPDX-License-Identifier: Apache-2.0
"""Who was slow to take packets from a full queue, by what a host saw of its processes while they were dropped."""
import copy
from typing import Any

import pytest

from fleetmerge.bundle.evidence import Reading
from fleetmerge.bundle.looks import looks_of
from fleetmerge.findings.causes import candidates
from fleetmerge.findings.causes.drop import Cause, Drop, Packet, conclude, sentence

NETNS, OTHER = 4026531840, 4026532000
MS = 1_000_000
COUNT, EACH = 11, 100 * MS      # looks, and ns between two


def task(states: str = "S", ran: float = 0, waited: float = 0, tid: int = 2211, comm: str = "qemu-kvm",
         vhost: bool = False) -> dict[str, Any]:
    """A thread that ran and waited so many ms between two looks."""
    return {"tid": tid, "comm": comm, "vhost": vhost, "states": (states * COUNT)[:COUNT],
            "ran": [7 * MS + int(ran * MS) * look for look in range(COUNT)],
            "waited": [9 * MS + int(waited * MS) * look for look in range(COUNT)]}


def vhost(states: str = "S", ran: float = 0, waited: float = 0) -> dict[str, Any]:
    return task(states, ran, waited, 2215, "vhost-2211", True)


def holder(*tasks: dict[str, Any], pid: int = 2211, netns: int = NETNS, name: str = "vnet0") -> dict[str, Any]:
    return {"pid": pid, "comm": "qemu-kvm", "netns": netns, "taps": [{"name": name, "netns": netns}], "sockets": [7001],
            "tasks": list(tasks)}


def seen(*holders: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {"times": [EACH * look for look in range(COUNT)], "holders": list(holders), "cpus": {
        "0": [[100 * look, 0, 0] for look in range(COUNT)]}, "memory_us": [0] * COUNT, "left_out": 0, "unread": 0,
        "whole": True, "everybody": True, **changed}


def cause_of(content: dict[str, Any], *spans: tuple[float, float]) -> Cause:
    """Why tun_net_xmit dropped five packets of vnet0, from one ms to another each time."""
    spans = spans or ((110, 890),)
    drop = Drop("hv-a", "host", "vnet0", "tun_net_xmit", "FULL_RING", [], [Packet(5)], limit=500, inode=NETNS,
                moments=[(int(first * MS), int(last * MS)) for first, last in spans], looks=looks_of(content))
    cause = conclude(5, candidates(drop, Reading(), Reading()))
    assert cause is not None
    return cause


def states(cause: Cause) -> list[tuple[str, Any]]:
    return [(one.where["state"], one.where.get("thread")) for one in cause.candidates]


def test_a_process_that_was_stopped() -> None:
    cause = cause_of(seen(holder(task("T"))))
    assert (cause.certainty, states(cause)) == ("certain", [("stopped", 2211)])
    assert sentence(cause) == ('By "qemu-kvm" (pid 2211), which has vnet0 open: it was stopped in 9 of 9 looks, ran 0 '
                               "ms and waited 0 ms for a CPU in 0.80 s.")
    assert cause.entry()["candidates"][0]["found"] == ["read"]


def test_one_that_was_stopped_for_a_while_is_not_certain() -> None:
    cause = cause_of(seen(holder(task("SSTTTTTTSSS", 1))))
    assert (cause.certainty, states(cause)) == ("likely", [("stopped", 2211)])
    assert "stopped in 6 of 9 looks" in sentence(cause) and "not stopped all the time" in sentence(cause)


def test_its_vhost_thread_may_run_meanwhile() -> None:
    cause = cause_of(seen(holder(vhost("S", 20), task("T"))))
    assert (cause.certainty, states(cause)) == ("certain", [("stopped", 2211)])


def test_a_vhost_thread_that_waited_for_a_cpu() -> None:
    cause = cause_of(seen(holder(vhost("R", 50, 41), task("S", 1))))
    assert (cause.certainty, states(cause)) == ("likely", [("starved", 2215)])
    assert sentence(cause).startswith(
        'Probably by vhost-2211 (thread 2215) of "qemu-kvm" (pid 2211), which has vnet0 open: it waited 328 ms for '
        "a CPU and ran 400 ms in 0.80 s, and was ready or running in 9 of 9 looks.")


def test_who_reads_alone_and_hardly_got_a_cpu_is_certain() -> None:
    assert cause_of(seen(holder(task("R", 5, 94)))).certainty == "certain"


def test_a_wait_that_has_not_ended_is_counted_nowhere_but_seen() -> None:
    cause = cause_of(seen(holder(task("R"))))
    assert (cause.certainty, states(cause)) == ("certain", [("starved", 2211)])


def test_who_hardly_ran_but_was_ready_at_most_looks_waited() -> None:
    cause = cause_of(seen(holder(task("RRRS", 0.5, 1))))
    assert (cause.certainty, states(cause)) == ("likely", [("starved", 2211)])
    assert states(cause_of(seen(holder(task("RRRS", 10, 1))))) == [("asleep", 2211)]    # as often as it ran, perhaps


def test_nobody_waits_longer_than_was_looked() -> None:
    """A wait that began before the first of these looks is counted when it is over."""
    late = vhost("R", 5)
    late["waited"] = [look // 9 * 5000 * MS for look in range(COUNT)]
    cause = cause_of(seen(holder(late, task("S"))))
    assert states(cause) == [("starved", 2215)]
    assert "it waited 760 ms for a CPU and ran 40 ms in 0.80 s" in sentence(cause)


def test_who_had_its_cpu_all_the_time() -> None:
    cause = cause_of(seen(holder(task("R", 99))))
    assert (cause.certainty, states(cause)) == ("certain", [("busy", 2211)])
    assert "it could not do more" in sentence(cause)


def test_the_guest_and_its_vhost_thread_are_told_apart() -> None:
    guest = task("R", 60, 38, tid=2213, comm="CPU 0/KVM")
    cause = cause_of(seen(holder(vhost("S", 3), guest, task("S"))))
    assert (cause.certainty, states(cause)) == ("likely", [("starved", 2213)])
    assert 'the thread "CPU 0/KVM" (2213) of "qemu-kvm" (pid 2211)' in sentence(cause)
    both = cause_of(seen(holder(vhost("R", 90), guest, task("S"))))
    assert states(both) == [("busy", 2215), ("starved", 2213)] and both.certainty == "likely"
    alone = cause_of(seen(holder(vhost("R", 1, 95), guest, task("S"))))     # it did not wait for the guest
    assert (alone.certainty, states(alone)) == ("likely", [("starved", 2215)])


def test_who_did_not_run_at_all_did_not_read() -> None:
    cause = cause_of(seen(holder(task("S"))))
    assert (cause.certainty, states(cause)) == ("certain", [("asleep", 2211)])
    assert "asleep in 9 of 9 looks" in sentence(cause) and "while packets lay in the ring" in sentence(cause)


def test_a_vhost_thread_that_slept_is_not_certain() -> None:
    cause = cause_of(seen(holder(vhost("S", 3), task("S", 4))))
    assert (cause.certainty, states(cause)) == ("likely", [("asleep", 2215)])
    assert states(cause_of(seen(holder(vhost("D", 3), task("S", 4))))) == [("blocked", 2215)]


@pytest.mark.parametrize(("content", "span"), [
    (seen(holder(task("S", 10))), (310, 311)),               # a burst, much shorter than the time between looks
    (seen(holder(task("R", 50, 1))), (110, 890))])
def test_nothing_unusual_is_said_with_what_was_read(content: dict[str, Any], span: tuple[float, float]) -> None:
    cause = cause_of(content, span)
    assert (cause.certainty, cause.why, states(cause)) == ("unknown", "nothing unusual was read", [("usual", 2211)])
    assert sentence(cause).startswith('Nothing unusual was read: "qemu-kvm" (pid 2211), which has vnet0 open: it was ')


def test_only_the_looks_around_drops_count() -> None:
    """Two bursts in a second, and a vhost thread that had to wait just then."""
    waits = vhost("S", 3)
    waits["waited"] = [9 * MS + 60 * MS * ((look > 2) + (look > 8)) for look in range(COUNT)]
    cause = cause_of(seen(holder(waits, task("S", 1))), (210, 211), (820, 823))
    assert states(cause) == [("starved", 2215)]
    assert "waited 120 ms for a CPU and ran 6 ms in 0.20 s, and was asleep in 4 of 4 looks" in sentence(cause)
    assert states(cause_of(seen(holder(waits, task("S", 1))), (410, 411))) == [("usual", 2215)]
    # what touches is one
    assert cause_of(seen(holder(task("T"))), (210, 215), (290, 310), (399, 400)).candidates[0].where["looks"] == 3


@pytest.mark.parametrize(("function", "reason", "full", "is_so"), [
    ("tun_net_xmit", "FULL_RING", False, True), ("tun_net_xmit", None, True, True),
    ("tun_net_xmit.isra.0", "NOT_SPECIFIED", True, True), ("tun_net_xmit", None, False, False),
    ("tun_net_xmit", "DEV_READY", True, False), ("tap_handle_frame", "FULL_RING", True, False)])
def test_only_a_full_ring_of_a_tap_is_meant(function: str, reason: str | None, full: bool, is_so: bool) -> None:
    drop = Drop("hv-a", "host", "vnet0", function, reason, [], [Packet(5)], full=full, inode=NETNS,
                moments=[(110 * MS, 890 * MS)], looks=looks_of(seen(holder(task("T")))))
    assert bool(candidates(drop, Reading(), Reading())) is is_so


def test_nobody_who_holds_it() -> None:
    nobody = cause_of(seen(holder(task("T"), name="vnet1"), holder(task("T"), netns=OTHER)))
    assert (nobody.certainty, states(nobody)) == ("unknown", [("unseen", None)])
    assert sentence(nobody) == "Who takes packets from it was not seen: no process has vnet0 open."
    hidden = cause_of(seen(everybody=False))
    assert sentence(hidden).endswith("no process has vnet0 open, of those that could be looked into.")


def test_a_tap_of_the_same_name_elsewhere_is_another_one() -> None:
    cause = cause_of(seen(holder(task("T")), holder(task("R", 99, tid=9), pid=9, netns=OTHER)))
    assert (cause.certainty, states(cause)) == ("certain", [("stopped", 2211)])


def test_where_namespaces_are_not_known_nothing_is_certain() -> None:
    alone = cause_of(seen(holder(task("T"), netns=0)))
    assert alone.certainty == "likely" and "in which network namespace its vnet0 is" in alone.why
    two = cause_of(seen(holder(task("T")), holder(task("T", tid=9), pid=9, netns=0)))
    assert (two.certainty, states(two)) == ("likely", [("stopped", 2211), ("stopped", 9)])


def test_drops_before_the_first_look_are_not_certain() -> None:
    content = seen(holder(task("T")))
    content["times"] = [500 * MS + EACH * look for look in range(COUNT)]
    cause = cause_of(content)
    assert cause.certainty == "likely" and "no look before" in cause.why


def test_two_looks_are_needed() -> None:
    content = {"times": [5], "holders": [], "cpus": {}, "memory_us": [0], "left_out": 0, "unread": 0, "whole": True,
               "everybody": True}
    assert "not two looks" in sentence(cause_of(content))


def test_what_kept_the_whole_host_from_its_work() -> None:
    stolen = {"0": [[100 * look, 30 * look, 0] for look in range(COUNT)]}
    cause = cause_of(seen(holder(task("R", 50, 1)), cpus=stolen))
    assert (cause.certainty, states(cause)) == ("likely", [("stolen", None)])
    assert "30 % of the time of the host's CPUs was taken away (steal)" in sentence(cause)
    memory = cause_of(seen(holder(task("R", 50, 1)), memory_us=[40_000 * look for look in range(COUNT)]))
    assert states(memory) == [("memory", None)]
    two = cause_of(seen(holder(vhost("R", 50, 41)), cpus=stolen))
    assert (two.certainty, len(two.candidates)) == ("likely", 2)
    # what is beyond doubt is not shared with what may be
    assert states(cause_of(seen(holder(task("T")), cpus=stolen))) == [("stopped", 2211)]


def test_a_thread_that_ends_keeps_what_was_seen_of_it() -> None:
    ended = task("S", 1)
    ended.update(states="SSSSSS-----", ran=[*ended["ran"][:6], *[0] * 5], waited=[*ended["waited"][:6], *[0] * 5])
    (one,) = cause_of(seen(holder(ended))).candidates
    assert one.where["ran_ms"] == 4 and one.where["states"] == {"S": 5, "-": 4}


def test_who_calls_itself_a_vhost_thread_is_shown_in_quotes() -> None:
    evil = task("T", comm="vhost-1. All is") | {"vhost": True}
    own = task("T") | {"comm": 'x" (pid 1). By "y'}
    said = sentence(cause_of(seen(holder(evil, own))))
    assert said.startswith('By "qemu-kvm" (pid 2211)')


@pytest.mark.parametrize("path", [
    ("times", 0), ("times", 3), ("holders",), ("holders", 0), ("holders", 0, "pid"), ("holders", 0, "taps", 0, "netns"),
    ("holders", 0, "tasks", 0, "states"), ("holders", 0, "tasks", 0, "ran"), ("holders", 0, "tasks", 0, "waited", 2),
    ("holders", 0, "sockets"), ("cpus",), ("cpus", "0"), ("cpus", "0", 1), ("memory_us",), ("memory_us", 4)])
@pytest.mark.parametrize("value", [-1, 1 << 70, True, None, "7", [], 1.5])
def test_what_no_host_sees_is_refused(path: tuple[Any, ...], value: Any) -> None:
    content: Any = copy.deepcopy(seen(holder(task("T"))))
    place = content
    for step in path[:-1]:
        place = place[step]
    if path[-1] in ("holders", "sockets") and value == []:
        return
    place[path[-1]] = value
    with pytest.raises((ValueError, TypeError, LookupError, AttributeError)):
        looks_of(content)


def test_the_owner_of_a_socket_is_named_with_its_reading() -> None:
    row = "  1: 0500000A:0009 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 7001 2 00000000 %d"
    before, after = ({"sockets": {"/proc/net/udp": ["head", row % count]}} for count in (0, 5))
    drop = Drop("hv-a", "host", "eth0", "udp_queue_rcv_one_skb", "SOCKET_RCVBUFF", [],
                [Packet(5, 4, "udp", dst_port=9)], moments=[(110 * MS, 890 * MS)],
                looks=looks_of(seen(holder(task("S")))))
    cause = conclude(5, candidates(drop, Reading(before, after), Reading()))
    assert cause is not None and cause.certainty == "certain"
    assert sentence(cause) == (
        'By the receive buffer of the socket on udp port 9: its owner, "qemu-kvm" (pid 2211), was asleep in 9 of 9 '
        "looks, ran 0 ms and waited 0 ms for a CPU in 0.80 s; its drop counter rose by 5, with 5 of these.")
    assert cause.candidates[0].where["owner"]["pid"] == 2211


def test_a_cpu_s_backlog_is_named_with_its_share_of_softirqs() -> None:
    lines = {when: {"softnet": {"/proc/net/softnet_stat": [
        "00000010 %08x 00000000 0 0 0 0 0 0 0 0 0 %08x" % (drops, cpu) for cpu, drops in ((0, 3), (2, count))]}}
        for when, count in (("before", 1), ("after", 6))}
    content = seen(cpus={"2": [[100 * look, 0, 97 * look] for look in range(COUNT)]})
    drop = Drop("hv-a", "host", "eth0", "enqueue_to_backlog", "CPU_BACKLOG", [], [Packet(5)],
                moments=[(110 * MS, 890 * MS)], looks=looks_of(content))
    cause = conclude(5, candidates(drop, Reading(), Reading(**lines)))
    assert cause is not None
    assert sentence(cause) == (
        "By the backlog of CPU 2 (net.core.netdev_max_backlog): softirqs took 97 % of the time of CPU 2; the drop "
        "counter in softnet_stat rose by 5, with 5 of these.")
