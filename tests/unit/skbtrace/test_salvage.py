# SPDX-License-Identifier: Apache-2.0
"""What a tracer leaves that was killed, or whose host went down, becomes a bundle that the merger reads."""
import json
import os
import pathlib

import pytest
from support import bundles
from support.fleet import udp_packet

from fleetmerge.bundle.manifest import Bundle, open_bundle
from skbtrace import command
from skbtrace.capture import manifest, record
from skbtrace.capture.salvage import salvage
from skbtrace.errors import InputError

LOCATION = 0xFFFFFFFF81A01234
MADE_BY_THE_END = ("counters", "per_point", "limits", "status", "why", "ended_by", "symbols", "stacks", "files")


class Remains:
    """A run directory without a manifest: ten datagrams that came in and left, one record each time."""

    def __init__(self, tmp_path: pathlib.Path) -> None:
        made = bundles.Bundle("hv-a", points=["dev.rx", "dev.tx"])
        for number in range(10):
            for point in made.points:
                made.event(number, point, 3, udp_packet(number), location=LOCATION)
        self.whole = made.manifest
        self.directory = pathlib.Path(made.write(tmp_path))
        (self.directory / "manifest.json").unlink()
        self.write("draft.json", {"fields": [], "modules": {}, **{
            name: value for name, value in made.manifest.items() if name not in MADE_BY_THE_END}})
        self.tell(20)

    def write(self, name: str, content: dict) -> None:
        (self.directory / name).write_text(json.dumps(content))

    def tell(self, matched: int, **counters: int) -> None:
        """The last status: so much had matched at both points together, 4.5 s after the window's start."""
        row = dict.fromkeys(("seen", "lost", "shed", "sampled_out"), 0)
        self.write("status.json", {"state": "started", "clock": {**self.pair(4.5)}, "per_point": {
            "dev.rx": {**row, "matched": matched // 2, **counters}, "dev.tx": {**row, "matched": matched // 2}}})

    def pair(self, second: float) -> dict:
        return bundles.Bundle("hv-a").pair("last", second)

    def salvaged(self, monkeypatch: pytest.MonkeyPatch) -> Bundle:
        monkeypatch.chdir(self.directory)
        salvage(str(self.directory))
        return open_bundle(str(self.directory))


@pytest.fixture
def remains(tmp_path: pathlib.Path) -> Remains:
    return Remains(tmp_path)


def counters(bundle: Bundle, *names: str) -> list[int]:
    return [bundle.manifest["counters"][name] for name in names]


def test_records_are_read_and_what_is_not_known_is_said(remains, monkeypatch):
    bundle = remains.salvaged(monkeypatch)
    assert (bundle.records, bundle.promised) == (20, 20)
    assert counters(bundle, "matched", "written", "lost", "cut") == [20, 20, 0, 0]
    (problem,) = bundle.problems
    assert "gone before its end" in problem
    assert bundle.manifest["window"]["ended_ns"] == remains.pair(4.5)["monotonic_ns"]
    assert bundle.manifest["clock"]["pairs"][-1] == remains.pair(4.5)
    assert not (remains.directory / "draft.json").exists()


@pytest.mark.parametrize("rest", [bytes(record.STRIDE), b"x" * 100, bytes(3 * record.STRIDE + 7)],
                         ids=["a record of zeros", "a part of one", "both"])
def test_a_spool_ends_with_its_last_whole_record(remains, monkeypatch, rest):
    with (remains.directory / "records.bin").open("ab") as spool:
        spool.write(rest)
    bundle = remains.salvaged(monkeypatch)
    assert (remains.directory / "records.bin").stat().st_size == 20 * record.STRIDE
    assert (bundle.records, bundle.promised) == (20, 20)


def test_what_had_matched_and_was_not_written_is_lost(remains, monkeypatch):
    os.truncate(remains.directory / "records.bin", 14 * record.STRIDE)
    remains.tell(20, shed=1)
    assert counters(remains.salvaged(monkeypatch), "matched", "written", "lost", "shed") == [20, 14, 5, 1]


def test_what_was_written_after_the_last_status_has_matched(remains, monkeypatch):
    remains.tell(8, lost=2)
    assert counters(remains.salvaged(monkeypatch), "matched", "written", "lost", "seen") == [22, 20, 2, 22]


@pytest.mark.parametrize("status", [b"", b'{"state": "sta'], ids=["empty", "half"])
def test_a_status_that_is_cut_off_is_done_without(remains, monkeypatch, status):
    (remains.directory / "status.json").write_bytes(status)
    bundle = remains.salvaged(monkeypatch)
    assert counters(bundle, "matched", "written") == [20, 20]
    assert bundle.manifest["window"]["ended_ns"] == remains.whole["clock"]["pairs"][-1]["monotonic_ns"]


def test_locations_have_names_only_in_the_kernel_that_they_are_of(remains, monkeypatch):
    draft = json.loads((remains.directory / "draft.json").read_text())
    asked = []
    monkeypatch.setattr("skbtrace.kernel.symbols.of_modules", lambda where, were: asked.append(where) or {
        "0x%x" % one: "tun_net_xmit+0x1a2 [tun]" for one in where})
    assert remains.salvaged(monkeypatch).manifest["symbols"] == {}
    os.rename(remains.directory / "manifest.json", remains.directory / "of-another-kernel.json")
    remains.write("draft.json", {**draft, "kernel": manifest.kernel()})
    assert list(remains.salvaged(monkeypatch).manifest["symbols"].values()) == ["tun_net_xmit+0x1a2 [tun]"]
    assert asked == [{LOCATION}]


def test_a_manifest_that_is_whole_stays_and_half_a_one_is_replaced(remains, monkeypatch):
    draft = (remains.directory / "draft.json").read_text()
    whole = remains.salvaged(monkeypatch).manifest
    (remains.directory / "draft.json").write_text(draft)
    before = (remains.directory / "manifest.json").read_bytes()
    assert remains.salvaged(monkeypatch).manifest == whole
    assert (remains.directory / "manifest.json").read_bytes() == before
    (remains.directory / "manifest.json").write_bytes(before[:len(before) // 2])
    assert remains.salvaged(monkeypatch).manifest == whole


def test_stacks_until_the_end_without_the_tracer_s_own_frames(remains, monkeypatch):
    """Of the last line only a part was written; the program on top of the stack is gone, and its name."""
    (remains.directory / "stacks.txt").write_text("7 99 aa bb cc\n9 bb cc\n11 bb c")
    names = {"0x99": "0x99", "0xaa": "bpf_trace_run4+0x1", "0xbb": "kfree_skb_reason+0x2", "0xcc": "tun_net_xmit+0x3"}
    monkeypatch.setattr("skbtrace.kernel.symbols.of_modules", lambda where, were: {
        "0x%x" % address: names.get("0x%x" % address, "?") for address in where})
    draft = json.loads((remains.directory / "draft.json").read_text())
    remains.write("draft.json", {**draft, "kernel": manifest.kernel()})
    made = remains.salvaged(monkeypatch).manifest
    assert made["stacks"] == {"7": ["0xbb", "0xcc"], "9": ["0xbb", "0xcc"]}
    assert made["symbols"]["0xcc"] == "tun_net_xmit+0x3"
    assert not (remains.directory / "stacks.txt").exists()


@pytest.mark.parametrize(("ending", "why"), [
    ({"why": "it was killed because it used more than 9 MiB"}, "it was killed because it used more than 9 MiB: "),
    ({"why": "a\x1b[2J\ud800"}, r"a\x1b[2J?: "), ({"why": 3}, "the tracer was gone before its end: "),
    ({}, "the tracer was gone before its end: ")])
def test_why_it_is_gone_is_told_by_whoever_knows(remains, monkeypatch, ending, why):
    remains.write("ending.json", ending)
    assert remains.salvaged(monkeypatch).manifest["why"].startswith(why)


def test_what_is_no_capture_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="it must be the run directory of a tracer that was killed"):
        salvage(str(tmp_path))
    with pytest.raises(InputError, match="--salvage is '/nowhere'"):
        salvage("/nowhere")


@pytest.mark.parametrize(("draft", "why"), [
    ("[1", "is not whole"), ("[1]", "is not whole"), ('{"fields": 3}', "is none"), ('{"fields": []}', "is none"),
    ('{"fields": [], "modules": {}, "points": 3}', "is none")])
def test_a_draft_that_is_damaged(remains, monkeypatch, draft, why):
    monkeypatch.chdir(remains.directory)
    (remains.directory / "draft.json").write_text(draft)
    with pytest.raises(InputError, match="its draft.json %s" % why):
        salvage(str(remains.directory))
    assert not list(remains.directory.glob("manifest.json*"))


def test_no_directory_is_no_capture(capsys):
    """Nor is it one that is to begin: --salvage "$UNSET"."""
    assert command.main("datapath_tracing", "", "", "nic", ["--salvage", ""]) == 2
    assert "--salvage is ''" in capsys.readouterr().err
