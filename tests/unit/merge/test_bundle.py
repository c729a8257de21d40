# SPDX-License-Identifier: Apache-2.0
"""What cannot be a bundle is refused in one sentence that says why."""
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.bundles import Bundle, ethernet, ipv4, udp

from fleetmerge.bundle.manifest import open_bundle
from fleetmerge.bundle.records import canonical, dtype_of
from fleetmerge.errors import BundleError
from skbtrace.capture import record


@pytest.fixture
def directory(tmp_path: Any) -> str:
    bundle = Bundle("hv-a")
    bundle.device(2, "eth0")
    for number in range(10):
        bundle.event(number * 0.1, "dev.rx", 2, ethernet(ipv4("10.0.0.1", "10.0.0.2", udp(1, 2, number))), mark=number)
    return bundle.write(tmp_path)


def change(directory: str, edit: Callable[[dict], Any]) -> None:
    path = os.path.join(directory, "manifest.json")
    with open(path) as handle:
        manifest = json.load(handle)
    edit(manifest)
    with open(path, "w") as handle:
        json.dump(manifest, handle)


BAD = [
    (lambda m: m.update(format="skbfleet-bundle/9"), "its format is 'skbfleet-bundle/9'"),
    (lambda m: m.pop("format"), "not one of skbfleet's"),
    (lambda m: m.update(host="../../etc"), "host is '../../etc', which is no name"),
    (lambda m: m.update(run_id=None), "run_id is None"),
    (lambda m: m.pop("record"), "description of a record"),
    (lambda m: m["record"].update(fields=[]), "no field 'time_ns'"),
    (lambda m: m["record"]["fields"][0].update(offset=9999), "'time_ns' lies outside the record"),
    (lambda m: m["record"]["fields"][0].update(type="f80"), "description of a record"),
    (lambda m: m["record"].update(stride=10), "do not fit its stride"),
    # found by fuzzing
    (lambda m: m["record"].update(size=float("inf")), "description of a record"),
    (lambda m: m["record"]["fields"][0].update(offset=float("inf")), "description of a record"),
    (lambda m: m["record"]["fields"].append(dict(m["record"]["fields"][0])), "description of a record"),
    (lambda m: m["record"]["fields"][3].update(type="char"), "'location' is not made of what"),
    (lambda m: m["record"]["fields"][3].update(count=3), "'location' is not made of what"),
    (lambda m: m["record"]["fields"][-1].update(count=1), "'packet' is not made of what"),
    (lambda m: m["record"]["fields"][-1].update(type="char"), "'packet' is not made of what"),
    (lambda m: m["files"].clear(), "how long records.bin is"),
    (lambda m: m["files"]["records.bin"].update(bytes=288),
     "has %d bytes where the manifest says 288" % (10 * record.STRIDE)),
    (lambda m: m.update(devices={}), "'devices' is not a list"),
    (lambda m: m.update(devices=[{"name": "eth0"}]), "devices are not a list of"),
    (lambda m: m.update(devices=[{"ifindex": 2, "role": "veth", "link": "two"}]), "devices are not a list of"),
    (lambda m: m.update(devices=[{"ifindex": 2, "role": "veth", "link": [2]}]), "devices are not a list of"),
    (lambda m: m.update(devices=[{"ifindex": 2, "role": "vnet", "master": "br0"}]), "devices are not a list of"),
    (lambda m: m.update(devices=[{"ifindex": 2, "role": "vnet", "master": -1}]), "devices are not a list of"),
    (lambda m: m["points"].update(attached=[1]), "points are not a list of"),
    (lambda m: m["clock"].update(pairs=[{"monotonic_ns": "now"}]), "clock pairs are not"),
]


@pytest.mark.parametrize(("edit", "words"), BAD)
def test_bad_manifests(directory: str, edit: Callable[[dict], Any], words: str) -> None:
    change(directory, edit)
    with pytest.raises(BundleError) as caught:
        open_bundle(directory)
    assert words in str(caught.value)
    assert str(caught.value).startswith("the bundle %s cannot be used: " % directory)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("content", "words"), [
    ("", "not JSON"), ("[1]", "not one of skbfleet's"), ("{" * 5000, "not JSON"), ("\xff\xfe", "not JSON")])
def test_manifests_that_are_none(directory: str, content: str, words: str) -> None:
    with open(os.path.join(directory, "manifest.json"), "wb") as handle:
        handle.write(content.encode("latin-1"))
    with pytest.raises(BundleError) as caught:
        open_bundle(directory)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["manifest.json", "records.bin"])
def test_missing_files(directory: str, name: str) -> None:
    os.unlink(os.path.join(directory, name))
    with pytest.raises(BundleError, match="it has no %s" % name):
        open_bundle(directory)


def test_truncated_records_are_counted(directory: str) -> None:
    os.truncate(os.path.join(directory, "records.bin"), 3 * record.STRIDE + 100)
    bundle = open_bundle(directory)
    assert (bundle.records, bundle.promised) == (3, 10)
    assert bundle.problems == ["records.bin is cut off: 3 of 10 records are there"]


def test_another_layout_is_read_by_its_description() -> None:
    """Fields in another order, one missing, one that this version does not know, big-endian, a smaller packet."""
    layout = {"size": 64, "stride": 72, "header": 8, "byte_order": "big", "fields": [
        {"name": name, "type": kind, "count": count, "offset": offset} for name, kind, count, offset in (
            ("packet", "u8", 16, 32), ("point", "u16", 1, 2), ("time_ns", "u64", 1, 8), ("skb", "u64", 1, 16),
            ("novelty", "u32", 1, 24), ("packet_len", "u8", 1, 28))]}
    dtype = dtype_of(layout)
    raw = np.zeros(2, dtype)
    raw["time_ns"], raw["point"], raw["packet_len"] = [5, 1 << 40], 3, 200
    raw["packet"][:, 3] = 7
    assert raw.tobytes()[8 + 8:8 + 16] == (5).to_bytes(8, "big")
    found = canonical(raw)
    assert found["time_ns"].tolist() == [5, 1 << 40]
    assert found["packet"][0, :5].tolist() == [0, 0, 0, 7, 0]
    assert found["packet_len"].tolist() == [128, 128]
    assert found["stack_id"].tolist() == [-1, -1]
