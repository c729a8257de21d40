# SPDX-License-Identifier: Apache-2.0
"""A bundle survives its way, and a bad one does no harm on the controller."""
import gzip
import io
import json
import stat
import tarfile

import pytest
from ansible.module_utils.skbfleet_bundle import check_origin, pack, sha256, unpack
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
    (run_dir / "drop_monitor" / "evidence.json").write_text("{}")
    bundle = pack(str(run_dir), [Tracer(str(run_dir), name) for name in ("drop_monitor", "datapath_tracing")], 0)
    assert bundle["bytes"] < 100_000
    names = unpack(bundle["path"], bundle["sha256"], str(home), 7_000_000)
    assert names == ["drop_monitor/manifest.json", "drop_monitor/records.bin", "drop_monitor/evidence.json",
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
        unpack(path, sha256(path), str(tmp_path / "home"), 1 << 20)
    assert not list(tmp_path.rglob("evil"))


def test_a_damaged_bundle_is_named(tmp_path):
    path = archive(tmp_path / "b.tar.gz", [(member("drop_monitor/manifest.json"), b"{}")])
    with pytest.raises(RunError, match="was damaged on its way: its SHA-256 is [0-9a-f]{64}, the host said 00"):
        unpack(path, "00" * 32, str(tmp_path / "home"), 1 << 20)


def test_a_bundle_that_is_cut_short(tmp_path):
    path = archive(tmp_path / "b.tar.gz", [(member("drop_monitor/records.bin"), bytes(range(256)) * 4000)])
    whole = open(path, "rb").read()
    open(path, "wb").write(whole[:len(whole) // 2])
    with pytest.raises(RunError, match="cannot be unpacked"):
        unpack(path, sha256(path), str(tmp_path / "home"), 1 << 20)


def unpacked(tmp_path, members, most=1 << 20):
    """Unpack an archive of these members; return the refusal."""
    path = archive(tmp_path / "b.tar.gz", members)
    with pytest.raises(RunError) as refused:
        unpack(path, sha256(path), str(tmp_path / "home"), most)
    return str(refused.value)


def test_what_unpacks_to_more_than_was_agreed_is_refused_before_it_is_written(tmp_path):
    records = (member("drop_monitor/records.bin"), bytes(3 << 20))
    assert "holds more than capture_max_bytes allows: drop_monitor/records.bin has 3145728 bytes" in unpacked(
        tmp_path, [records])
    assert not list(tmp_path.rglob("records.bin"))
    assert "each once" in unpacked(tmp_path, [(member("drop_monitor/tracer.log"), b"a")] * 2)


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path):
    path = tmp_path / "b.tar.gz"
    info = member("././@PaxHeader", tarfile.XHDTYPE)
    info.size = 1 << 33
    with gzip.open(path, "wb") as handle:
        handle.write(info.tobuf(tarfile.GNU_FORMAT))
        handle.write(bytes(4 << 20))
    with pytest.raises(RunError, match="one of its headers is larger than 1 MiB"):
        unpack(str(path), sha256(str(path)), str(tmp_path / "home"), 1 << 40)


@pytest.mark.parametrize(("change", "sentence"), [
    ({"host": "hv-b"}, r"the manifest of the drop_monitor says that its host is 'hv-b': it came from 'hv-a', in run r"),
    ({"host": ["hv-a"]}, r"its host is \['hv-a'\]"), ({"host": None}, "its host is None"),
    ({"run_id": "other"}, "its run_id is 'other'"), ({"tracer": "datapath_tracing"}, "its tracer is 'datapath"),
])
def test_a_manifest_speaks_for_the_host_that_it_came_from(tmp_path, change, sentence):
    place = tmp_path / "drop_monitor"
    place.mkdir()
    honest = {"host": "hv-a", "run_id": "r", "tracer": "drop_monitor"}
    (place / "manifest.json").write_text(json.dumps(honest))
    check_origin(str(tmp_path), "hv-a", "r")
    (place / "manifest.json").write_text(json.dumps({**honest, **change}))
    with pytest.raises(RunError, match=sentence):
        check_origin(str(tmp_path), "hv-a", "r")


@pytest.mark.parametrize(("text", "sentence"), [
    ("[" * 100_000, "is not JSON"), ("[1,2", "is not JSON"), ("\xff", "is not JSON"),
    ('{"devices": [{"name": "' + "A" * 20_000_000 + '"}]}', "has a text of more than 4096 bytes"),
    ('{"why": "' + "\\u0041" * 5000 + '"}', "has a text of more than 4096 bytes"),
    ("[" + "[]," * 1_500_001 + "1]", "has more than 3000000 values")])
def test_a_manifest_that_would_fill_the_memory_is_refused(tmp_path, text, sentence):
    place = tmp_path / "drop_monitor"
    place.mkdir()
    (place / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=sentence):
        check_origin(str(tmp_path), "hv-a", "r")
