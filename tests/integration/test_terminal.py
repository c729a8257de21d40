# SPDX-License-Identifier: Apache-2.0
"""What a person sees of a capture, in a log and on a terminal, where Ctrl-C ends the window early."""
import re

import pytest
from support.lab import Lab
from support.playbooks import NOTHING_MATCHED, Play, wait_for_open_window
from support.terminal import screen, terminal

BOTH = ("hv-a", "hv-b")
PINGS = 10
RECORDS = PINGS * (2 * 2 + 1)    # on each host: there and back, received and sent; the kernel frees one of them there


@pytest.fixture
def play(tmp_path) -> Play:
    return Play(tmp_path / "captures")


def test_a_clean_capture_is_a_few_lines(lab, play):
    done = play.run("reproduce.yml", capture_run_id="few", capture_protocol="icmp", capture_duration=60,
                    reproduce_command="ip netns exec vm-a ping -q -c 10 -i 0.02 192.168.32.20")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert len(lines) <= 25, done.stdout
    assert "run few on hv-a, hv-b" in lines[:3]
    assert "armed    hv-a, hv-b: datapath_tracing, drop_monitor" in lines
    for host in ("hv-a", "hv-b"):
        records = sum(play.manifest("few", host, tracer)["counters"]["written"]
                      for tracer in ("datapath_tracing", "drop_monitor"))
        assert any(line.startswith("ended ") and host in line and line.endswith(f"complete: {records} records")
                   for line in lines), done.stdout
    verdict = play.summary("few")["verdict"]
    start = lines.index("VERDICT") + 1
    assert [line[2:] for line in lines[start:start + len(verdict)]] == verdict


def test_ansible_s_own_output_is_there_when_asked_for(lab, play):
    done = play.run("preflight.yml", "-v")
    assert done.returncode == 0, done.stdout
    assert "PLAY RECAP" in done.stdout
    assert "TASK [preflight : report | Show the table]" in done.stdout


def test_ctrl_c_ends_the_window_early_and_gives_the_verdict(lab, play):
    def ping_and_interrupt() -> str:
        for name in ("hv-a", "hv-b"):
            wait_for_open_window(lab.netns(name), "early", "datapath_tracing", 20)
        lab.netns("vm-a").run(["ping", "-q", "-c", "5", "-i", "0.02", lab.address("vm-b")])
        return "\x03"
    command = play.command("capture.yml", capture_run_id="early", capture_protocol="icmp", capture_duration=3000)
    status, shown = terminal(command, {**play.environment, "TERM": "xterm"},
                             [("Ctrl-C ends it early", ping_and_interrupt)])
    assert status == 0, shown
    assert "VERDICT" in shown
    for host in ("hv-a", "hv-b"):
        manifest = play.manifest("early", host, "datapath_tracing")
        assert manifest["per_point"]["dev.rx"]["matched"] == 10
        assert manifest["window"]["ended_ns"] < manifest["window"]["start_ns"] + 2000 * 10 ** 9


def test_a_window_that_is_closed_before_it_opens_is_said_to_be(lab, play):
    command = play.command("capture.yml", capture_run_id="never", capture_protocol="icmp", capture_duration=3000,
                           capture_start_delay=600)
    status, shown = terminal(command, {**play.environment, "TERM": "xterm"}, [("Ctrl-C ends it early", "\x03")])
    assert status == NOTHING_MATCHED, shown
    for host in ("hv-a", "hv-b"):
        assert f"- The window of {host} was closed before it opened: nothing could be recorded." in shown


def test_a_command_does_not_run_before_its_window_whoever_is_impatient(lab, play):
    command = play.command("reproduce.yml", capture_run_id="patient", capture_protocol="icmp", capture_duration=60,
                           reproduce_command="ip netns exec vm-a ping -q -c 10 -i 0.02 192.168.32.20")
    status, shown = terminal(command, {**play.environment, "TERM": "xterm"}, [])
    assert status == 0, shown
    assert "Waiting for the window to be open everywhere, until " in shown
    assert "Ctrl-C" not in shown
    assert play.manifest("patient", "hv-a", "datapath_tracing")["per_point"]["dev.rx"]["matched"] == 20


def ping_in_window(lab: Lab, run_id: str) -> None:
    """Let so many packets pass while the tracers of both hosts record."""
    for name in BOTH:
        wait_for_open_window(lab.netns(name), run_id, "datapath_tracing", 60)
    lab.netns("vm-a").run(["ping", "-q", "-c", PINGS, "-i", "0.02", lab.address("vm-b")])


