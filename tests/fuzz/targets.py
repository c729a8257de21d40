# SPDX-License-Identifier: Apache-2.0
"""The targets: for each, what is made up, and what has to hold of it. Whatever else is raised is a finding."""
import datetime
import io
import json
import pathlib
import sys
import tarfile
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import ansible.module_utils
import yaml
from hypothesis import strategies as st
from support.fleet import Fleet, udp_packet
from support.lab import ROOT

from fleetmerge.bundle import find
from fleetmerge.bundle.labels import labels_of
from fleetmerge.bundle.manifest import open_bundle
from fleetmerge.errors import MergeError
from fleetmerge.findings import topology
from fleetmerge.merge import merge
from fleetmerge.products.summary import Request
from skbtrace import options as command_line
from skbtrace.errors import InputError
from skbtrace.programs import classic, expressions

from .values import ANYTHING, NUMBERS, WORDS, changed, damaged

sys.path.append(str(ROOT / "library"))
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))

import skbfleet_capture  # noqa: E402
from ansible.module_utils import skbfleet_bundle, skbfleet_case  # noqa: E402
from ansible.module_utils.skbfleet_names import Refused, specifications  # noqa: E402
from ansible.module_utils.skbfleet_rundir import RunError  # noqa: E402

SPECIFICATIONS = specifications(str(ROOT / "roles"))
LONGEST = 20000  # characters of a sentence
MOST_UNPACKED = 1 << 16


class Target(NamedTuple):
    """What is made up, and what is done with it in an empty directory."""

    made_up: st.SearchStrategy
    hold: Callable[[Any, pathlib.Path], None]


def check_sentence(error: Exception) -> None:
    """A refusal is one line, and can be printed."""
    said = str(error)
    assert said
    assert "\n" not in said
    assert len(said) < LONGEST, said[:200]


def _fleet() -> Fleet:
    fleet = Fleet()
    fleet.b.ask_for(**{"sk_buff.mark": "unsigned"})
    fleet.b.manifest.update(
        sample={"one_in": 2, "drops": 0, "salt": 7}, guards={"max_rate": 9, "captures": 2, "least_rate": 4},
        nearest={"packets": 9, "flows_total": 1, "why": "", "flows": [{
            "src": "10.0.0.1", "dst": "10.0.0.2", "protocol": "udp", "dst_port": 9, "vlan": 7, "tunnel": "gre",
            "tunnel_id": 1, "inner": {"ethertype": 9}, "netns": "hv-b", "device": "eth0", "point": "dev.rx",
            "packets": 9, "differs": ["dst"], "inside": True}]},
        limits=[{"limit": "max_records", "value": 20, "what": "20 records were kept"}],
        filter={"src": "192.168.32.10", "protocol": "udp"}, status="partial", why="it was stopped")
    fleet.b.stack(3, [fleet.b.symbol(0xffffffff81000000, "kfree_skb")])
    for number in range(20):
        fleet.send(1 + 0.01 * number, udp_packet(number), drop=number == 9)
    return fleet


FLEET = _fleet()


def _bundle(directory: pathlib.Path, manifest: Any, records: bytes) -> None:
    directory.mkdir(parents=True)
    (directory / "manifest.json").write_text(json.dumps(manifest))
    (directory / "records.bin").write_bytes(records)


def _whole() -> tuple[dict[str, Any], bytes]:
    """Return a good manifest, and its records."""
    with tempfile.TemporaryDirectory() as place:
        directory = pathlib.Path(FLEET.b.write(place))
        return json.loads((directory / "manifest.json").read_text()), (directory / "records.bin").read_bytes()


MANIFEST, RECORDS = _whole()


def _manifest(given: Any, place: pathlib.Path) -> None:
    """A manifest is taken or refused."""
    _bundle(place / "b", given, RECORDS)
    try:
        labels_of([open_bundle(str(place / "b"))])
    except MergeError as error:
        check_sentence(error)


def _run(given: Any, place: pathlib.Path) -> None:
    """A run of which one host's manifest and records are damaged is merged, or refused; the other host's is good."""
    manifest, records = given
    run = place / MANIFEST["run_id"]
    FLEET.a.write(run)
    _bundle(run / "hosts" / "hv-b" / "datapath_tracing", manifest, records)
    try:
        merge(Request(find.find([str(run)], None), {}, topology.read(str(run))))
    except MergeError as error:
        check_sentence(error)
        return
    verdict = (run / "verdict.txt").read_text()
    assert all(line.isprintable() for line in verdict.splitlines())
    json.loads((run / "summary.json").read_text())


