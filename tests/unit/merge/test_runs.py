# SPDX-License-Identifier: Apache-2.0
"""Two runs side by side: what is different is said, what is chance is not, and what one could not see is a limit."""
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support import html
from support.fleet import Fleet, talking, udp_packet

from fleetmerge.errors import MergeError
from fleetmerge.runs.compare import compare
from fleetmerge.runs.page import page
from fleetmerge.runs.read import Run, Share, read

COMMAND = Path(__file__).resolve().parents[3] / "bpftools" / "compare_captures.py"
COUNT, TALK = 1000, 200


def merged(directory: Path, *, dropped: int = 0, delay: float = 0.0, fleet: Fleet | None = None) -> Path:
    """Merge a run of COUNT datagrams from VM to VM, which take so long on the wire (s); return its directory."""
    fleet = fleet or talking()
    for number in range(COUNT):
        fleet.send(1 + 5e-3 * number, udp_packet(number), drop=number < dropped, delay=delay)
    directory.mkdir()
    fleet.merge(directory)
    return directory / fleet.a.manifest["run_id"]


def test_losses_and_latency_that_differ_are_said(tmp_path: Path) -> None:
    good, bad = merged(tmp_path / "good"), merged(tmp_path / "bad", dropped=50, delay=2e-3)
    said = compare(read(str(good)), read(str(bad)))
    total = COUNT + TALK
    assert said["different"][0] == (
        f"Packets dropped on hv-b at vnet0 in tun_net_xmit (FULL_RING): 0 of {total}, then 50 of {total} (4.2 %).")
    (latency,) = said["different"][1:]
    assert latency.startswith("hv-a eth0 (dev.tx) to hv-b eth0 (dev.rx): median 50.")
    assert " µs, then 2050.0; " in latency
    assert said["limits"] == []


def test_a_run_is_like_itself_and_chance_is_no_difference(tmp_path: Path) -> None:
    good, bad = (read(str(merged(tmp_path / name, dropped=count))) for name, count in (("one", 50), ("two", 57)))
    assert compare(good, good) == compare(good, bad) == {"different": [], "limits": []}


def test_what_one_run_could_not_see_is_a_limit_and_no_difference(tmp_path: Path) -> None:
    fleet = Fleet(b={"points": ["dev.rx", "dev.tx"]})
    fleet.talk()
    fleet.b.manifest["filter"] = fleet.a.manifest["filter"] = {"dst": "192.168.32.20"}
    fleet.b.manifest["counters"]["shed"] = 3
    said = compare(read(str(merged(tmp_path / "good"))), read(str(merged(tmp_path / "bad", fleet=fleet))))
    assert said["limits"] == [
        "The runs did not ask the same: filter none, then dst=192.168.32.20.",
        "hv-b saw at skb.drop, skb.free, sock.deliver in the first run only.",
        "In the second run hv-b lost or shed 3 records."]


STEP = "hv-a vnet0 (dev.rx) to hv-a eth0 (dev.tx)"
PLAIN = Run("plain", 1000, 1.0, {}, {"hv-a": {"dev.rx"}}, [], steps={
    STEP: {"packets": 900, "p50": 2.0, "p99": 4.0, "bound": 0.0}})


def different(**bad: object) -> list[str]:
    return compare(PLAIN, replace(PLAIN, **bad))["different"]


def test_changed_fields_and_ways() -> None:
    assert different(changes={(STEP, "ttl"): Share(90, 900)}) == [
        f"ttl changed from {STEP}: 0 of 900, then 90 of 900 (10 %) packets."]
    assert different(changes={("elsewhere", "ttl"): Share(90, 900)}) == []     # a step that the other does not have
    one = {("A > B", "hv-a eth0 dev.tx"): Share(100, 100)}
    two = {("A > B", "hv-a eth1 dev.tx"): Share(100, 100), ("C > D", "hv-a eth0 dev.tx"): Share(9, 9)}
    assert compare(replace(PLAIN, ways=one), replace(PLAIN, ways=two))["different"] == [
        "A > B by way of hv-a eth0 dev.tx: 100 of 100, then 0 of 100 packets.",
        "A > B by way of hv-a eth1 dev.tx: 0 of 100, then 100 of 100 packets."]


@pytest.mark.parametrize(("took", "told"), [
    ({"p50": 2.9, "p99": 5.9}, False), ({"p50": 3.1, "p99": 4.0}, True), ({"p50": 2.0, "p99": 400.0}, True),
    ({"p50": 3.1, "p99": 4.0, "bound": 2.0}, False), ({"p50": 3.1, "p99": 4.0, "packets": 19}, False)])
