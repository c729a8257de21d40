# SPDX-License-Identifier: Apache-2.0
"""Real bundles made worse on purpose: records thrown away, as a tracer that cannot keep up would lose them."""
import hashlib
import json
import pathlib
import random
import shutil

from .capture import TRACER


def copy(run: pathlib.Path, target: pathlib.Path, hosts: list[str]) -> pathlib.Path:
    """Copy these hosts' bundles of a run to another run's directory; the run keeps its id."""
    for host in hosts:
        shutil.copytree(run / "hosts" / host, target / "hosts" / host)
    for manifest in target.glob("hosts/*/*/manifest.json"):
        content = json.loads(manifest.read_text())
        content["run_id"] = target.name
        manifest.write_text(json.dumps(content))
    return target


def thin(run: pathlib.Path, host: str, one_in: int, seed: int = 1) -> int:
    """Throw away one in so many of a host's records, at random, and let its manifest say so; returns how many."""
    directory = run / "hosts" / host / TRACER
    content = json.loads((directory / "manifest.json").read_text())
    stride = content["record"]["stride"]
    records = (directory / "records.bin").read_bytes()
    count = len(records) // stride
    gone = set(random.Random(seed).sample(range(count), count // one_in))
    point = next(field for field in content["record"]["fields"] if field["name"] == "point")
    at = content["record"]["header"] + point["offset"]
    names = {entry["id"]: entry["name"] for entry in content["points"]["attached"]}
    for number in gone:
        place = number * stride + at
        row = content["per_point"][names[int.from_bytes(records[place:place + 2], "little")]]
        row["lost"] += 1
        row.setdefault("lost_per_cpu", {}).setdefault("0", 0)
        row["lost_per_cpu"]["0"] += 1
    kept = b"".join(records[number * stride:(number + 1) * stride] for number in range(count) if number not in gone)
    (directory / "records.bin").write_bytes(kept)
    content["counters"]["lost"] += len(gone)
    content["counters"]["written"] -= len(gone)
    content["files"]["records.bin"] = {"bytes": len(kept), "sha256": hashlib.sha256(kept).hexdigest()}
    (directory / "manifest.json").write_text(json.dumps(content))
    return len(gone)
