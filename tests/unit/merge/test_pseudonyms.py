# SPDX-License-Identifier: Apache-2.0
"""A run under other names: nothing of its own is left in it, and it says the same."""
import importlib
import ipaddress
import os
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from expressions import packets
from support.bundles import ethernet, icmp, ipv4, ipv6, tcp, udp
from truth.bundle import RUN_ID
from truth.pseudonyms import telling, whatever_the_names
from truth.test_excerpts import merged

from fleetmerge.archive.unpack import unpack
from fleetmerge.errors import MergeError
from fleetmerge.packet import headers as parsing
from fleetmerge.pseudonyms.addresses import Addresses
from fleetmerge.pseudonyms.headers import replaced
from fleetmerge.pseudonyms.run import key_of, pack_pseudonymised

OWN = Addresses(bytes(range(32)))


def packed(*texts: str) -> np.ndarray:
    return np.array([list(ipaddress.ip_address(text).packed) for text in texts], "u1")


def shared(one: np.ndarray, two: np.ndarray) -> int:
    """Return how many bits two addresses begin with alike."""
    differ = np.flatnonzero(np.unpackbits(one) != np.unpackbits(two))
    return int(differ[0]) if len(differ) else 8 * len(one)


@pytest.mark.parametrize(("size", "kept"), [(4, 4), (16, 16)])
def test_prefixes_stay_prefixes(size: int, kept: int) -> None:
    rng = np.random.default_rng(5)
    some = rng.integers(0, 256, (200, size)).astype("u1")
    near = some.copy()
    near[:, -1] ^= 1 << rng.integers(0, 8, 200).astype("u1")
    given = np.concatenate([some, near])
    made = OWN.ip(given)
    for one, two in pairwise(rng.permutation(len(given)).tolist()):
        assert shared(made[one], made[two]) == shared(given[one], given[two])
    assert [shared(*pair) for pair in zip(some, near, strict=True)] == [
        shared(*pair) for pair in zip(made[:200], made[200:], strict=True)]
    assert (made != given).any(axis=1).all()
    assert (np.unpackbits(made, axis=1)[:, :kept] == np.unpackbits(given, axis=1)[:, :kept]).all()
    assert (OWN.ip(given) == made).all() and (Addresses(bytes(32)).ip(given) != made).any()


def test_nobodys_addresses_stay() -> None:
    for texts in (("0.0.0.0", "255.255.255.255"), ("::", "::1")):
        assert (OWN.ip(packed(*texts)) == packed(*texts)).all()
    for mac in (bytes(6), b"\xff" * 6):
        assert OWN.one_mac(mac) == mac
    assert OWN.one_mac(bytes.fromhex("3333ff000010"))[0] & 3 == 3
    assert OWN.one_mac(bytes.fromhex("525400123456"))[0] & 3 == 2


def test_a_vms_device_is_known_by_its_address_and_no_other_is() -> None:
    vm, device = (OWN.one_mac(bytes([first]) + bytes.fromhex("5400123456")) for first in (0x52, 0xFE))
    assert device == b"\xfe" + vm[1:] and vm[1:] != bytes.fromhex("5400123456")
    others = [OWN.one_mac(bytes.fromhex("52540012") + number.to_bytes(2, "big")) for number in range(2000)]
    assert len(set(others)) == 2000 and not [mac for mac in others if mac[0] == 0xFE]


def rows(frames: list[bytes], layers: list[int], protocols: list[int]) -> tuple[np.ndarray, ...]:
    packet = np.zeros((len(frames), 128), "u1")
    for row, frame in zip(packet, frames, strict=True):
        row[:len(frame[:128])] = np.frombuffer(frame[:128], "u1")
    return packet, np.array([min(128, len(frame)) for frame in frames]), np.array(layers), np.array(protocols)