@st.composite
def _archives(draw: Callable) -> bytes:
    """A .tar.gz with members of all kinds, names and sizes, damaged here and there."""
    memory, kind = io.BytesIO(), draw(st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
    with tarfile.open(fileobj=memory, mode="w:gz", format=kind, compresslevel=1) as tar:
        for _ in range(draw(st.integers(0, 4))):
            info = tarfile.TarInfo(draw(st.one_of(st.sampled_from(sorted(skbfleet_bundle.NAMES)), st.sampled_from(
                ["../evil", "/tmp/evil", "drop_monitor/../../evil", "x" * 300, "drop_monitor"]))))
            info.type = draw(st.sampled_from([tarfile.REGTYPE, tarfile.REGTYPE, tarfile.REGTYPE, tarfile.SYMTYPE,
                                              tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]))
            info.linkname = draw(st.sampled_from(["", "../../evil", "/etc/passwd"]))
            content = draw(st.sampled_from([b"", b"{}", b"x" * 100, b"\0" * (MOST_UNPACKED + 1)]))
            info.size = len(content) if info.type == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(content))
    return draw(damaged(memory.getvalue()))


def _archive(given: bytes, place: pathlib.Path) -> None:
    """An archive is unpacked, or refused; nothing lies elsewhere, or is more than was agreed."""
    path, home = place / "b.tar.gz", place / "home" / "hv-a"
    path.write_bytes(given)
    try:
        skbfleet_bundle.unpack(str(path), skbfleet_bundle.sha256(str(path)), str(home), MOST_UNPACKED)
    except RunError as error:
        check_sentence(error)
    written = [one for one in place.rglob("*") if not one.is_dir() and one != path]
    assert all(one.is_file() and not one.is_symlink() and home in one.parents for one in written)
    assert sum(one.stat().st_size for one in written) <= MOST_UNPACKED
    assert {one.relative_to(home).as_posix() for one in written} <= skbfleet_bundle.NAMES


CASE = {"case_title": "x", "case_expires": "2026-11-21", "case_hosts": ["hv-b"], "case_next": ["x"],
        "capture_src": "192.0.2.1", "capture_protocol": "tcp", "capture_dst_port": 443, "capture_points": ["dev.rx"],
        "capture_hosts": {"hv-b": {"capture_src": "198.51.100.1"}}}
_PIECES = ["a: ", "- ", "&x ", "*x", "!!python/object ", "{", "}", "[", "]", "\n", "  ", "? ", ": ", "|\n", "<<: ",
           "%TAG ", "---\n", "'", '"', "1", "\t", "é", "\0", "capture_src: ", "capture_hosts: "]
_CASES = st.one_of(changed(CASE).map(lambda one: yaml.safe_dump(one).encode()),
                   changed(CASE).map(lambda one: yaml.safe_dump(one, default_flow_style=True).encode()),
                   damaged(yaml.safe_dump(CASE).encode()),
                   st.lists(st.sampled_from(_PIECES), max_size=40).map(lambda words: "".join(words).encode()),
                   st.binary(max_size=200))


def _case(given: bytes, place: pathlib.Path) -> None:
    """A case file is plain values for variables that it may set, or refused."""
    path = place / "case.yml"
    path.write_bytes(given)
    try:
        case = skbfleet_case.Case(str(path), SPECIFICATIONS)
    except Refused as error:
        check_sentence(error)
        return
    case.check_hosts({"hv-b"})
    case.check_expiry(datetime.date(2026, 11, 22))
    for sentence in case.sentences():
        assert sentence.isprintable()
        assert len(sentence) < LONGEST
    for values in (case.values, *case.hosts.values()):
        assert set(values) <= set(skbfleet_case.OF_A_CASE)
    assert not skbfleet_case.has_template([case.about, case.values, case.hosts])


_TYPED = {"str": WORDS, "path": st.one_of(WORDS, st.sampled_from(
    ["{place}/skbfleet", "{place}/x\0/skbfleet", "{place}/a/../skbfleet"])), "int": st.integers(), "float": NUMBERS,
          "bool": st.booleans(), "list": st.lists(WORDS, max_size=3), "dict": st.dictionaries(
              st.one_of(st.sampled_from(["drop_monitor", "datapath_tracing"]), WORDS), st.lists(ANYTHING, max_size=3),
              max_size=3)}


@st.composite
def _arguments(draw: Callable) -> dict[str, Any]:
    """Arguments of the module, of the right types, as Ansible sees to; some are left out."""
    given = {}
    for name, spec in skbfleet_capture.ARGUMENTS.items():
        choice = st.sampled_from(spec["choices"]) if "choices" in spec else _TYPED[spec["type"]]
        given[name] = draw(st.one_of(st.just(spec.get("default")), choice))
    given["state"] = given["state"] or "absent"
    for state, wanted, names in ((one[1], one[1], one[2]) for one in skbfleet_capture.REQUIRED):
        for name in names if given["state"] == wanted and state else ():
            if given[name] is None:
                given[name] = draw(_TYPED[skbfleet_capture.ARGUMENTS[name]["type"]])
    return given


