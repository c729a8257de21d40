# SPDX-License-Identifier: Apache-2.0
"""What is written to a reader who is quick, slow, stalls or goes away."""
import contextlib
import errno
import fcntl
import os

import pytest
from support.lab import wait_until

from skbtrace.show import stream


@pytest.fixture
def pipe():
    """A pipe as (reader, writer)."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):  # the test closed it
            os.close(end)


def test_everything_comes_through_in_order(pipe) -> None:
    reader, writer = pipe
    out = stream.Stream(writer)
    words = [f"{number} grün\n" for number in range(20000)]
    for word in words:
        out.write(word)
    expected = "".join(words).encode()
    found = b""
    while len(found) < len(expected):
        found += os.read(reader, 1 << 16)
    assert found == expected
    out.drain(5)
    assert (out.waiting(), out.error) == (0, 0)


def test_a_reader_that_stalls_holds_nothing_up_and_what_he_did_not_get_is_known(pipe) -> None:
    _reader, writer = pipe
    out = stream.Stream(writer)
    line = "x" * 99 + "\n"
    count = 0
    while out.has_room():
        out.write(line)
        count += 1
    out.drain(0.05)
    unshown = out.waiting()
    assert fcntl.fcntl(writer, fcntl.F_GETFL) & os.O_NONBLOCK == 0  # others may share the descriptor
    room = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
    assert room // len(line) - 41 <= count - unshown <= room // len(line)  # a pipe takes whole pages


def test_a_reader_that_goes_away_is_an_error(pipe) -> None:
    reader, writer = pipe
    os.close(reader)
    out = stream.Stream(writer)
    out.write("x\n")
    wait_until(lambda: out.error, "the error is known")
    assert (out.error, out.has_room()) == (errno.EPIPE, False)
    out.drain(60)  # returns at once


def test_a_full_disk_is_an_error() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    out = stream.Stream(full)
    out.write("x\n")
    wait_until(lambda: out.error, "the error is known")
    assert (out.error, out.waiting()) == (errno.ENOSPC, 1)
    os.close(full)


def test_a_descriptor_that_does_not_block_is_waited_for(pipe) -> None:
    reader, writer = pipe
    os.set_blocking(writer, False)
    out = stream.Stream(writer)
    sent = "y" * (1 << 20)
    out.write(sent)
    found = 0
    while found < len(sent):
        found += len(os.read(reader, 1 << 16))
    out.drain(5)
    assert (out.waiting(), out.error) == (0, 0)
