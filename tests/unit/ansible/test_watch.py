# SPDX-License-Identifier: Apache-2.0
"""What is shown of hosts while their window is open: counters as they are, and never more than there is room for."""
import json

import pytest
from ansible.module_utils.skbfleet_counted import Counted, question, read_answer, table
from ansible.module_utils.skbfleet_watch import frame, ready, rounds
from support.terminal import screen

START, END, SECOND = 1000.0, 1060.0, 10 ** 9


def said(at: float, *records: int, behind: float = 0.2, **more: object) -> str:
    """What a host says at a moment: so many records of each of its tracers."""
    statuses = [{"state": "started", "why": "", "updated_ns": int((at - behind) * SECOND), "records": number, "lost": 0,
                 "shed": 0, "window": {"start_realtime_ns": int(START * SECOND)}, **more} for number in records]
    return "%d\n" % (at * SECOND) + "".join(map(json.dumps, statuses))


def counted(*words: str) -> Counted:
    host = Counted()
    for text in words:
        host.take(read_answer(text))
    return host


def line(host: Counted, now: float, waited: int = 0) -> str:
    return host.text(START, END, now, waited)


def test_counters_of_both_tracers_and_how_fast_they_rise():
    host = counted(said(1010.2, 100, 0))
    assert line(host, 1010.4) == "50 s left, 100 records (10/s), 0 lost, 0 shed"
    host.take(read_answer(said(1015.2, 600, 50, lost=3, shed=4)))
    assert line(host, 1015.4) == "45 s left, 650 records (110/s), 6 lost, 8 shed"
    host.take(read_answer(said(1015.3, 600, 50, behind=0.3)))     # the same status once more tells nothing new
    assert " (110/s)" in line(host, 1015.5)


def test_before_the_window_opens_nothing_is_counted():
    armed = json.dumps({"state": "armed", "why": "", "updated_ns": 995 * SECOND, "records": 0})
    assert line(counted("%d %s" % (998 * SECOND, armed)), 997.6) == "opens in 2 s"


@pytest.mark.parametrize(("more", "remark"), [
    ({"state": "failed", "why": "it\nbroke"}, "a tracer has ended: it broke"), ({"state": "finished"}, ""),
    ({"behind": 7.5}, "a tracer has written nothing for 7 s"), ({"behind": 4}, "")])
def test_what_is_odd_about_a_tracer_is_said(more, remark):
    host = counted(said(1010, 1, **more))
    assert line(host, 1010).partition("; ")[2] == remark
    assert host.troubled() == bool(remark)


def test_a_host_that_does_not_answer_keeps_what_it_said():
    host = counted(said(1010.2, 100))
    host.take({"failed": True, "msg": "gone\x1b"})
    assert line(host, 1015) == "45 s left, 100 records, 0 lost, 0 shed; it cannot be asked: gone\\x1b"
    assert line(Counted(), 1015, waited=3) == "45 s left; it has not answered for 3 s"
    host.take(read_answer(said(1020.2, 300)))
    assert line(host, 1020) == "40 s left, 300 records (20/s), 0 lost, 0 shed"


@pytest.mark.parametrize("text", ["", "7", "{}", "7 []", "7 {}", "-7" + said(1, 1)[10:], "cat: no such file",
                                  said(1010, -1), said(1010, 1 << 63), said(1010, 1, state="odd"), "1" + "[" * 10 ** 5])
def test_other_words_are_no_answer(text):
    assert read_answer(text) is None


def test_a_host_whose_connection_cannot_be_made_hides_no_other_one():
    def make(host: str, directories: list[str]) -> list[str]:
        if host == "hv-b":
            raise ValueError("no such\nplugin")
        return [host, *directories]
    looks, hosts = ready({"hv-a": ["/x"], "hv-b": ["/x"], "hv-c": ["/x"]}, make)
    assert looks == {"hv-a": ["hv-a", "/x"], "hv-c": ["hv-c", "/x"]}
    assert table(hosts, {}, START, END, 1010, 5)[1] == "tracing  hv-b: 50 s left; it cannot be asked: no such plugin"
    assert [hosts[name].troubled() for name in hosts] == [False, True, False]


def test_there_is_a_line_for_each_host_or_for_those_in_trouble():
    hosts = {"hv-%d" % number: counted(said(1010.2, 10)) for number in range(5)}
    every = table(hosts, {}, START, END, 1010, 5)
    assert [text.partition(": ")[0] for text in every] == ["tracing  " + name for name in hosts]
    few = table(hosts, {"hv-4": 2}, START, END, 1010, 3)
    assert [text.partition(": ")[0] for text in few] == ["tracing  hv-4", "tracing  hv-0", "tracing  and 3 more hosts"]
    assert few[2].endswith(": 30 records, 0 lost, 0 shed")
    assert table(hosts, {}, START, END, 999, 5)[0] == "armed    hv-0: opens in 1 s"


@pytest.mark.parametrize(("terminal", "seconds", "times"), [
    (False, 4, []), (False, 10, [5]), (False, 20, [5, 10, 15]), (False, 3600, [900, 1800, 2700]),
    (True, 4, []), (True, 12, [-2, 3, 8]), (True, 6, [-2, 3])])
def test_when_hosts_are_asked(terminal, seconds, times):
    assert [at - START for at in rounds(terminal, START - 3, START, START + seconds)] == times


def test_a_long_window_and_one_that_opens_tomorrow_are_not_asked_all_the_time():
    assert len(rounds(True, START, START, START + 86400)) <= 121
    assert min(rounds(True, START - 86400, START, START + 60)) == START - 5


def test_lines_are_refreshed_in_place():
    shown = "before\r\n" + frame(["one", "two"], 0, 80) + frame(["three", "a line that is too long"], 2, 10)
    assert screen(shown) == ["before", "three", "a line tha", ""]
    assert screen(shown + frame(["end"], 2, 10)) == ["before", "end", ""]


def test_names_of_directories_are_words_of_the_command():
    assert question(["/a b/x", "/c"]) == "date +%s%N; cat '/a b/x/status.json' /c/status.json"
