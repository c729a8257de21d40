# SPDX-License-Identifier: Apache-2.0
"""Every wrong option is refused in one sentence that names it, its value and what is allowed."""
import mmap
import struct

import pytest

from skbtrace import options
from skbtrace.errors import InputError
from skbtrace.programs import filters, points

REFUSED = [
    (["--src", "192.168.32.300"], "--src is '192.168.32.300': it must be an IPv4 or IPv6 address"),
    (["--src", ""], "--src is ''"),
    (["--dst", "fe80::1/200"], "--dst is 'fe80::1/200'"),
    (["--src", "192.168.32.10", "--dst", "fd00::1"], "--src is 192.168.32.10 and --dst is fd00::1: both must be IPv4"),
    (["--protocol", "tpc"], "--protocol is 'tpc': it must be all, tcp, udp"),
    (["--protocol", "256"], "--protocol is '256'"),
    (["--protocol", "icmpv6", "--src", "10.0.0.1"], "--src is 10.0.0.1 but --protocol is icmpv6"),
    (["--protocol", "icmp", "--dst", "fd00::1"], "--dst is fd00::1 but --protocol is icmp"),
    (["--protocol", "arp", "--dst", "fd00::1"], "--dst is fd00::1 but --protocol is arp"),
    (["--dst-port", "443"], "--dst-port is 443 but --protocol is all: a port needs tcp, udp or sctp"),
    (["--protocol", "icmp", "--src-port", "1-2"], "--src-port is 1-2 but --protocol is icmp"),
    (["--protocol", "tcp", "--dst-port", "0"], "--dst-port is '0': it must be a port from 1 to 65535"),
    (["--protocol", "tcp", "--dst-port", "65536"], "--dst-port is '65536'"),
    (["--protocol", "tcp", "--dst-port", "90-80"], "--dst-port is '90-80'"),
    (["--protocol", "tcp", "--dst-port", "http"], "--dst-port is 'http'"),
    (["--vlan", "0"], "--vlan is '0': it must be a VLAN id from 1 to 4094"),
    (["--vlan", "4095"], "--vlan is '4095'"),
    (["--duration", "0"], "--duration is '0': it must be more than 0 and at most 86400 seconds"),
    (["--duration", "-1"], "--duration is '-1'"),
    (["--duration", "86401"], "--duration is '86401'"),
    (["--duration", "nan"], "--duration is 'nan'"),
    (["--duration", "soon"], "--duration is 'soon'"),
    (["--max-records", "0"], "--max-records is '0': it must be a whole number of records from 1"),
    (["--max-records", "1.5"], "--max-records is '1.5'"),
    (["--max-rate", "0"], "--max-rate is '0': it must be a whole number of records a second from 1 to 10000000"),
    (["--sample", "0"], "--sample is '0': it must be a whole number of packets from 1 to 1000"),
    (["--sample", "1001"], "--sample is '1001'"),
    (["--sample-drops"], "--sample-drops needs --sample: without it, every packet is taken"),
    (["--sample", "9", "--follow"], "--sample and --follow exclude each other: what is left out cannot be followed"),
    (["--max-rate", ""], "--max-rate is ''"),
    (["--max-bytes", "100"], "--max-bytes is '100'"),
    (["--buffer-pages", "100"], "--buffer-pages is 100: it must be a power of two"),
    (["--profile", "nics"], "--profile is 'nics': it must be one of"),
    (["--point", "dev.tz"], "--point is 'dev.tz': it must be one of"),
    (["--exclude-point", "dev.tz"], "--exclude-point is 'dev.tz'"),
    (["--point", "dev.tx", "--exclude-point", "dev.tx"], "--exclude-point leaves no point"),
    (["--require-point", "dev.tz"], "--require-point is 'dev.tz'"),
    (["--require-point", "dev.tx", "--exclude-point", "dev.tx"],
     "--require-point and --exclude-point are both 'dev.tx'"),
    (["--follow", "--only-followed", "dev.tz"], "--only-followed is 'dev.tz'"),
    (["--follow", "--only-followed", "skb.drop", "--exclude-point", "skb.drop"],
     "--only-followed and --exclude-point are both 'skb.drop'"),
    (["--only-followed", "skb.drop"], "--only-followed needs --follow"),
    (["--summary", "--run-dir", "x"], "--summary and --run-dir exclude each other"),
    (["--format", "xml"], "--format is 'xml': it must be text or json"),
    (["--interface", "a-name-that-is-far-too-long"], "--interface is 'a-name-that-is-far-too-long'"),
    (["--run-id", "../../etc"], "--run-id is '../../etc'"),
    (["--wait-window", "5"], "--wait-window needs --run-dir"),
    (["--evidence"], "--evidence needs --run-dir"),
    (["--evidence=rules", "--run-dir", "x"], "--evidence is 'rules': it must be host, switch or all"),
    (["--no-such-option"], "unrecognized arguments: --no-such-option"),
    (["--src"], "argument --src: expected one argument"),
]