def test_headers_are_the_same_but_for_their_addresses() -> None:
    """What the merger reads of packets, tunnels among them, is what it reads of them under other addresses."""
    rng = random.Random(3)
    given = [packets.make(rng) for _ in range(800)]
    packet, valid, layer, protocol = rows([one.memory for one in given], [2 if one.has_mac else 3 for one in given],
                                          [one.ethertype for one in given])
    made = replaced(packet, valid, layer, protocol, OWN)
    length = np.array([len(one.memory) - 14 * one.has_mac for one in given])
    one, two = (parsing.parse(some, valid, layer, protocol, length) for some in (packet, made))
    inner = [parsing.inner(outer, some, valid) for outer, some in ((one, packet), (two, made))]
    assert (inner[0][0] == inner[1][0]).all() and len(inner[0][0]) > 50
    for before, after in ((one, two), (inner[0][1], inner[1][1])):
        for name, column in vars(before).items():
            if name not in ("source", "target"):
                # headers that seem to be behind a later fragment's are payload
                sure = (before.version != 6) | (before.fragment == 0)
                assert (column == getattr(after, name))[sure].all(), name
    for four, size in ((4, 4), (6, 16)):
        some = one.version == four
        assert (two.source[some, :size] == OWN.ip(np.ascontiguousarray(one.source[some, :size]))).all() and some.any()


QUOTED = ipv4("198.51.100.7", "203.0.113.9", udp(1, 2), protocol=17)


@pytest.mark.parametrize(("frame", "addresses"), [
    (ethernet(ipv4("203.0.113.1", "198.51.100.7", icmp(3, 1) + QUOTED, protocol=1)), ["198.51.100.7", "203.0.113.9"]),
    (ethernet(ipv4("203.0.113.1", "198.51.100.7", bytes([5, 1, 0, 0]) + packed("203.0.113.77").tobytes() + QUOTED,
                   protocol=1)), ["203.0.113.77"]),
    (ethernet(ipv4("203.0.113.1", "198.51.100.7", tcp(1, 2), protocol=6, options=bytes([7, 7, 8])
                   + packed("203.0.113.77").tobytes() + b"\0")), ["203.0.113.77"]),
    (ethernet(ipv6("fd00::1", "fd00::2", bytes([135, 0, 0, 0, 0, 0, 0, 0]) + packed("fd00:32::10").tobytes() + bytes(
        [1, 1]) + bytes.fromhex("525400123456"), protocol=58), 0x86DD), ["fd00:32::10"]),
    (ethernet(ipv6("fd00::1", "fd00::2", bytes([6, 2, 0, 1, 0, 0, 0, 0]) + packed("fd00:32::10").tobytes() + tcp(1, 2),
                   protocol=43), 0x86DD), ["fd00:32::10"])])
def test_addresses_in_other_places(frame: bytes, addresses: list[str]) -> None:
    made = replaced(*rows([frame], [2], [0]), OWN)[0].tobytes()
    for address in [*addresses, "203.0.113.1" if b"\xcb\x00" in frame else "fd00::1"]:
        assert packed(address).tobytes() not in made and packed(address).tobytes() in frame
    assert bytes.fromhex("020000000001") not in made and bytes.fromhex("525400123456") not in made


@pytest.mark.parametrize("name", ["masquerade_two_vms", "icmp_error_quotes_the_packet"])
def test_a_run_says_the_same_under_other_names(name: str, tmp_path: Path) -> None:
    run = tmp_path / "captures" / RUN_ID
    run.mkdir(parents=True)
    importlib.import_module("truth.cases." + name).make(run)
    whole = merged(run)
    (tmp_path / "key").write_text("5d" * 32 + "\n")
    archive = Path(pack_pseudonymised(str(run), str(tmp_path / "key")))
    assert archive.name == RUN_ID + "-pseudonymised.tar.zst" and sorted(os.listdir(run.parent)) == sorted(
        [RUN_ID, archive.name, "latest"])
    sent = tmp_path / "there" / archive.name
    sent.parent.mkdir()
    archive.rename(sent)
    home = Path(unpack(str(sent)))
    content = b"".join(str(path.relative_to(home)).encode() + b"\n" + path.read_bytes() for path in home.rglob("*")
                       if path.is_file())
    words = set(telling(run, whole))
    assert len(words) > 10 and not {word for word in words if word in content}
    assert whatever_the_names(merged(home)) == whatever_the_names(whole)


def test_the_key_stays_and_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = key_of(str(path))
    assert len(key) == 32 and key_of(str(path)) == key and path.stat().st_mode & 0o777 == 0o600
    path.write_text("not hexadecimal\n")
    with pytest.raises(MergeError, match="is no key: it must hold 64 hexadecimal digits"):
        key_of(str(path))
