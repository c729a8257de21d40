# SPDX-License-Identifier: Apache-2.0
"""report.html in a real Chromium: it shows what the run shows, runs nothing of others, and is used by keys alone.

Pictures of all reports, in both widths, are left in the directory `pictures` beside this file.
"""
import importlib
import json
import pathlib
from collections.abc import Callable, Iterator

import pytest
from support.browser import CHROMIUM, Browser
from support.bundles import RUN_ID, Bundle
from support.fleet import VNET0, Fleet, merged, udp_packet

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here: playbooks/setup.yml installs it")
PICTURES = pathlib.Path(__file__).with_name("pictures")
HOSTILE = "<img src=x onerror=alert(1)>"
Make = Callable[[pathlib.Path], object]


def healthy(directory: pathlib.Path) -> None:
    fleet = Fleet()
    fleet.talk()
    fleet.write(directory)


def drops(directory: pathlib.Path) -> None:
    lossy().write(directory)


def nothing(directory: pathlib.Path) -> None:
    for host in ("hv-a", "hv-b"):
        Bundle(host).write(directory / RUN_ID)


def situation(name: str) -> Make:
    """Return what makes a run of which the truth is known."""
    def make(directory: pathlib.Path) -> None:
        (directory / RUN_ID).mkdir()
        importlib.import_module("truth.cases." + name).make(directory / RUN_ID)
    return make


RUNS = {"healthy": healthy, "drops": drops, "wire loss": situation("chain_of_three_hosts"),
        "tunnel": situation("dropped_inside_the_tunnel"), "tree": situation("flooded_clone_is_the_packet"),
        "nothing": nothing}


def lossy() -> Fleet:
    """A fleet with losses of both kinds."""
    fleet = Fleet()
    fleet.talk()
    for number in range(100):
        fleet.send(1 + 0.01 * number, udp_packet(number), lose=number in (3, 4), drop=number == 9)
    return fleet


def report_of(directory: pathlib.Path, make: Make) -> pathlib.Path:
    """Make a run and merge it; return its report."""
    make(directory)
    (run,) = directory.iterdir()
    merged(run)
    return run / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    PICTURES.mkdir(exist_ok=True)
    with Browser() as one:
        yield one


def harmed(browser: Browser) -> list[object]:
    """Return what a page did that it must not do: errors, what its policy forbade, dialogs, requests for more than
    itself."""
    return [*browser.happened("Log.entryAdded"), *browser.happened("Runtime.exceptionThrown"),
            *browser.happened("Page.javascriptDialogOpening"), *browser.happened("Network.requestWillBeSent")[1:]]


@pytest.mark.parametrize("name", RUNS)
def test_a_report_shows_what_the_run_shows(browser: Browser, tmp_path: pathlib.Path, name: str) -> None:
    report = report_of(tmp_path, RUNS[name])
    summary = json.loads((report.parent / "summary.json").read_text())
    for width, scheme in ((1280, "light"), (1920, "dark")):
        browser.open(report, width, 1000, scheme)
        browser.picture(PICTURES / ("%s-%d.png" % (name.replace(" ", "-"), width)))
        assert harmed(browser) == []
        assert browser.value("document.documentElement.scrollWidth <= innerWidth")
        shown = browser.value("[...document.querySelectorAll('#verdict summary')].map(one => one.innerText)")
        for sentence, words in zip(summary["verdict"], shown, strict=True):
            assert " ".join(sentence.split()) in " ".join(words.split())
    text = browser.value("document.querySelector('#way').textContent")
    places = {(place["host"], place["device"]) for path in summary["paths"] for place in path["places"]}
    assert all(host in text and device in text for host, device in places)
    assert browser.value("document.querySelectorAll('#strips .strip').length > 0") == (name != "nothing")
    lost = browser.value("[...document.querySelectorAll('#way g.loss text:first-of-type')].map(one => one.textContent)")
    assert sorted(int(words.split()[1]) for words in lost) == sorted(loss["packets"] for loss in summary["losses"])


def test_a_hostile_name_does_nothing(browser: Browser, tmp_path: pathlib.Path) -> None:
    fleet = lossy()
    for host in (fleet.a, fleet.b):
        for device in host.manifest["devices"]:
            if device["ifindex"] == VNET0:
                device["name"] = HOSTILE
    browser.open(report_of(tmp_path, fleet.write))
    assert browser.value("document.body.textContent").count(HOSTILE.replace(" ", "_")) > 3
    assert browser.value("document.images.length") == 0
    assert harmed(browser) == []


def test_what_its_policy_does_not_name_does_not_run(browser: Browser, tmp_path: pathlib.Path) -> None:
    """The policy itself holds, were a text ever not escaped."""
    report = report_of(tmp_path, drops)
    page = report.read_text()
    report.write_text(page.replace("<main>", "<main>%s<script>alert(2)</script>" % HOSTILE))
    browser.open(report)
    forbidden = [entry["entry"]["text"] for entry in browser.happened("Log.entryAdded")]
    assert len(forbidden) >= 3 and all("Content Security Policy" in text for text in forbidden)
    assert not browser.happened("Page.javascriptDialogOpening")


def test_keys_alone_open_the_grounds(browser: Browser, tmp_path: pathlib.Path) -> None:
    browser.open(report_of(tmp_path, drops))
    for _ in range(20):
        browser.press("Tab")
        if browser.value("document.activeElement.closest('#sentence-1') !== null"):
            break
    ground = "document.querySelector('#sentence-1 .basis li')"
    assert browser.value("document.activeElement.tagName") == "SUMMARY"
    assert not browser.value(ground + ".checkVisibility()")
    browser.press("Enter")
    assert browser.value(ground + ".checkVisibility()")
    assert browser.value(ground + ".innerText") == "the kernel freed the packet as a drop"
    browser.press("Tab")     # on to a packet of which that is said, and into it
    browser.press("Enter")
    browser.wait("document.activeElement.closest('details.packet')?.open")
    assert "tun_net_xmit" in browser.value("document.activeElement.closest('details.packet').innerText")


def test_time_is_looked_at_closely_and_flows_are_found(browser: Browser, tmp_path: pathlib.Path) -> None:
    browser.open(report_of(tmp_path, drops))
    ticks = "[...document.querySelectorAll('#strips .tick')].map(one => one.textContent)"
    whole = browser.value(ticks)
    browser.value("document.getElementById('strips').focus()")
    browser.press("+")
    assert browser.value(ticks) != whole
    browser.press("0")
    assert browser.value(ticks) == whole
    browser.value("document.getElementById('strips').scrollIntoView({block: 'center'})")
    left, top = browser.value("(box => [box.left, box.top])(document.getElementById('strips').getBoundingClientRect())")
    browser.drag(left + 300, left + 400, top + 30)
    assert browser.value(ticks) != whole
    assert "packets" in browser.value("document.getElementById('reading').textContent")
    flows = ("[...document.querySelectorAll('#flow-table tbody tr')].filter(row => !row.hidden)"
             ".map(row => row.cells[2].textContent)")
    assert browser.value(flows) == ["100", "100", "100"]
    browser.value("(field => { field.value = 'udp 40000 32.10'; field.dispatchEvent(new Event('input')); })"
                  "(document.getElementById('search'))")
    assert browser.value(flows) == ["100"]
    assert browser.value("document.getElementById('found').textContent") == "1 found"
    assert browser.paper().startswith(b"%PDF")
    assert harmed(browser) == []