def parse(*arguments: str) -> tuple:
    """Parse as the datapath tracer does."""
    return options.parse(options.make_parser("tracer", "what", "examples", "nic"), list(arguments))


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED, ids=[" ".join(arguments) for arguments, _ in REFUSED])
def test_refused_in_one_sentence(arguments: list[str], sentence: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse(*arguments)
    assert str(refusal.value).startswith(sentence)
    assert "\n" not in str(refusal.value)


def test_the_caller_s_names_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKBTRACE_NAMES", "capture_")
    with pytest.raises(InputError, match=r"^capture_src_port is '0': "):
        parse("--protocol", "tcp", "--src-port", "0")
    with pytest.raises(InputError, match=r"^capture_interfaces is "):
        parse("--interface", "no/name")


def test_points_follow_profiles_and_single_points() -> None:
    def names(*arguments: str) -> list[str]:
        return [point.name for point in points.wanted(parse(*arguments)[0])]

    assert set(names()) == set(points.PROFILES["nic"])
    assert names("--point", "sock.deliver") == ["sock.deliver"]
    assert names("--profile", "drop", "--point", "dev.rx") == ["dev.rx", "skb.drop", "ovs.drop"]
    assert names("--exclude-point", "skb.drop") == ["dev.rx", "dev.tx", "skb.free", "ovs.upcall", "ovs.drop"]
    assert set(names("--profile", "full")) == set(points.BY_NAME)
    assert set(names("--require-point", "sock.deliver")) == {*points.PROFILES["nic"], "sock.deliver"}


def test_profiles_name_known_points_only() -> None:
    for name, members in points.PROFILES.items():
        assert set(members) <= set(points.BY_NAME), name


def test_defines_of_a_full_filter() -> None:
    _options, chosen = parse("--src", "192.168.32.0/24", "--protocol", "tcp", "--dst-port", "80-443", "--vlan", "7",
                             "--both-directions")
    assert filters.defines(chosen, 4026531999) == {
        "FILTER_FAMILY": 4, "FILTER_SRC": "0x20a8c0u", "FILTER_SRC_MASK": "0xffffffu", "FILTER_PROTOCOL": 6,
        "FILTER_DST_PORT_LOW": 80, "FILTER_DST_PORT_HIGH": 443, "FILTER_BOTH": 1, "FILTER_VLAN": 7,
        "FILTER_NETNS": "4026531999u"}


def names_match(expression: str, name: bytes) -> bool:
    """What the C of the filter says of a device's name, 16 bytes as the kernel has them."""
    words = struct.unpack("=2Q", name)
    python = expression.replace("&&", "and").replace("||", "or").replace("ull", "").replace("(name)", "name")
    return bool(eval(python, {"name": words}))


@pytest.mark.parametrize("name", ["eth0", "e", "seven77", "exactly8", "fifteen-letters"])
def test_a_device_is_compared_by_its_whole_name(name: str) -> None:
    _options, chosen = parse("--interface", name, "--interface", "other")
    expression = filters.defines(chosen, None)["FILTER_INTERFACES(name)"]
    raw = name.encode()
    assert names_match(expression, raw.ljust(16, b"\0"))
    assert names_match(expression, (raw + b"\0").ljust(16, b"x")[:16])  # what an earlier, longer name left
    assert names_match(expression, b"other".ljust(16, b"\0"))
    assert not names_match(expression, (raw[:-1] + b"\0").ljust(16, b"\0"))
    if len(raw) < 15:
        assert not names_match(expression, (raw + b"1").ljust(16, b"\0"))


def test_describe_tells_only_what_was_asked_for() -> None:
    assert filters.describe(parse()[1]) == {}
    assert filters.describe(parse("--src", "fd00::1", "--protocol", "17", "--dst-port", "53")[1]) == {
        "src": "fd00::1", "protocol": "udp", "dst_port": "53"}


def test_packets_are_followed_where_they_can_go_on() -> None:
    """Of a packet that looks like others, only where every end is seen."""
    def constants(*arguments: str) -> dict[str, int]:
        return points.follow_defines(parse("--follow", *arguments)[0])

    assert constants() == {"FOLLOW": 1, "HAVE_ENDS": 1}
    assert constants("--exclude-point", "skb.free") == {"FOLLOW": 1}
    assert constants("--exclude-point", "skb.drop") == {"FOLLOW": 1}
    assert constants("--point", "dev.tx", "--only-followed", "skb.drop", "--point", "skb.free") == {
        "FOLLOW": 1, "HAVE_ENDS": 1}
    assert constants("--point", "skb.drop") == {}
    assert points.follow_defines(parse()[0]) == {}


@pytest.mark.parametrize(("page", "pages"), [(4096, 4096), (16384, 1024), (65536, 256)])
def test_a_buffer_is_no_larger_where_pages_are(monkeypatch: pytest.MonkeyPatch, page: int, pages: int) -> None:
    monkeypatch.setattr(mmap, "PAGESIZE", page)
    assert parse()[0].buffer_pages == pages
