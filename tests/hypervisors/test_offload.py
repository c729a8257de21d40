# SPDX-License-Identifier: Apache-2.0
"""A queue that the adapter's hardware keeps, and whose limit drops packets there: no kernel sees that, the queue's own
counters have it.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from emulated import offload, tracing
from emulated.machine import Machine
from support.fleet import merged

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MORE, OTHERS = 20, 10    # datagrams that the adapter drops; others before and after them
TRACED = ("datapath_tracing", "--src", offload.A, "--dst", offload.B, "--protocol", "udp", "--both-directions",
          "--netns")  # fmt: skip
FLOW = f"{offload.A}:4000 > {offload.B}:5000 udp"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    made = Machine("offload", "bookworm", offload.FORM)
    made.start()
    try:
        made.wait()
        made.push(ROOT / "bpftools", tracing.TOOLS)
        made.run("cat > /opt/workload.py", data=(HERE / "workload.py").read_bytes())
        offload.set_up(made)
        yield made
    finally:
        made.stop()


def test_what_the_hardware_dropped(machine: Machine, tmp_path: Path) -> None:
    run, before = tmp_path / "full", offload.counted(machine)
    with tracing.bundling(machine, run, "hv-a", *TRACED, "a"), tracing.bundling(machine, run, "hv-b", *TRACED, "b"):
        offload.send(machine, MORE, OTHERS)
    after = offload.counted(machine)
    assert after["offloaded"] is True
    assert after["drops"] - before["drops"] == MORE
    summary = merged(run)
    print(json.dumps(summary["losses"], indent=1), *summary["verdict"], *summary["doubts"], sep="\n")
    (loss,) = summary["losses"]
    assert (loss["kind"], loss["packets"], loss["flow"]) == ("vanished", MORE, FLOW)
    assert [(end["host"], end["device"]) for end in loss["between"]] == [("hv-a", "hw0"), ("hv-b", "hw1")]
    (one,) = loss["cause"]["candidates"]
    assert {name: one[name] for name in offload.QDISC} == offload.QDISC
    assert (one["offloaded"], one["options"]["limit"], one["rose"]) == (True, offload.FRAME * offload.ROOM, MORE)
    assert (loss["cause"]["certainty"], loss["cause"]["drops"]) == ("likely", MORE)

