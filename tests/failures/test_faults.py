# SPDX-License-Identifier: Apache-2.0
"""Each fault of the table happens to hv-b's tracer, and every promise holds: of hv-b's data, and of hv-a's."""
import contextlib
import pathlib

import numpy as np
import pytest
from failures import promises
from failures.host import PROBE, pack
from failures.run import EACH, PORT, Run
from failures.table import FAULTS, STRAY, Fault, make_probe
from support.lab import Lab


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The tracers, packed."""
    return pack(tmp_path_factory.mktemp("tools") / "tools.tar.gz")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_costs_what_it_must_and_no_more(lab: Lab, tools: pathlib.Path, tmp_path: pathlib.Path,
                                                fault: Fault) -> None:
    run = Run(lab, tmp_path / "run", tools, base=fault.base)
    with contextlib.ExitStack() as ends:
        ends.callback(fault.restore, run.b)
        fault.prepare(run.b)
        before = {host.name: (host.files(), host.processes()) for host in run.hosts}
        ends.callback(run.remove)
        capture(run, fault)
        for host in run.hosts:
            promises.contained(host, before[host.name][0])
        judge(run, fault)
        run.remove()
        for host in run.hosts:
            promises.clean(host, *before[host.name])


def capture(run: Run, fault: Fault) -> None:
    """Go through the capture, and let the fault happen."""
    run.arm(fault.options, fault.python)
    if fault.armed:
        fault.strike(run.b)
    run.open()
    run.send()
    run.a.wait_for(EACH)
    if not fault.armed:
        run.b.wait_for(fault.first)
        fault.strike(run.b)
    run.send()
    fault.heal(run.b)
    run.finish()


def judge(run: Run, fault: Fault) -> None:
    """Hold what came home, and what the verdict says, against the row."""
    promises.kept(run, run.a, 2 * EACH)
    assert promises.counted(run, run.a)["matched"] == 2 * EACH
    summary = promises.merged(run)
    promises.told(summary, run.a, "complete", "")
    promises.told(summary, run.b, fault.status, fault.says)
    if fault.status == "missing":
        return
    counters = promises.counted(run, run.b)
    if fault.matched is not None:
        assert counters["matched"] == fault.matched
    promises.kept(run, run.b, counters["written"] if fault.kept is None else fault.kept)


def test_the_stacks_of_a_tracer_that_was_killed_are_kept(lab: Lab, tools: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run = Run(lab, tmp_path / "run", tools)
    before = run.b.files(), run.b.processes()
    with contextlib.ExitStack() as ends:
        make_probe(run.b)
        ends.callback(run.b.place.run, ["ip", "link", "del", "probe0"])
        ends.callback(run.remove)
        run.arm()
        run.open()
        run.b.place.python(PROBE, "10.98.0.2", PORT, 5)
        run.b.wait_for(STRAY)
        run.b.kill()
        run.finish()
        bundle = promises.bundle_of(run, run.b)
        read = np.fromfile(bundle.path, bundle.dtype)
        stacks = set(read["stack_id"][read["stack_id"] >= 0])
        assert stacks
        for stack in stacks:
            names = [bundle.manifest["symbols"][address] for address in bundle.manifest["stacks"][str(stack)]]
            assert len(names) > 3
            assert not [name for name in names if name.startswith(("0x", "bpf_", "__bpf", "__traceiter"))], names
        run.remove()
    promises.clean(run.b, *before)


def test_records_wait_until_their_disk_has_room_to_hand_them_over(lab: Lab, tools: pathlib.Path,
                                                                  tmp_path: pathlib.Path) -> None:
    (full,) = [fault for fault in FAULTS if fault.name == "disk full"]
    run = Run(lab, tmp_path / "run", tools, base=full.base)
    with contextlib.ExitStack() as ends:
        ends.callback(full.restore, run.b)
        full.prepare(run.b)
        before = run.b.files(), run.b.processes()
        ends.callback(run.remove)
        run.arm()
        run.open()
        run.send()
        run.b.wait_for(EACH)
        full.strike(run.b)
        run.finish()
        assert "the bundle cannot be written" in run.answers["hv-b"]["msg"]
        full.heal(run.b)
        run.finish([run.b])
        promises.kept(run, run.b, EACH)
        promises.told(promises.merged(run), run.b, "partial", full.says)
        run.remove()
        promises.clean(run.b, *before)


def test_what_happens_to_one_run_is_nothing_to_another(lab: Lab, tools: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Two runs on the same hosts: of one, a tracer is killed, and it is cleaned up while the window of both is open."""
    lives, dies = Run(lab, tmp_path / "lives", tools), Run(lab, tmp_path / "dies", tools)
    before = {host.name: (host.files(), host.processes()) for host in lives.hosts}
    with contextlib.ExitStack() as ends:
        for run in (lives, dies):
            ends.callback(run.remove)
            run.arm()
            run.open()
        lives.send()
        for host in (*lives.hosts, *dies.hosts):
            host.wait_for(EACH)
        dies.b.kill()
        dies.remove()
        lives.send()
        lives.finish()
        summary = promises.merged(lives)
        for host in lives.hosts:
            promises.kept(lives, host, 2 * EACH)
            promises.told(summary, host, "complete", "")
        lives.remove()
        for run in (lives, dies):
            for host in run.hosts:
                promises.clean(host, *before[host.name])


def test_a_tracer_that_is_stopped_is_ended_when_its_run_is_cleaned_up(lab: Lab, tools: pathlib.Path,
                                                                      tmp_path: pathlib.Path) -> None:
    run = Run(lab, tmp_path / "run", tools)
    before = {host.name: (host.files(), host.processes()) for host in run.hosts}
    with contextlib.ExitStack() as ends:
        ends.callback(run.remove)
        run.arm()
        run.open()
        run.b.stop()
        removed = run.remove()
        assert removed["hv-a"]["stopped"] == {"run/datapath_tracing": "SIGTERM"}
        assert removed["hv-b"]["stopped"] == {"run/datapath_tracing": "SIGKILL"}
        for host in run.hosts:
            promises.clean(host, *before[host.name])
