# SPDX-License-Identifier: Apache-2.0
"""What the verdict says in words, and what it says that a drop means."""
import re
from typing import Any

import pytest
from support.fleet import Fleet, merged, udp_packet

from fleetmerge.findings import meaning


@pytest.mark.parametrize(("function", "reason", "words"), [
    ("tun_net_xmit", "FULL_RING", "tap's ring was full"), ("tun_net_xmit", None, "the tap could not take it"),
    ("nft_do_chain", "NETFILTER_DROP", "firewall"), ("nf_hook_slow", None, "firewall"),
    ("nf_hook_slow.isra.0", "NOT_SPECIFIED", "firewall"), ("ip_rcv_finish_core", "IP_RPFILTER", "reverse path"),
    ("whatever", "NEIGH_FAILED", "MAC address could not be found"), ("whatever", "NOT_SPECIFIED", "no reason")])
def test_meanings(function: str, reason: str | None, words: str) -> None:
    found = meaning.meaning(function, reason)
    assert found is not None
    assert words in found.means and found.look_at and re.match(r"(drivers|include|net)/.+\.[ch]$", found.source)


def test_what_nobody_knows_is_not_explained() -> None:
    assert meaning.meaning("some_function", "SOME_REASON") is None
    assert meaning.meaning(None, None) is None


def test_a_reason_of_a_newer_kernel_is_told_as_itself(tmp_path: Any) -> None:
    fleet = Fleet()
    fleet.talk()
    for number in range(30):
        fleet.send(1 + 0.01 * number, udp_packet(number), drop=number == 9)
    fleet.b.manifest["drop_reasons"]["77"] = "OF_A_NEWER_KERNEL"
    page = text(tmp_path, fleet)
    assert "in tun_net_xmit (OF_A_NEWER_KERNEL)" in page
    assert ("The dictionary of drops does not know the reason OF_A_NEWER_KERNEL. Usually: the tap could not take it" in
            page.replace("\n  ", " "))


def text(tmp_path: Any, fleet: Fleet, expected: tuple[str, ...] = ()) -> str:
    run = fleet.write(tmp_path)
    merged(run, expected)
    return (run / "verdict.txt").read_text()


def test_the_page(tmp_path: Any) -> None:
    """Everything that a support engineer has to paste, on one page."""
    fleet = Fleet()
    fleet.talk()
    for number in range(100):
        fleet.send(1 + 0.01 * number, udp_packet(number), lose=number in (3, 4), drop=number == 9)
    fleet.a.manifest["devices"][0]["statistics"]["after"]["tx_dropped"] = 2
    page = text(tmp_path, fleet, ("hv-a", "hv-b", "hv-c"))
    for words in (
            "hosts    2 of 3 complete; 1197 records", "Of 300 packets in 3 flows, 3 were lost.",
            "1 packet was dropped on hv-b at vnet0 in tun_net_xmit (FULL_RING); the device's own drop counters did "
            "not move.", "Usually: the VM did not take packets",
            "2 packets vanished between hv-a eth0 (dev.tx) and hv-b eth0 (dev.rx): hv-b, which was recording and "
            "lost no record, never saw what hv-a had sent. That leaves what is between the two devices, or a device "
            "itself: eth0 on hv-a: the device's own tx_dropped counter rose by 2; eth0 on hv-b: the device's own drop "
            "counters did not move.",
            "Most of the time goes to: hv-a eth0 (dev.tx) to hv-b eth0 (dev.rx): median 50 µs",
            "Nothing came from hv-c: no bundle came from it.",
            "192.168.32.10 > 192.168.32.20, 98 packets: hv-a vnet0 dev.rx > hv-a eth0 dev.tx > hv-b eth0 dev.rx > "
            "hv-b vnet0 dev.tx"):
        assert words in page
    row = next(line for line in page.splitlines() if line.startswith("hv-a eth0 dev.tx"))
    assert row.split()[6:8] == ["198", "2"]


def test_a_limit_that_was_shared_says_so(tmp_path: Any) -> None:
    fleet = Fleet()
    fleet.talk()
    fleet.b.manifest["counters"].update(shed=5)
    fleet.b.manifest["guards"] = {"max_rate": 20, "captures": 3, "least_rate": 6}
    assert ("to keep to its limit of 20 records a second, at times 6, for 3 captures at once share it ("
            in text(tmp_path, fleet))


