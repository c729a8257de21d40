# SPDX-License-Identifier: Apache-2.0
"""report.html: what it says, that texts of others stay texts, and how large it gets."""
import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from support import html
from support.bundles import WALL, ethernet, ipv4, tcp
from support.fleet import RING, VNET0, A, B, Fleet, merged, udp_packet

from fleetmerge.products.page import chosen, layout, series
from fleetmerge.products.page.document import page
from fleetmerge.products.page.markup import data, escaped, tag
from fleetmerge.products.page.said import trust
from fleetmerge.products.page.ways import graphs

HOSTILE = "<img src=x onerror=alert(1)>"


def looked_at(directory: Path, fleet: Fleet) -> tuple[dict[str, Any], html.Element]:
    """Merge; return the summary and the page."""
    run = fleet.write(directory)
    summary = merged(run, ("hv-a", "hv-b", "hv-c"))
    assert (run / "report.html").stat().st_mode & 0o777 == 0o600
    return summary, html.read((run / "report.html").read_text())


def lossy() -> Fleet:
    """A fleet with losses of both kinds."""
    fleet = Fleet()
    fleet.talk()
    for number in range(100):
        fleet.send(1 + 0.01 * number, udp_packet(number), lose=number in (3, 4), drop=number == 9, stack_id=4)
    fleet.b.stack(4, [RING, fleet.b.symbol(RING + 64, "dev_hard_start_xmit+0x9e")])
    return fleet


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], html.Element]:
    return looked_at(tmp_path_factory.mktemp("lossy"), lossy())


def test_every_sentence_is_there_with_its_evidence(lost: tuple[dict[str, Any], html.Element]) -> None:
    summary, page = lost
    said = list(next(page.all("ol", class_="verdict")).all("details"))
    assert len(said) == len(summary["verdict"]) == len(summary["basis"]) > 3
    for sentence, basis, element in zip(summary["verdict"], summary["basis"], said, strict=True):
        title = next(element.all("summary")).text()
        assert title == sentence + " " + basis["certainty"] * bool(basis["certainty"]) or title == sentence
        below = [item.text() for item in element.all("li")]
        assert below == basis["grounds"] + basis["missing_grounds"] != []
        assert [frame.text() for stack in element.all("pre") for frame in stack.all("span")] == basis["stack"]
    assert {element.attributes["class"] for element in said} == {"count", "certain"}


def test_what_limits_trust_is_there(lost: tuple[dict[str, Any], html.Element]) -> None:
    summary, page = lost
    trust = next(page.all("section", id="trust"))
    assert [item.text() for item in next(trust.all("ul")).all("li")] == summary["doubts"] != []
    rows = [[cell.text() for cell in row.all("td")] for row in trust.all("tr")]
    assert [row[:3] for row in rows[1:]] == [
        ["hv-c", "missing" + "no bundle came from it", "0"], ["hv-a", "complete", "600"], ["hv-b", "complete", "597"]]


def test_names_of_others_are_text(tmp_path: Path) -> None:
    fleet = lossy()
    for host in (fleet.a, fleet.b):
        for device in host.manifest["devices"]:
            if device["ifindex"] == VNET0:
                device["name"] = HOSTILE
    summary, page = looked_at(tmp_path, fleet)
    name = HOSTILE.replace(" ", "_")
    assert any(name in sentence for sentence in summary["verdict"])
    assert not list(page.all("img")) and name in page.text()
    assert not [key for element in page.all() for key in element.attributes if key.startswith("on")]


