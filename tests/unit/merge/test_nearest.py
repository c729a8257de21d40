# SPDX-License-Identifier: Apache-2.0
"""Where nothing matched, the verdict names what passed instead; what a host says of that is a stranger's word."""
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.bundles import Bundle, ethernet, ipv4, udp
from support.fleet import merged

from fleetmerge.archive.unpack import unpack
from fleetmerge.bundle.manifest import open_bundle
from fleetmerge.errors import BundleError
from fleetmerge.products import summary as products
from fleetmerge.pseudonyms.run import pack_pseudonymised

SCHEMA = json.loads((Path(products.__file__).parent / "summary.schema.json").read_text())
FLOW = {"src": "10.0.0.1", "dst": "10.0.0.2", "protocol": "udp", "src_port": 40000, "dst_port": 5001, "vlan": 12,
        "netns": "hv-a", "device": "vnet0", "point": "dev.rx", "packets": 9, "differs": ["dst_port"], "inside": False}
INNER = {"src": "172.31.7.1", "dst": "fd00:77::9", "protocol": "tcp", "src_port": 1, "dst_port": 443}
TUNNEL = {**FLOW, "src": "172.16.0.1", "dst": "172.16.0.2", "dst_port": 4789, "tunnel": "vxlan", "tunnel_id": 7,
          "inner": INNER, "inside": True}
NOTHING = "No packet that matches the filter was seen on hv-a, nor any other at a device."


def bundle(*flows: Any, **section: Any) -> Bundle:
    made = Bundle("hv-a")
    made.manifest["filter"] = {"dst": "10.0.0.2", "protocol": "udp", "dst_port": "5002"}
    made.manifest["nearest"] = {"packets": 214, "flows_total": len(flows), "why": "", "flows": list(flows), **section}
    return made


def summary(made: Bundle, path: Path) -> dict[str, Any]:
    made.write(path)
    found = merged(path)
    jsonschema.validate(found, SCHEMA)
    return found


def test_the_nearest_are_named_with_what_differs(tmp_path: Path) -> None:
    found = summary(bundle(FLOW, {**FLOW, "device": "eth 0", "point": "dev.tx", "packets": 8}, TUNNEL), tmp_path)
    said = found["doubts"][found["doubts"].index(NOTHING) + 1]
    assert said == (
        "Nearest of the 214 packets of a sample that was taken on hv-a just after the window: 10.0.0.1:40000 > "
        "10.0.0.2:5001 udp vlan=12 at vnet0 dev.rx, eth_0 dev.tx (the filter's destination address and protocol, but "
        "another destination port); 172.16.0.1:40000 > 172.16.0.2:4789 udp vlan=12 vxlan=7 [172.31.7.1:1 > "
        "[fd00:77::9]:443 tcp] at vnet0 dev.rx (inside the tunnel: the filter's destination address and protocol, but "
        "another destination port).")
    assert found["hosts"]["hv-a"]["nearest"] == {"packets": 214, "flows_total": 3, "why": "", "flows": [
        {"flow": "10.0.0.1:40000 > 10.0.0.2:5001 udp vlan=12", "packets": 9, "places": [
            {"netns": "hv-a", "device": "vnet0", "point": "dev.rx"},
            {"netns": "hv-a", "device": "eth 0", "point": "dev.tx"}],
         "differs": "the filter's destination address and protocol, but another destination port"},
        {"flow": "172.16.0.1:40000 > 172.16.0.2:4789 udp vlan=12 vxlan=7 [172.31.7.1:1 > [fd00:77::9]:443 tcp]",
         "packets": 9, "places": [{"netns": "hv-a", "device": "vnet0", "point": "dev.rx"}],
         "differs": "inside the tunnel: the filter's destination address and protocol, but another destination port"}]}
    assert found["result"] == "nothing matched"
    assert said in (tmp_path / "verdict.txt").read_text().replace("\n  ", " ")
    assert "10.0.0.1:40000 &gt; 10.0.0.2:5001 udp" in (tmp_path / "report.html").read_text()


def test_three_are_shown(tmp_path: Path) -> None:
    found = summary(bundle(*({**FLOW, "dst_port": port} for port in range(20))), tmp_path)
    assert [flow["flow"].partition(" > ")[2] for flow in found["hosts"]["hv-a"]["nearest"]["flows"]] == [
        "10.0.0.2:%d udp vlan=12" % port for port in range(3)]
    assert found["hosts"]["hv-a"]["nearest"]["flows_total"] == 20


def test_why_there_is_no_sample_is_said(tmp_path: Path) -> None:
    made = bundle()
    made.manifest["nearest"] = {"why": "it took more than 15 s."}
    assert "What passed on hv-a instead could not be sampled: it took more than 15 s." in summary(
        made, tmp_path)["doubts"]


@pytest.mark.parametrize("section", [{}, None])
def test_without_a_sample_nothing_is_said(section: Any, tmp_path: Path) -> None:
    """As in bundles from before there was one."""
    made = bundle()
    del made.manifest["nearest"]
    if section is not None:
        made.manifest["nearest"] = section
    found = summary(made, tmp_path)
    assert NOTHING in found["doubts"] and not [doubt for doubt in found["doubts"] if "sample" in doubt]
    assert "nearest" not in found["hosts"]["hv-a"]