def test_counters_are_refreshed_in_place_while_the_window_is_open(lab, play):
    def ping() -> str:
        ping_in_window(lab, "seen")
        return ""
    command = play.command("capture.yml", capture_run_id="seen", capture_protocol="icmp", capture_duration=300)
    status, shown = terminal(command, {**play.environment, "TERM": "xterm"}, [
        ("Ctrl-C ends it early", ping), (f" {RECORDS} records (0/s)", lambda: "\x03")])
    assert status == 0, shown
    assert "armed    hv-a: opens in " in shown
    lines = screen(shown)
    start = next(number for number, line in enumerate(lines) if line.endswith("Ctrl-C ends it early"))
    assert [re.sub(r"\d+ s left", "N s left", line) for line in lines[start + 1:start + 3]] == [
        f"tracing  {name}: N s left, {RECORDS} records (0/s), 0 lost, 0 shed" for name in BOTH]
    assert lines[start + 3] == f"ended    hv-a, hv-b: complete: {RECORDS} records"
    assert {one["records"] for one in play.summary("seen")["hosts"].values()} == {RECORDS}


def test_counters_are_a_few_lines_in_a_log(lab, play):
    running = play.begin("capture.yml", capture_run_id="log", capture_protocol="icmp", capture_duration=20)
    ping_in_window(lab, "log")
    assert running.wait(120) == 0
    text = (play.output_dir.parent / "playbook.log").read_text()
    assert "\x1b" not in text
    lines = text.splitlines()
    assert len(lines) <= 25, text
    shown = [line for line in lines if line.startswith("tracing ")]
    for name in BOTH:
        (last,) = [line for line in shown[-2:] if f"  {name}: " in line]
        assert f" left, {play.summary('log')['hosts'][name]['records']} records (0/s), 0 lost, 0 shed" in last, text
    assert 2 <= len(shown) <= 6


def test_through_a_pipe_they_are_plain_and_ctrl_c_ends_the_window_all_the_same(lab, play):
    def ping() -> str:
        ping_in_window(lab, "tee")
        return ""
    command = play.command("capture.yml", capture_run_id="tee", capture_protocol="icmp", capture_duration=100)
    status, shown = terminal(["bash", "-o", "pipefail", "-c", '"$@" | cat', "-", *command], {
        **play.environment, "TERM": "xterm"}, [("Ctrl-C ends it early", ping), (f" {RECORDS} records (", "\x03")])
    assert status == 0, shown
    assert "\x1b[2K" not in shown
    lines = screen(shown)
    assert len([line for line in lines if line.startswith("tracing ")]) == len(BOTH)
    assert f"ended    hv-a, hv-b: complete: {RECORDS} records" in lines


def test_a_host_that_does_not_answer_costs_its_line_alone(lab, play):
    def cut() -> str:
        ping_in_window(lab, "cut")
        lab.netns("hv-b").run(["ip", "link", "set", "mgmt0", "down"])
        return ""

    def mend_and_end() -> str:
        lab.netns("hv-b").run(["ip", "link", "set", "mgmt0", "up"])
        return "\x03"
    command = play.command("capture.yml", capture_run_id="cut", capture_protocol="icmp", capture_duration=300)
    status, shown = terminal(command, {**play.environment, "TERM": "xterm"}, [
        ("Ctrl-C ends it early", cut), ("; it has not answered for ", mend_and_end)])
    assert status == 0, shown
    lines = screen(shown)
    assert any(re.fullmatch(rf"tracing  hv-a: \d+ s left, {RECORDS} records \(\d+/s\), 0 lost, 0 shed", line)
               for line in lines), shown
    assert any(line.startswith("tracing  hv-b: ") and "; it has not answered for " in line for line in lines), shown
    assert f"ended    hv-a, hv-b: complete: {RECORDS} records" in lines


def test_counters_are_shown_while_a_command_runs(lab, play):
    ping = f"ip netns exec vm-a ping -q -c {PINGS} -i 0.02 192.168.32.20"
    wait = f"until [ -e {play.output_dir}/end ]; do sleep 0.1; done"

    def end() -> str:
        (play.output_dir / "end").touch()
        return ""
    command = play.command("reproduce.yml", capture_run_id="run", capture_protocol="icmp", capture_duration=300,
                           reproduce_command=f"{ping}; {wait}")
    status, shown = terminal(command, {**play.environment, "TERM": "xterm"}, [(f" {RECORDS} records (0/s)", end)])
    assert status == 0, shown
    assert [line for line in screen(shown) if line.startswith(f"ended    hv-a, hv-b: complete: {RECORDS} records")]
