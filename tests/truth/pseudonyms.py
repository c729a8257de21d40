# SPDX-License-Identifier: Apache-2.0
"""What a run says whatever its addresses and names are; and what tells these in bytes."""
import ipaddress
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_SAME = ("result", "records", "packets", "lost", "likely", "unknown", "became", "retransmitted", "keepalives", "drops",
         "copies_dropped", "flows_total", "losses_total")
_OF_A_LOSS = ("kind", "of", "certainty", "point", "function", "reason", "packets", "wire_packets", "bytes")


def whatever_the_names(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be the same under other names."""
    out = {name: summary[name] for name in _SAME}
    out["losses"] = Counter(tuple(loss.get(name) for name in _OF_A_LOSS)
                            for loss in [*summary["losses"], *summary["copies"]])
    out["segments"] = Counter((one["packets"], one["missing"]) for one in summary["segments"])
    out["hosts"] = Counter((host["status"], host["records"]) for host in summary["hosts"].values())
    return out


def telling(run: Path, summary: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the bytes and texts that tell addresses and names of a run that was merged."""
    for flow in summary["flows"]:
        for word in flow["key"].replace("[", " ").replace("]", " ").split():
            for text in (word, word.rpartition(":")[0]):
                try:
                    address = ipaddress.ip_address(text)
                except ValueError:
                    continue
                yield from (text.encode(), address.packed)
    for path in run.glob("hosts/*/*/manifest.json"):
        manifest = json.loads(path.read_text())
        yield manifest["host"].encode()
        yield from (bytes.fromhex(device["mac"].replace(":", "")) for device in manifest["devices"])
        yield from (device["mac"].encode() for device in manifest["devices"])
    yield b"ksoftirqd/0"
