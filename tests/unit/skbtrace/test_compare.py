# SPDX-License-Identifier: Apache-2.0
"""A table for each packet: only what changed, changes marked, and never two packets in one."""
import io
import struct

import pytest
from support.bundles import ethernet, ipv4, udp

from skbtrace import options
from skbtrace.capture import record
from skbtrace.errors import InputError
from skbtrace.programs.fields import RecordedField
from skbtrace.show import compare, text

FIELDS = [RecordedField("sk_buff.mark", "unsigned"), RecordedField("sk_buff.sk->sk_state", "unsigned")]
LAYOUT = record.Layout(len(FIELDS))


class Names:
    """Devices and symbols of the tests."""

    def name(self, *numbers: int) -> str:
        return "dev%d" % numbers[1] if len(numbers) == 2 else "function+0x%x" % numbers[0]

    def stack(self, _number: int) -> list[str]:
        return ["inner+0x1", "outer+0x2"]


def packet(number: int, source: str = "192.168.32.10", ttl: int = 64) -> bytes:
    return ethernet(ipv4(source, "192.168.32.20", udp(40000, 5001), ident=number, ttl=ttl))


def at(micro: int, point: int, data: bytes, mark: int = 0, state: int | None = None, **fields: int) -> record.Record:
    """A record of one skb, at a time in µs."""
    blank = dict.fromkeys(LAYOUT.record._fields, 0)
    slots = struct.pack("<3Q", mark, state or 0, 1 | (state is not None) << 1)
    blank.update(comm=b"x\0", packet=data.ljust(128, b"\0"), packet_len=len(data), packet_layer=2, netns=7, users=1,
                 len=len(data), stack_id=-1, time_ns=micro * 1000, point=point, ifindex=point + 1, skb=0x10, head=0x20,
                 fields=slots)
    blank.update(fields)
    return LAYOUT.record(**blank)


def facts() -> text.Facts:
    return text.Facts("hv-a", {0: "dev.rx", 1: "dev.tx", 2: "skb.drop"}, Names(), {7: "hv-a"}, {77: "FULL_RING"},
                      Names(), 0, fields=FIELDS)


def written(records: list) -> list[str]:
    stream = io.StringIO()
    tables = compare.Comparison(stream, facts())
    for one in records:
        tables.write(one)
    tables.finish()
    return stream.getvalue().splitlines()


def test_a_line_says_what_changed_of_the_fields_that_were_there() -> None:
    stream = io.StringIO()
    printer = text.Printer(stream, facts(), False, True)
    for one in [at(1, 0, packet(1), state=1), at(2, 1, packet(1), 42, state=7), at(3, 2, packet(1), 43)]:
        printer.write(one)
    lines = stream.getvalue().splitlines()
    assert " sk_buff.mark=0 sk_buff.sk->sk_state=1 " in lines[0]
    assert " sk_buff.mark=43 sk_buff.sk->sk_state=- " in lines[2]
    assert [line.partition(" changed: ")[2] for line in lines] == [
        "", "sk_buff.mark 0->42, sk_buff.sk->sk_state 1->7", "sk_buff.mark 42->43"]


def test_only_what_changed_is_shown_and_each_change_is_marked() -> None:
    way = [at(10, 0, packet(1)), at(12, 1, packet(1, "10.0.0.1", 63), 42),
           at(15, 2, packet(1, "10.0.0.1", 63), 42, 7, reason=77, location=0xAB, stack_id=4)]
    assert written(way) == [
        "1970-01-01T00:00:00.000010Z hv-a 192.168.32.10:40000 > 192.168.32.20:5001 udp id=1 len=42 skb=0x10",
        "    µs    point     device  sk_buff.mark  src            ttl",
        "    +0.0  dev.rx    dev1    0             192.168.32.10  64",
        "    +2.0  dev.tx    dev2    42*           10.0.0.1*      63*",
        "    +5.0  skb.drop  dev3    42            10.0.0.1       63  reason=FULL_RING  at=function+0xab",
        "        inner+0x1", "        outer+0x2", ""]


def test_what_is_not_there_is_compared_with_what_was_there_last() -> None:
    rows = written([at(1, 0, packet(1), state=1), at(2, 1, packet(1)), at(3, 2, packet(1), state=4)])[2:5]
    assert [row.split()[3] for row in rows] == ["1", "-", "4*"]


def test_two_packets_in_one_skb_are_two_tables() -> None:
    first, second = ([at(10 * number + place, place, packet(number), mark=number) for place in range(2)]
                     for number in (1, 2))
    lines = written(first + second)
    assert sum("skb=0x10" in line for line in lines) == 2
    assert not any("*" in line or "sk_buff.mark" in line for line in lines)


def test_packets_that_come_among_each_other_are_apart() -> None:
    ways = [[at(place, place, packet(number), mark=place * number, skb=number, head=number) for place in range(2)]
            for number in (1, 2)]
    lines = written([one for pair in zip(*ways, strict=True) for one in pair])
    assert [line.split()[-1] for line in lines if "dev.tx" in line] == ["1*", "2*"]
    assert [line.split()[-1] for line in lines if "udp" in line] == ["skb=0x1", "skb=0x2"]


def test_a_packet_that_was_freed_is_shown_at_once_and_of_others_the_oldest_when_there_are_too_many(
        monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    tables = compare.Comparison(stream, facts())
    monkeypatch.setattr(compare, "_MOST_OPEN", 3)
    tables.write(at(1, 0, packet(1), skb=1, head=1))
    assert stream.getvalue() == ""
    tables.write(at(2, 2, packet(1), skb=1, head=1))
    assert stream.getvalue().count(" skb=0x1\n") == 1
    for number in range(2, 6):
        tables.write(at(number, 0, packet(number), skb=number, head=number))
    assert stream.getvalue().count(" skb=") == 2
    assert " skb=0x2\n" in stream.getvalue()


@pytest.mark.parametrize(("other", "name"), [(["--run-dir", "x"], "--run-dir"), (["--format", "json"], "--format")])
def test_tables_are_for_a_person(other: list[str], name: str) -> None:
    parser = options.make_parser("tracer", "what", "examples", "nic")
    with pytest.raises(InputError, match="^--compare and %s exclude each other$" % name):
        options.parse(parser, ["--compare", *other])
