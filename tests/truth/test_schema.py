# SPDX-License-Identifier: Apache-2.0
"""The schema of summary.json: what it takes, and what it does not."""
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

SCHEMA_FILE = Path(__file__).parents[2] / "bpftools/fleetmerge/products/summary.schema.json"
SCHEMA = json.loads(SCHEMA_FILE.read_text())
PLACE = {"host": "hv-b", "device": "vnet0", "point": "dev.tx"}
LOSS = {"kind": "drop", "flow": "a > b udp", "packets": 7, "wire_packets": 7, "bytes": 700, "share": 3.5,
        "certainty": "certain", "why": "the kernel freed the packet as a drop", "grounds": ["skb.drop is attached"],
        "missing_grounds": [], "journeys": ["17"], "first": "2026-11-22T11:27:50.000100Z",
        "last": "2026-11-22T11:27:51.000100Z", "bursts": [], "function": "tun_net_xmit", "reason": "FULL_RING",
        "stack": [], **PLACE}
VANISHED = {**LOSS, "kind": "vanished", "between": [PLACE, PLACE]}


def problems(loss: dict[str, Any]) -> list[str]:
    """Return what is wrong with a loss."""
    schema = {"$schema": SCHEMA["$schema"], "$ref": "#/$defs/loss", "$defs": SCHEMA["$defs"]}
    return [error.message for error in Draft202012Validator(schema).iter_errors(loss)]


def without(loss: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in loss.items() if name not in names}


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("loss", [
    LOSS, VANISHED, {**LOSS, "copies": True}, {**LOSS, "more": 1},
    {**VANISHED, "certainty": "likely", "missing_grounds": ["hv-c was not traced"]},
    {**VANISHED, "certainty": "unknown", "grounds": []}, {**LOSS, "of": "copy", "copies": True},
    {**LOSS, "of": "branch", "copies": True, "certainty": "unknown"}, {**LOSS, "harmless": True}])
def test_losses_that_it_takes(loss: dict[str, Any]) -> None:
    assert problems(copy.deepcopy(loss)) == []


@pytest.mark.parametrize("loss", [
    without(LOSS, "grounds"), without(LOSS, "function"), without(VANISHED, "between"),
    {**VANISHED, "between": [PLACE]}, {**LOSS, "kind": "lost"}, {**LOSS, "certainty": "sure"},
    {**LOSS, "grounds": []}, {**LOSS, "missing_grounds": ["hv-c was not traced"]},
    {**VANISHED, "certainty": "likely"}, {**VANISHED, "copies": True}, {**LOSS, "journeys": [17]},
    {**LOSS, "of": "copy"}, {**LOSS, "of": "copy", "copies": True, "certainty": "unknown"}, {**LOSS, "of": "nobody"},
    {**LOSS, "share": 101}, {**LOSS, "first": "11:27"}])
def test_losses_that_it_does_not_take(loss: dict[str, Any]) -> None:
    assert problems(copy.deepcopy(loss)) != []