def test_a_latency_differs_by_half_of_itself_and_beyond_the_bounds(took: dict, told: bool) -> None:
    assert bool(different(steps={STEP: {**PLAIN.steps[STEP], **took}})) is told


def test_names_cannot_steer_a_terminal() -> None:
    name = "Packets dropped on hv-b at \x1b[2J\nall is well"
    assert different(losses={name: Share(500, 1000)}) == [
        "Packets dropped on hv-b at _[2J_all is well: 0 of 1000, then 500 of 1000 (50 %)."]


@pytest.mark.parametrize(("content", "sentence"), [
    (None, "No such file or directory; merge the run first"), ("{", "is no summary of a run: JSONDecodeError"),
    ("[]", "is no summary of a run: TypeError"), ('{"format": "x"}', "is of the format 'x', not skbfleet-summary/1"),
    ('{"format": "skbfleet-summary/1"}', "is no summary of a run: KeyError"),
    ("[" * 100000, "is no summary of a run: ")])
def test_what_is_no_run_is_refused_in_a_sentence(tmp_path: Path, content: str | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / "summary.json").write_text(content)
    with pytest.raises(MergeError, match=sentence):
        read(str(tmp_path))
    done = subprocess.run([sys.executable, COMMAND, tmp_path, tmp_path], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("spoil", [
    lambda summary: summary["segments"][0]["latency_us"].update(p50=None),
    lambda summary: summary.update(retransmitted="many"), lambda summary: summary["window"].update(seconds=[])])
def test_a_number_that_is_none_is_no_traceback(tmp_path: Path, spoil: Callable[[dict], None]) -> None:
    summary = json.loads((merged(tmp_path / "run") / "summary.json").read_text())
    spoil(summary)
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(MergeError, match="is no summary of a run: "):
        read(str(tmp_path))


def test_the_command(tmp_path: Path) -> None:
    good, bad = merged(tmp_path / "good"), merged(tmp_path / "bad", dropped=50)
    page, data = (subprocess.run([sys.executable, COMMAND, *words, good, bad], capture_output=True, text=True,
                                 check=True).stdout for words in ([], ["--json"]))
    assert page == json.loads(data)["text"]
    assert "\nDIFFERENT\n- Packets dropped on hv-b at vnet0" in page
    assert page.endswith("- Both runs are complete, and saw with the same filter and points.\n")


def test_the_page(tmp_path: Path) -> None:
    """Each difference stands beside its bars; nothing of a run is markup."""
    good, bad = merged(tmp_path / "good"), merged(tmp_path / "bad", dropped=50, delay=2e-3)
    one = replace(read(str(good)), name="<b>good</b>")
    report = html.read(page(one, read(str(bad))))
    assert [head.text() for head in report.all("h2")] == ["Losses", "Time", "How far to trust it"]
    loss, latency = report.all("tbody")
    assert "tun_net_xmit (FULL_RING): 0 of 1200, then 50 of 1200" in loss.text()
    assert next(loss.all("title")).text() == "0 %, then 4.17 %"
    assert next(latency.all("title")).text() == "50.5 µs, then 2.05 ms"
    before, after = (int(bar.attributes["width"]) for bar in latency.all("rect"))
    assert (before, after) == (3, 140)
    assert not list(report.all("b")) and not list(report.all("script"))
    assert "<b>good</b>, 1\u2009200 packets in 10.000 s" in report.text()


def test_a_page_without_differences(tmp_path: Path) -> None:
    good = read(str(merged(tmp_path / "good")))
    assert "Nothing is different that is more than chance." in html.read(page(good, good)).text()


def test_the_page_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    good, path = merged(tmp_path / "good"), tmp_path / "page.html"
    command = [sys.executable, str(COMMAND), "--report", str(path), str(good), str(good)]
    for _ in range(2):     # one that is there is replaced
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["page.html"]


@pytest.mark.parametrize(("path", "why"), [("no/page.html", "No such file or directory"), ("good", "Is a directory")])
def test_a_page_that_cannot_be_written(tmp_path: Path, path: str, why: str) -> None:
    good, page_at = merged(tmp_path / "good"), tmp_path / path
    there = sorted(tmp_path.rglob("*"))
    command = [sys.executable, str(COMMAND), "--report", str(page_at), str(good), str(good)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: %s cannot be written: %s\n" % (page_at, why)
    assert sorted(tmp_path.rglob("*")) == there