def _module(given: dict[str, Any], place: pathlib.Path) -> None:
    """The module answers, or says in one sentence why not; in check mode, so that a path that it takes is only seen."""
    given = dict(given, remote_dir=str(given["remote_dir"]).replace("{place}", str(place)))
    json.dumps(skbfleet_capture.answer(given, True))
    assert list(place.iterdir()) == []


def _option_names() -> list[str]:
    """Return the options that say something; expressions have a target of their own, and would ask a name server."""
    parser = command_line.make_parser("fuzz", "", "", "nic")
    return sorted(set(parser._option_string_actions) - {"-h", "--help", "--version", "--filter", "--inner-filter"})


_NAMES = st.sampled_from(_option_names())
_VALUES = st.one_of(WORDS, NUMBERS.map(str), st.sampled_from([
    "192.0.2.1", "2001:db8::/64", "10.0.0.0/33", "tcp", "icmpv6", "443", "8000-8080", "0-65536", "dev.rx",
    "func:ip_rcv", "func:ip_rcv@-1", "func:@", "sk_buff.mark", "sk_buff.dev->mtu", "sk_buff.", "nic", "full", "json",
    "1,0,0,0"]))
_WORD = st.one_of(st.tuples(_NAMES, _VALUES).map("=".join), _NAMES, _VALUES.filter(lambda one: "h" not in one))
_ARGV = st.lists(_WORD, max_size=8)


def _options(given: list[str], _place: pathlib.Path) -> None:
    """A tracer's command line is taken, or refused in one sentence, and nothing is touched."""
    try:
        command_line.parse(command_line.make_parser("fuzz", "", "", "nic"), given)
    except InputError as error:
        assert str(error)


# no bare words: libpcap would ask a name server for them
_TOKENS = """tcp udp icmp icmp6 ip ip6 arp ether vlan mpls geneve pppoes src dst host net port portrange proto and or
not mask broadcast multicast gateway less greater len inbound ifindex protochain ( ) [ ] [0] [0:4] [12:2] [-1] [99999]
: & | + - * / % << >> = == != < > <= >= ! && || 0 1 443 65535 65536 4294967295 4294967296 0xffffffff 192.0.2.1
10.0.0.0/8 10.0.0.0/33 2001:db8::1 fe80::/10 80-90 90-80 tcp[tcpflags] tcp-syn \\tcp"""
_EXPRESSIONS = st.lists(st.sampled_from(_TOKENS.split()), min_size=1, max_size=60).map(" ".join)


def _expression(given: str, _place: pathlib.Path) -> None:
    """An expression is compiled to a program that is taken as it is, or refused."""
    try:
        made = expressions.make("filter", given, None)
    except InputError as error:
        check_sentence(error)
        return
    assert made is not None
    assert classic.parse(classic.text_of(made.program)) == made.program
    classic.to_c(made.program)


_CODES = [0x06, 0x15, 0x20, 0x28, 0x30, 0x50, 0xb1, 0x60, 0x61, 0x02, 0x03, 0x05, 0x35, 0x45, 0x04, 0x34, 0x54, 0x74,
          0x87, 0x07, 0x0c, 0x3c, 0x16]
_NUMBERS = st.sampled_from([0, 1, 15, 16, 0x7fffffff, 0xffffffff]) | st.integers(0, 1 << 33)
_INSTRUCTIONS = st.tuples(st.sampled_from(_CODES) | st.integers(0, 0xffff), st.integers(0, 255), st.integers(0, 255),
                          _NUMBERS)
_CODE = st.one_of(WORDS, st.lists(_INSTRUCTIONS, max_size=20).map(
    lambda rows: ",".join([str(len(rows)), *(" ".join(map(str, row)) for row in rows)])))


def _code(given: str, _place: pathlib.Path) -> None:
    """A program that somebody hands over becomes C, or is refused."""
    try:
        made = expressions.make("filter", "tcp", given)
    except InputError as error:
        assert str(error)
        return
    assert made is not None
    assert len(made.program) <= 512
    classic.to_c(made.program)


TARGETS = {
    "manifest": Target(st.one_of(changed(MANIFEST), ANYTHING), _manifest),
    "run": Target(st.tuples(changed(MANIFEST), damaged(RECORDS)), _run),
    "archive": Target(_archives(), _archive),
    "case": Target(_CASES, _case),
    "module": Target(_arguments(), _module),
    "options": Target(_ARGV, _options),
    "expression": Target(_EXPRESSIONS, _expression),
    "code": Target(_CODE, _code),
}
