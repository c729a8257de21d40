# SPDX-License-Identifier: Apache-2.0
"""Which TCP segments only ask for an answer."""
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from fleetmerge.journey.keepalives import keepalives
from fleetmerge.journey.packets import Packets
from fleetmerge.packet.identity import IS_OTHER, IS_TCP, ROW

FIN, SYN, RST, ACK = 1, 2, 4, 16


def asked(*segments: tuple[int, int, int], **columns: list[int]) -> list[bool]:
    """Return which of these, (seq, size, flags) one after the other, are keep-alives; columns: of the rows, or `number`
    of the units."""
    rows = np.zeros(len(segments), ROW)
    rows["seq"], rows["size"], rows["flags"] = np.array(segments).T & 0xFFFFFFFF
    rows["time"], rows["flow"], rows["kind"] = np.arange(len(segments)), 5, IS_TCP
    number = np.array(columns.pop("number", [0] * len(segments)))
    for name, column in columns.items():
        rows[name] = column
    every = np.arange(len(segments))
    units: Any = SimpleNamespace(rows=rows, row=every, number=number)
    return keepalives(cast(Packets, SimpleNamespace(units=units)), every).tolist()


@pytest.mark.parametrize("base", [0, 1000, 0x7FFFFFFF, 0xFFFFFF00])
def test_one_byte_below_the_end(base: int) -> None:
    sent = (base, 1000, ACK)
    assert asked(sent, (base + 999, 0, ACK)) == [False, True]
    assert asked(sent, (base + 999, 1, ACK)) == [False, True]
    assert asked(sent, (base + 999, 2, ACK)) == [False, False]
    assert asked(sent, (base + 998, 0, ACK)) == [False, False]
    assert asked(sent, (base + 1000, 0, ACK)) == [False, False]
    assert asked(sent, (base + 1000, 1, ACK)) == [False, False]


@pytest.mark.parametrize("flag", [FIN, SYN, RST])
def test_segments_that_begin_or_end_a_connection_ask_for_nothing(flag: int) -> None:
    assert asked((0, 1000, ACK), (999, 0, flag)) == [False, False]


@pytest.mark.parametrize("flag", [FIN, SYN])
def test_a_flag_takes_a_number_of_its_own(flag: int) -> None:
    assert asked((50, 0, flag), (50, 0, ACK)) == [False, True]
    assert asked((50, 0, flag), (51, 0, ACK)) == [False, False]


def test_below_the_end_of_all_that_was_sent() -> None:
    assert asked((0, 1000, ACK), (100, 100, ACK), (999, 0, ACK), (199, 0, ACK)) == [False, False, True, False]


def test_again_and_again() -> None:
    assert asked((0, 1000, ACK), (999, 0, ACK), (999, 0, ACK), (1000, 5, ACK), (1004, 0, ACK)) == [
        False, True, True, False, True]


def test_a_byte_that_was_sent_by_itself_is_sent_again() -> None:
    assert asked((0, 1000, ACK), (1000, 1, ACK), (1000, 1, ACK)) == [False, False, False]
    assert asked((0, 1000, ACK), (999, 1, ACK), (999, 1, ACK)) == [False, True, True]


def test_each_flow_by_itself() -> None:
    assert asked((0, 1000, ACK), (999, 0, ACK), flow=[5, 6]) == [False, False]
    assert asked((0, 1000, ACK), (0, 500, ACK), (499, 0, ACK), (999, 0, ACK), flow=[5, 6, 6, 5]) == [
        False, False, True, True]


def test_in_the_order_of_time() -> None:
    assert asked((999, 0, ACK), (0, 1000, ACK), time=[2, 1]) == [True, False]


def test_only_whole_segments_of_tcp() -> None:
    sent, probe = (0, 1000, ACK), (999, 0, ACK)
    assert asked(sent, probe, kind=[IS_TCP, IS_OTHER]) == [False, False]
    assert asked(sent, probe, number=[0, 1]) == [False, False]
    assert asked(sent, probe, kind=[IS_OTHER, IS_OTHER]) == [False, False]
