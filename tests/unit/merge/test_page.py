# SPDX-License-Identifier: Apache-2.0
"""report.html: what it says, that texts of others stay texts, and how large it gets."""
import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from support import html
from support.fleet import VNET0, Fleet, merged, udp_packet

from fleetmerge.products.page.markup import data, escaped, tag

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
        fleet.send(1 + 0.01 * number, udp_packet(number), lose=number in (3, 4), drop=number == 9)
    return fleet


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], html.Element]:
    return looked_at(tmp_path_factory.mktemp("lossy"), lossy())


def test_every_sentence_is_there_with_its_evidence(lost: tuple[dict[str, Any], html.Element]) -> None:
    summary, page = lost
    said = list(next(page.all("ol", class_="verdict")).all("details"))
    assert len(said) == len(summary["verdict"]) == len(summary["evidence"]) > 3
    for sentence, evidence, element in zip(summary["verdict"], summary["evidence"], said, strict=True):
        title = next(element.all("summary")).text()
        assert title == sentence + " " + evidence["certainty"] * bool(evidence["certainty"]) or title == sentence
        below = [item.text() for item in element.all("li")]
        assert below == evidence["grounds"] + evidence["missing_grounds"] != []
    assert {element.attributes["class"] for element in said} == {"count", "certain"}


def test_what_limits_trust_is_there(lost: tuple[dict[str, Any], html.Element]) -> None:
    summary, page = lost
    trust = next(page.all("section", id="trust"))
    assert [item.text() for item in next(trust.all("ul")).all("li")] == summary["doubts"] != []
    rows = [[cell.text() for cell in row.all("td")] for row in trust.all("tr")]
    assert [row[:3] for row in rows[1:]] == [
        ["hv-a", "complete", "600"], ["hv-b", "complete", "597"], ["hv-c", "missing" + "no bundle came from it", "0"]]


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


def test_markup() -> None:
    assert tag("td", HOSTILE, class_='"n"') == "<td class=\"&quot;n&quot;\">&lt;img src=x onerror=alert(1)&gt;</td>"
    assert tag("p", tag("b", "1 < 2"), None, False, hidden=True, id=None) == "<p hidden><b>1 &lt; 2</b></p>"
    assert escaped("a\x1b[2J\u202eb") == "a_[2J_b" and len(escaped("x" * 10000)) < 6000
    text = data("d", {"x": "</script><script>alert(1)</script>", "y": "a&b"})
    assert text.count("<") == 2 and json.loads(text[text.index(">") + 1:text.rindex("<")])["x"].startswith("</script>")
