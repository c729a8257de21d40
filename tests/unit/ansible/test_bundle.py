# SPDX-License-Identifier: Apache-2.0
"""A bundle survives its way, and a bad one does no harm on the controller."""
import io
import stat
import tarfile

import pytest
from ansible.module_utils.skbfleet_bundle import pack, sha256, unpack
from ansible.module_utils.skbfleet_rundir import RunError, Tracer


def archive(path, members):
    """Write an archive with (TarInfo, content) members."""
    with tarfile.open(path, "w:gz") as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return str(path)


def member(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_there_and_back(tmp_path):
    run_dir, home = tmp_path / "run", tmp_path / "home"
    for tracer in ("drop_monitor", "datapath_tracing"):
        (run_dir / tracer).mkdir(parents=True)
        (run_dir / tracer / "manifest.json").write_text("{}")
        (run_dir / tracer / "records.bin").write_bytes(b"x" * 3_000_000)
        (run_dir / tracer / "process.json").write_text("{}")
    bundle = pack(str(run_dir), [Tracer(str(run_dir), name) for name in ("drop_monitor", "datapath_tracing")], 0)
    assert bundle["bytes"] < 100_000
    names = unpack(bundle["path"], bundle["sha256"], str(home))
    assert names == ["drop_monitor/manifest.json", "drop_monitor/records.bin",
                     "datapath_tracing/manifest.json", "datapath_tracing/records.bin"]
    assert (home / "drop_monitor" / "records.bin").read_bytes() == b"x" * 3_000_000
    assert stat.S_IMODE((home / "drop_monitor" / "records.bin").stat().st_mode) == 0o600
    assert stat.S_IMODE((home / "drop_monitor").stat().st_mode) == 0o700


@pytest.mark.parametrize("info", [
    member("../evil"), member("/tmp/evil"), member("drop_monitor/../../evil"), member("drop_monitor/evil"),
    member("drop_monitor/records.bin", tarfile.SYMTYPE, "/etc/passwd"),
    member("drop_monitor/records.bin", tarfile.LNKTYPE, "/etc/passwd"),
    member("drop_monitor/records.bin", tarfile.FIFOTYPE), member("drop_monitor", tarfile.DIRTYPE),
])
def test_suspicious_members_are_refused(tmp_path, info):
    path = archive(tmp_path / "b.tar.gz", [(info, b"")])
    with pytest.raises(RunError, match="it must be|regular files named"):
        unpack(path, sha256(path), str(tmp_path / "home"))
    assert not list(tmp_path.rglob("evil"))


def test_a_damaged_bundle_is_named(tmp_path):
    path = archive(tmp_path / "b.tar.gz", [(member("drop_monitor/manifest.json"), b"{}")])
    with pytest.raises(RunError, match="was damaged on its way: its SHA-256 is [0-9a-f]{64}, the host said 00"):
        unpack(path, "00" * 32, str(tmp_path / "home"))


def test_a_bundle_that_is_cut_short(tmp_path):
    path = archive(tmp_path / "b.tar.gz", [(member("drop_monitor/records.bin"), bytes(range(256)) * 4000)])
    whole = open(path, "rb").read()
    open(path, "wb").write(whole[:len(whole) // 2])
    with pytest.raises(RunError, match="cannot be unpacked"):
        unpack(path, sha256(path), str(tmp_path / "home"))