def test_nothing_runs_but_its_own_script(lost: tuple[dict[str, Any], html.Element]) -> None:
    page = lost[1]
    (policy,) = [meta.attributes["content"] or "" for meta in page.all("meta")
                 if meta.attributes.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    scripts = [script for script in page.all("script") if script.attributes.get("type") != "application/json"]
    for rule, blocks in (("style-src", list(page.all("style"))), ("script-src", scripts)):
        (block,) = blocks
        digest = hashlib.sha256(block.text().encode()).digest()
        assert rules[rule] == "'sha256-%s'" % base64.b64encode(digest).decode()
    for element in page.all():
        assert not {"style", "src"} & set(element.attributes)
        assert (element.attributes.get("href") or "#").startswith("#")


def test_however_large_the_run_the_page_is_not(tmp_path: Path) -> None:
    """Of a run with as much of everything as summary.json may have, and long names."""
    run = lossy().write(tmp_path)
    summary = merged(run)
    name = "n" * 400
    places = [{"host": "hv-%d" % number, "device": name, "point": "func:%s%d" % (name, number)} for number in range(99)]
    (loss,) = [loss for loss in summary["losses"] if loss["kind"] == "drop"]
    segment = summary["segments"][0]
    summary.update(
        hosts={"hv-%d" % number: summary["hosts"]["hv-a"] for number in range(1000)},
        flows=[dict(summary["flows"][0], key="%s %d" % (name, number)) for number in range(1000)],
        paths=[{"addresses": "%d > b" % number, "packets": 7, "places": places} for number in range(100)],
        losses=[dict(loss, function=name + str(number), flow="%d:1 > b udp" % number) for number in range(10000)],
        segments=[dict(segment, **{"from": one, "to": two}) for one in places for two in places],
        queues=[{"host": name, "device": name, "queue": name, "kind": name, "unit": name, "records": 1, "min": 1,
                 "median": 1, "p99": 1, "max": 1, "limit": 1, "full": {"share": 1.0}, "drops": 1}] * 500,
        verdict=["%d %s" % (number, "word " * 300) for number in range(401)],
        basis=[dict(summary["basis"][1], stack=[name] * 128) for _ in range(401)], doubts=[name * 5] * 5000)
    fill = [{"name": name, "unit": name, "limit": 10**6, "fill": [10**6] * series.BINS}] * 8
    text = page(summary, str(run / "journeys.parquet"), str(run / "events.parquet"), fill)
    assert len(text.encode()) <= 2_000_000
    said = [part.text() for part in next(html.read(text).all("section", id="verdict")).all()
            if part.attributes.get("class") in ("certain", "count", "likely", "unknown")]
    assert len(said) == 401 and all(words.startswith("%d word" % number) for number, words in enumerate(said))


def test_what_is_sent_again_is_the_same_everywhere(tmp_path: Path) -> None:
    """As the verdict has it: bytes of TCP, but no acknowledgement that is like another one, no keep-alive, and nothing
    that an application says twice."""
    def segment(seq: int, payload: int, ident: int) -> bytes:
        return ethernet(ipv4(A, B, tcp(40112, 443, seq=seq, flags=16, payload=payload), protocol=6, ident=ident))
    fleet = Fleet()
    fleet.talk()
    for number, (seq, payload) in enumerate(((1000, 500), (1000, 500), (1500, 0), (1500, 0), (1499, 0), (1499, 0))):
        fleet.send(1 + 0.1 * number, segment(seq, payload, 1 + number if payload else 0))
    for number in range(3):
        fleet.send(2 + 0.1 * number, udp_packet(7, ident=0))
    run = fleet.write(tmp_path)
    summary = merged(run)
    counts = series.of_packets(str(run / "journeys.parquet"), series.axis(summary))
    shown = chosen.choose(summary, str(run / "journeys.parquet"), None)
    assert (summary["retransmitted"], summary["keepalives"]) == (1, 2)
    assert sum(counts["sent again"]) == len([packet for packet in shown if packet.kind == "sent again"]) == 1


def test_healthy_packets_stand_beside_slow_ones_that_took_as_long(tmp_path: Path) -> None:
    fleet = Fleet()
    for number in range(20):
        fleet.send(1 + 0.01 * number, udp_packet(number))
    run = fleet.write(tmp_path)
    summary = merged(run)
    shown = chosen.choose(summary, str(run / "journeys.parquet"), None)
    assert [packet.kind for packet in shown] == ["slow"] * 4 + ["healthy"] * 4


def test_a_clock_that_is_right_has_no_sign_before_nothing(lost: tuple[dict[str, Any], html.Element]) -> None:
    summary = json.loads(json.dumps(lost[0]))
    for host in filter(None, (host["clock"] for host in summary["hosts"].values())):
        host["offset_us"] = -0.04
    assert "-0.0 µs" not in trust(summary) and "+0.0 µs" in trust(summary)


def test_series_add_up(tmp_path: Path) -> None:
    run = lossy().write(tmp_path)
    summary = merged(run)
    along = series.axis(summary)
    counts = series.of_packets(str(run / "journeys.parquet"), along)
    assert {name: sum(values) for name, values in counts.items()} == {
        "packets": summary["packets"], "dropped": 1, "vanished": 2, "not certain": 0, "sent again": 0}
    assert along is not None and all(len(values) == series.BINS for values in counts.values())
    assert counts["vanished"].index(1) == (int(1.03e9) + 8000 + WALL - along.start) // along.width
    steps = series.of_steps(str(run / "journeys.parquet"), summary, along)
    assert {step["name"]: sum(value is not None for value in step["fill"]) for step in steps[:2]} == {
        "hv-b eth0 > hv-a eth0": 100, "hv-a eth0 > hv-b eth0": 188}    # of 198 packets, ten came together with another
    assert all(abs(value - 50) < 1 for step in steps[:2] for value in step["fill"] + step["high"] if value is not None)


def test_packets_to_look_at(tmp_path: Path) -> None:
    run = lossy().write(tmp_path)
    summary = merged(run)
    shown = chosen.choose(summary, str(run / "journeys.parquet"), str(run / "events.parquet"))
    assert [packet.kind for packet in shown] == ["lost"] * 3 + ["slow"] * 4 + ["healthy"] * 4
    assert {packet.journey for packet in shown[:3]} == {one for loss in summary["losses"] for one in loss["journeys"]}
    assert {packet.flow for packet in shown[-4:]} == {summary["losses"][0]["flow"]}
    assert all(len(packet.records) >= len(packet.places) > 1 for packet in shown)
    report = html.read((run / "report.html").read_text())
    (dropped,) = [packet for packet in report.all("details", class_="packet") if "FULL_RING" in packet.text()]
    assert [row.text() for row in dropped.all("b", class_="changed")] == ["106", "106"]


def branch(name: str, before: int | None, own: bool = True) -> dict[str, Any]:
    return {"host": "hv", "device": name, "point": "dev.rx", "before": before, "own": own}


def test_ways_with_branches_and_short_cuts() -> None:
    """A copy beside the packet's own way, and a way round that most packets do not take."""
    tree = [branch("a", None), branch("b", 0), branch("c", 0, False), branch("d", 1)]
    short = [{name: node[name] for name in ("host", "device", "point")} for node in (tree[0], tree[3])]
    (graph,) = graphs({"paths": [{"addresses": "A > B", "packets": 90, "places": short},
                                 {"addresses": "A > B", "packets": 10, "places": [], "branches": tree}],
                       "losses": [], "copies": [], "basis": []})
    laid = layout.place(graph)
    at = {node.place[1]: (node.row, node.column) for node in graph.nodes}
    assert at == {"a": (0, 0), "b": (1, 1), "c": (1, 2), "d": (2, 0)}
    assert [(lane.host, lane.columns) for lane in laid.lanes] == [("hv", 3)]
    edges = {tuple(graph.nodes[end].place[1] for end in ends): (edge.packets, edge.own)
             for ends, edge in graph.edges.items()}
    assert edges == {("a", "d"): (90, True), ("a", "b"): (10, True), ("a", "c"): (10, False), ("b", "d"): (10, True)}


def test_ways_against_each_other_are_two_pictures() -> None:
    places = [{"host": "hv", "device": name, "point": "p"} for name in "ab"]
    there, back = graphs({"paths": [{"addresses": "A > B", "packets": 2, "places": places},
                                    {"addresses": "A > B", "packets": 1, "places": places[::-1]}],
                          "losses": [], "copies": [], "basis": []})
    assert (there.packets, back.packets) == (2, 1)


def test_copies_that_passed_the_same_places_in_another_order() -> None:
    """The packet alone is drawn, and nothing that has no place."""
    tree = [branch("a", None), branch("b", 0), branch("m", 1, False), branch("m", 0, False), branch("b", 3, False)]
    places = [{name: node[name] for name in ("host", "device", "point")} for node in tree[:2]]
    (graph,) = graphs({"paths": [{"addresses": "A > B", "packets": 3, "places": places, "branches": tree}],
                       "losses": [], "copies": [], "basis": []})
    assert [node.place[1] for node in graph.nodes] == ["a", "b"]


def test_markup() -> None:
    assert tag("td", HOSTILE, class_='"n"') == "<td class=\"&quot;n&quot;\">&lt;img src=x onerror=alert(1)&gt;</td>"
    assert tag("p", tag("b", "1 < 2"), None, False, hidden=True, id=None) == "<p hidden><b>1 &lt; 2</b></p>"
    assert escaped("a\x1b[2J\u202eb") == "a_[2J_b" and len(escaped("x" * 10000)) < 6000
    text = data("d", {"x": "</script><script>alert(1)</script>", "y": "a&b"})
    assert text.count("<") == 2 and json.loads(text[text.index(">") + 1:text.rindex("<")])["x"].startswith("</script>")