def test_where_something_was_recorded_the_verdict_does_not_speak_of_others(tmp_path: Path) -> None:
    made = bundle(FLOW)
    made.device(2, "eth0", role="phy")
    made.event(1, "dev.rx", 2, ethernet(ipv4("10.0.0.1", "10.0.0.2", udp(5000, 5002, 10))))
    assert not [doubt for doubt in summary(made, tmp_path)["doubts"] if "sample" in doubt]


HOSTILE = [
    {"packets": -1}, {"packets": "9"}, {"packets": True}, {"packets": 1 << 62}, {"packets": None},
    {"src": "10.0.0.300"}, {"src": 7}, {"src": "fe80::1%\x1b[2J"}, {"dst": "x" * 4000}, {"src_port": 65536},
    {"dst_port": "80"}, {"vlan": 4096}, {"vlan": [12]}, {"protocol": "udp; rm"}, {"protocol": "x" * 25},
    {"protocol": 17}, {"protocol": "arp"}, {"point": "skb.drop"}, {"point": ["dev.rx"]}, {"device": 3},
    {"device": "x" * 65},
    {"netns": "x" * 257}, {"netns": None}, {"differs": ["everything"]}, {"differs": "dst"}, {"differs": [["dst"]]},
    {"differs": ["dst"] * 100}, {"inside": 1}, {"inside": True}, {"inner": "10.0.0.1"}, {"inner": {}},
    {"inner": {**INNER, "src": "nobody"}, "tunnel": "vxlan", "tunnel_id": 1},
    {"inner": INNER}, {"inner": INNER, "tunnel": "vxlan", "tunnel_id": 1 << 32}]


@pytest.mark.parametrize("change", HOSTILE, ids=str)
def test_what_no_tracer_writes_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    path = bundle({**FLOW, **change}).write(tmp_path)
    with pytest.raises(BundleError, match="its manifest's nearest flows are not a list of at most 20"):
        open_bundle(str(path))


@pytest.mark.parametrize("section", [
    {"flows": [FLOW] * 21}, {"flows": {"0": FLOW}}, {"flows": [None]}, {"flows": None}, {"packets": "all"},
    {"flows_total": -1}, {"why": ["x"]},
    *({"flows": [{name: value for name, value in FLOW.items() if name != left_out}]}
      for left_out in ("dst", "protocol", "netns", "device", "point", "packets", "differs", "inside"))], ids=str)
def test_a_section_that_is_none_is_refused(section: dict[str, Any], tmp_path: Path) -> None:
    path = bundle(**section).write(tmp_path)
    with pytest.raises(BundleError, match="its manifest's nearest"):
        open_bundle(str(path))


def test_what_is_no_object_is_refused(tmp_path: Path) -> None:
    made = bundle()
    made.manifest["nearest"] = [FLOW]
    with pytest.raises(BundleError, match="section 'nearest' is not an object"):
        open_bundle(str(made.write(tmp_path)))


def test_names_cannot_forge_a_line(tmp_path: Path) -> None:
    made = bundle({**FLOW, "device": "v\n- hv-b\x1b[2J", "netns": "a\nb", "differs": ["netns"]})
    made.manifest["filter"] = {"netns": "self"}
    said = [doubt for doubt in summary(made, tmp_path)["doubts"] if "sample" in doubt]
    assert [one.partition(" at ")[2] for one in said] == ["v_-_hv-b_[2J@a_b dev.rx (in another namespace)."]


def test_pseudonyms_are_for_these_flows_too(tmp_path: Path) -> None:
    run = tmp_path / "captures" / "r1"
    made = bundle({**FLOW, "device": "lan-of-the-bank", "netns": "the-bank"}, {**TUNNEL, "netns": "4026531999"},
                  {"ethertype": 0x88CC, **{name: FLOW[name] for name in (
                      "netns", "device", "point", "packets", "differs", "inside")}}, why="at the bank")
    made.manifest["run_id"] = "r1"
    made.write(run)
    archive = Path(pack_pseudonymised(str(run), str(tmp_path / "key")))
    there = tmp_path / "there" / archive.name
    there.parent.mkdir()
    archive.rename(there)
    home = Path(unpack(str(there)))
    (path,) = home.rglob("manifest.json")
    text = path.read_text()
    # whole addresses: a pseudonym may have a part of one by chance
    ends = ['"%s"' % one[end] for one in (FLOW, TUNNEL, INNER) for end in ("src", "dst")]
    for word in (*ends, "hv-a", "bank", "4026531999"):
        assert word not in text, word
    section = json.loads(text)["nearest"]
    kept = {name: FLOW[name] for name in ("protocol", "src_port", "dst_port", "vlan", "point", "packets", "differs",
                                          "inside")}
    assert section["flows"][0].items() >= kept.items()
    assert (section["packets"], section["flows_total"], section["why"]) == (214, 3, "left out")
    asked = json.loads(text)["filter"]["dst"]
    assert section["flows"][0]["dst"] == asked, "the same stays the same"
    assert section["flows"][1]["inner"].items() >= {"protocol": "tcp", "src_port": 1, "dst_port": 443}.items()
    assert section["flows"][2]["ethertype"] == 0x88CC
    open_bundle(str(path.parent))
