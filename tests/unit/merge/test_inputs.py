# SPDX-License-Identifier: Apache-2.0
"""Whose a bundle is: a host speaks for itself alone, and two machines never become one."""
import json
import os
import pathlib
from typing import Any

import pytest
from support.bundles import Bundle

from fleetmerge.bundle import find as inputs
from fleetmerge.errors import MergeError


def lie(directory: str, **claims: Any) -> None:
    """Let a bundle's manifest say something else."""
    path = pathlib.Path(directory, "manifest.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **claims}))


@pytest.mark.parametrize("claim", [{"host": "hv-a"}, {"host": "hv-a", "tracer": "drop_monitor"},
                                   {"host": "HV-B"}, {"tracer": "drop_monitor"}])
def test_a_host_cannot_speak_for_another(tmp_path: pathlib.Path, claim: dict[str, str]) -> None:
    honest, liar = Bundle("hv-a"), Bundle("hv-b")
    run = tmp_path / honest.manifest["run_id"]
    honest.write(run)
    lie(liar.write(run), **claim)
    found = inputs.find([str(run)], None)
    assert [(bundle.host, bundle.tracer) for bundle in found.bundles] == [("hv-a", "datapath_tracing")]
    (sentence,) = found.broken["hv-b"]
    (what, said), *_more = claim.items()
    assert f"its manifest says that its {what} is {said}, but it came as " in sentence


def test_two_machines_of_one_name_are_refused(tmp_path: pathlib.Path) -> None:
    one, other = Bundle("hv"), Bundle("hv", "drop_monitor")
    paths = [one.write(tmp_path / "one"), other.write(tmp_path / "other")]
    assert len(inputs.find(paths, str(tmp_path / "out")).bundles) == 2  # both tracers of one machine
    lie(paths[1], kernel={"boot_id": "another"})
    with pytest.raises(MergeError, match="two machines say that they are host hv: .*; give the bundles of one of them"):
        inputs.find(paths, str(tmp_path / "out"))


@pytest.mark.parametrize(("text", "words"), [
    ('{"x": [' + "[]," * 1_600_000 + "1]}", "more than 3000000 values"),
    ('{"why": "' + "A" * 20_000_000 + '"}', "a text of more than 4096 bytes")])
def test_a_manifest_that_would_fill_memory_or_verdict_is_refused(tmp_path: pathlib.Path, text: str, words: str) -> None:
    honest, liar = Bundle("hv-a"), Bundle("hv-b")
    run = tmp_path / honest.manifest["run_id"]
    honest.write(run)
    with open(os.path.join(liar.write(run), "manifest.json"), "w") as handle:
        handle.write(text)
    (sentence,) = inputs.find([str(run)], None).broken["hv-b"]
    assert sentence.endswith("its manifest.json has " + words)
