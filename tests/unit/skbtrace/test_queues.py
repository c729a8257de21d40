# SPDX-License-Identifier: Apache-2.0
"""The table of queues, and what a kernel lets be read of it."""
import os

import pytest

from skbtrace.kernel import btf, lookup
from skbtrace.programs import loader, memory, percpu, points, queues

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="asking the kernel for its memory needs root")
REASONS = {5: "NETFILTER_DROP", 76: "QDISC_DROP", 77: "FULL_RING", 80: "CPU_BACKLOG"}
PER_CPU = "qdisc that counts on each CPU"


def types() -> lookup.Types:
    return lookup.Types(queues.type_names())


def test_numbers_and_names_are_a_kind_s_own() -> None:
    assert sorted(queues.NAMES) == list(range(1, len(queues.TABLE) + 1))
    assert len(queues.BY_NAME) == len(queues.TABLE) <= 14  # 15 is what a drop's reason says
    # which kind of qdisc it is shows when a packet meets it
    reasons = [reason for kind in queues.TABLE if kind.name != "qdisc.bytes" for reason in kind.full + kind.refused]
    assert len(reasons) == len(set(reasons)), "a reason leads to one kind"


def test_points_meet_kinds_of_the_table() -> None:
    met = {point.queue_kind for point in points.TABLE}
    assert met == {"", queues.ANY, *queues.BY_NAME} - {"qdisc.bytes"}
    for point in points.TABLE:
        kind = queues.BY_NAME.get(point.queue_kind)
        if kind and kind.of in ("receiver", "connection"):
            assert point.arguments["queue"].type == "sock*", point.name


@needs_root
def test_taps_are_not_to_be_had_without_their_module(monkeypatch: pytest.MonkeyPatch) -> None:
    real = btf.Btf.struct_size
    monkeypatch.setattr(btf.Btf, "struct_size", lambda self, name: 0 if name == "tun_file" else real(self, name))
    assert queues.find(types(), REASONS, ["tap"]).absent == {
        "tap": "module tun is not loaded, or does not tell its types"}


@needs_root
def test_only_what_is_met_is_looked_for() -> None:
    assert queues.find(types(), REASONS, [""]).offsets == []
    found = queues.find(types(), REASONS, ["receive"])
    assert set(found.fields) == {"sock"}
    assert [name for name in found.constants if name.startswith("HAVE_")] == ["HAVE_QUEUE_RECEIVE"]


@needs_root
def test_reasons_of_drops_lead_to_their_queue() -> None:
    found = queues.find(types(), REASONS, [queues.ANY])
    wanted = {76: queues.BY_NAME["qdisc"].number, 77: queues.BY_NAME["tap"].number,
              80: queues.BY_NAME["softnet"].number}
    text = found.constants["QUEUE_OF_REASON(reason)"]
    assert sorted(text.split(" : ")) == ["(reason) == %d ? %d" % pair for pair in wanted.items()] + ["0"]


@needs_root
def test_a_qdisc_may_turn_out_to_have_room_for_bytes() -> None:
    for met in ("qdisc", queues.ANY):
        found = queues.find(types(), REASONS, [met])
        assert {"HAVE_QUEUE_QDISC", "HAVE_QUEUE_QDISC_BYTES"} <= set(found.constants)
        number = queues.BY_NAME["qdisc.bytes"].number
        assert "LENGTH(%d, Qdisc, qstats.backlog, limit)" % number in found.constants["PLAIN_QUEUES(LENGTH, BACKLOG)"]


@needs_root
def test_a_field_that_is_not_there_costs_its_kind_only(monkeypatch: pytest.MonkeyPatch) -> None:
    real = btf.Btf.member
    monkeypatch.setattr(btf.Btf, "member", lambda self, name, path: None if (name, path) == (
        "ptr_ring", "consumer_tail") else real(self, name, path))
    found = queues.find(types(), REASONS, [queues.ANY])
    assert found.absent == {"tap": "this kernel's types have no field consumer_tail in struct ptr_ring"}
    assert "HAVE_QUEUE_TAP" not in found.constants and "HAVE_QUEUE_QDISC" in found.constants
    assert "tun_file" not in found.fields


def test_without_types_there_are_those_that_headers_tell() -> None:
    found = queues.find(None, {}, [queues.ANY])
    assert {name for name, why in found.absent.items() if why == "this kernel does not tell its types"} == {
        "tap", "softnet"}
    assert set(found.absent) == {"tap", "softnet", PER_CPU}


@needs_root
def test_per_cpu_memory_is_where_it_is_said_to_be() -> None:
    """Each CPU's copy of a word is as far from the common pointer as is said."""
    found = percpu.find(types().vmlinux)
    assert found and found.softnet and len(found.offsets) == percpu.cpu_count()
    before = os.sched_getaffinity(0)
    try:
        descriptor, places = loader.make_per_cpu_word(), {}
        for cpu in sorted(before):
            os.sched_setaffinity(0, {cpu})
            places[cpu] = memory.address_of_first(descriptor)
        os.close(descriptor)
    finally:
        os.sched_setaffinity(0, before)
    assert len({places[cpu] - found.offsets[cpu] & (1 << 64) - 1 for cpu in places}) == 1
    assert len(set(places.values())) == len(places)


def test_a_kernel_that_does_not_answer_costs_what_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> int:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(loader, "load", refuse)
    found = queues.find(types(), REASONS, [queues.ANY])
    why = found.absent.pop(PER_CPU)
    assert why == "its counts on more than 128 CPUs, or where they are, are not read"
    assert found.absent == {"softnet": "where this kernel has its per-CPU memory was not found"}
    assert "CPUS" not in found.constants and found.offsets == []
