# SPDX-License-Identifier: Apache-2.0
"""What a person sees of a capture, in a log and on a terminal, where Ctrl-C ends the window early."""
import pytest
from support.playbooks import NOTHING_MATCHED, Play, wait_for_open_window
from support.terminal import terminal


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