def test_what_was_shed_is_weighed_as_what_was_lost(tmp_path: Any) -> None:
    fleet = Fleet()
    fleet.talk()
    for number in range(100):
        fleet.send(1 + 0.01 * number, udp_packet(number), lose=number in (3, 4))
    fleet.b.manifest["counters"].update(shed=5)
    fleet.b.manifest["guards"] = {"max_rate": 20}
    run = fleet.write(tmp_path)
    summary = merged(run)
    page = (run / "verdict.txt").read_text()
    assert ("hv-b shed 5 records of its datapath_tracing to keep to its limit of 20 records a second (596 were kept): "
            "its counts are minima.") in page
    assert "cannot be said: hv-b shed 5 records to keep to its rate limit." in page
    assert "vanished" not in page
    assert [(host["shed"], host["lost"]) for host in summary["hosts"].values()] == [(0, 0), (5, 0)]
    assert [host["tracers"]["datapath_tracing"]["shed"] for host in summary["hosts"].values()] == [0, 5]


def test_no_packet_was_lost_where_records_were_shed_is_no_promise(tmp_path: Any) -> None:
    fleet = Fleet()
    fleet.talk()
    fleet.b.manifest["counters"].update(shed=5)
    assert "No packet was lost as far as can be seen, but records are missing from hv-b." in text(tmp_path, fleet)


def test_what_is_unknown_is_said_to_be(tmp_path: Any) -> None:
    fleet = Fleet()
    fleet.talk()
    for number in range(100):
        fleet.send(1 + 0.01 * number, udp_packet(number), lose=number in (3, 4))
    fleet.b.manifest["counters"].update(lost=5, shed=7, written=1)
    page = text(tmp_path, fleet)
    assert "Of 300 packets in 3 flows, 0 were lost and of 2 nobody can tell." in page
    assert re.search(r"^hosts    2 of 2 complete; \d+ records, 5 lost, 7 shed$", page, re.M)
    assert ("What became of 2 packets between hv-a eth0 (dev.tx) and hv-b eth0 (dev.rx) cannot be said: hv-b lost 5 "
            "records.") in page
    assert "vanished" not in page


def test_what_a_host_says_it_looked_for_stays_in_its_place(tmp_path: Any) -> None:
    """Of a manifest, texts reach the page: they make no lines of their own there, and no sentence beside their own."""
    fleet = Fleet()
    fleet.talk()
    for number in range(30):
        fleet.send(1 + 0.01 * number, udp_packet(number), lose=number == 3)
    fleet.a.manifest["filter"] = {"x\ny": "a\nVERDICT\n- forged \x1b[31m"}
    fleet.b.manifest["filter"] = {"filter": 'udp" only. All is "well'}
    fleet.b.manifest["limits"] = [{"limit": "max_records\n- forged", "value": "1\x1b[2J", "what": "x\u2028y"}]
    page = text(tmp_path, fleet)
    assert 'filter   x_y="a_VERDICT_- forged _[31m"' in page.splitlines()
    assert 'hv-b looked for filter="udp\\" only. All is \\"well" only' in page
    assert "hit its limit max_records_- forged = 1_[2J" in page
    assert "\x1b" not in page and "\u2028" not in page and page.count("\nVERDICT\n") == 1


def test_what_is_likely_is_said_as_that(tmp_path: Any) -> None:
    """The last two never come, and nothing of the flow after them: its receiver may have moved."""
    fleet = Fleet()
    fleet.talk()
    for number in range(100):
        fleet.send(1 + 0.01 * number, udp_packet(number), lose=number in (3, 98, 99))
    page = text(tmp_path, fleet)
    assert "Of 300 packets in 3 flows, 1 was lost and 2 probably." in page
    assert ("Probably 2 packets vanished between hv-a eth0 (dev.tx) and hv-b eth0 (dev.rx): hv-b, which was recording "
            "and lost no record, never saw what hv-a had sent. That is not certain: no later packet of this flow came "
            "to hv-b") in page
    assert "1 packet vanished between hv-a eth0 (dev.tx) and hv-b eth0 (dev.rx)" in page
