# SPDX-License-Identifier: Apache-2.0
"""What a host lacks is said in one sentence, before anything is compiled."""
import io
import pathlib
import platform
import sys

import pytest

from skbtrace import command
from skbtrace.errors import TracerError
from skbtrace.host import limits
from skbtrace.kernel import symbols
from skbtrace.programs import loader


def test_an_unknown_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    loader.require_machine()
    monkeypatch.setattr(platform, "machine", lambda: "s390x")
    with pytest.raises(TracerError, match="^this machine is of type s390x: it must be one of aarch64, x86_64$"):
        loader.require_machine()


@pytest.mark.parametrize(("text", "sentence"), [
    (None, "has no module bcc: install python3-bpfcc"),
    ("import ctypes\nctypes.CDLL('libbcc-nowhere.so.0')", "cannot be used: libbcc-nowhere.so.0: cannot open"),
])
def test_a_missing_or_broken_bcc_is_one_sentence(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
                                                 text: str | None, sentence: str) -> None:
    if text:
        (tmp_path / "bcc.py").write_text(text)
    monkeypatch.delitem(sys.modules, "bcc", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(TracerError, match=sentence) as refusal:
        limits.require_bcc()
    assert "\n" not in str(refusal.value)


def test_the_disk_of_a_directory_to_be_made_is_that_of_the_one_above(tmp_path: pathlib.Path) -> None:
    assert limits.existing_directory(str(tmp_path / "a" / "b")) == str(tmp_path)
    assert limits.existing_directory(str(tmp_path)) == str(tmp_path)


def test_a_full_disk_is_found_by_the_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(command, "Tracer", lambda options, chosen: None)
    monkeypatch.setattr(limits, "free_bytes", lambda directory: 5 << 20)

    def check(*words: str) -> int:
        return command.main("t", "what", "", "nic", ["--check-host", *words])

    assert check() == 0
    assert check("--run-dir=/nowhere/at/all") == 1
    said = capsys.readouterr()
    assert said.err == "error: the disk of / has 5 MiB free: a capture needs at least 64 MiB\n"
    assert said.out == ""


class Hidden:
    """bcc's object where the kernel hides its symbols."""

    def ksym(self, *_arguments: object, **_options: object) -> bytes:
        return b"[unknown]"


def test_an_address_without_a_name_is_shown_as_itself() -> None:
    assert symbols.Symbols(Hidden()).name(0xFFFFFFFF81A01234) == "0xffffffff81a01234"


@pytest.mark.parametrize(("address", "hidden"), [("0000000000000000", True), ("ffffffff81000000", False)])
def test_hidden_symbols_are_noticed(monkeypatch: pytest.MonkeyPatch, address: str, hidden: bool) -> None:
    monkeypatch.setattr(symbols, "open", lambda _path: io.StringIO(f"{address} T _stext\n" * 3), raising=False)
    assert symbols.Symbols(Hidden()).are_hidden() is hidden
