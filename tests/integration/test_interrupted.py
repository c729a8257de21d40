# SPDX-License-Identifier: Apache-2.0
"""A program that was interrupted by another one on its CPU: what it has written so far stays as it was.

When an interrupt comes is chance. So the test itself takes memory of each CPU, as a program does that was interrupted
before it was done with it, and looks afterwards whether anybody has touched it.
"""
import json
import pathlib
import signal
import subprocess

import pytest
from support.lab import PYTHON, Lab
from support.tracers import COMMANDS, until

from skbtrace.capture import record
from skbtrace.show import headers

LEVELS, SENT, PORT = 4, 20, 9  # how deep programs can nest (NESTING of maps.h); datagrams of different sizes

INTERRUPTED = """
import ctypes, json, sys
sys.path.insert(0, sys.argv[1])
from skbtrace import command
from skbtrace.capture.tracer import Tracer
taken, arm, finish = int(sys.argv[2]), Tracer.arm, Tracer.finish

class Memory:
    # of all CPUs at one level, one behind the other; each begins with the numbers `busy` and `level`
    def __init__(self, program):
        from bcc.libbcc import lib
        self.lib, self.table = lib, lib.bpf_table_fd(program.bpf.module, b"scratches")
        self.size = lib.bpf_table_leaf_size(program.bpf.module, b"scratches")
        with open("/sys/devices/system/cpu/possible") as cpus:
            self.cpus = int(cpus.read().strip().rpartition("-")[2]) + 1

    def read(self, level):
        found = ctypes.create_string_buffer(self.size * self.cpus)
        assert self.lib.bpf_lookup_elem(self.table, ctypes.byref(ctypes.c_int(level)), found) == 0
        return [found.raw[cpu * self.size:][:self.size] for cpu in range(self.cpus)]

    def take(self, level):
        given = self.taken(level) * self.cpus
        assert self.lib.bpf_update_elem(self.table, ctypes.byref(ctypes.c_int(level)), given, 0) == 0

    def taken(self, level):
        return (1).to_bytes(8, "little") + level.to_bytes(8, "little") + bytes([0xA5]) * (self.size - 16)

def arm_and_take(tracer):
    arm(tracer)
    tracer.memory = Memory(tracer.program)
    for level in range(taken):
        tracer.memory.take(level)

def finish_and_look(tracer):
    finish(tracer)
    memory, found = tracer.memory, []
    for level in range(4):
        for cpu in memory.read(level):
            found.append([level, "taken" if cpu == memory.taken(level) else
                          "free" if not any(cpu[:8]) and any(cpu[8:]) else "unused" if not any(cpu) else "touched"])
    with open(sys.argv[3], "w") as handle:
        json.dump(found, handle)

Tracer.arm, Tracer.finish = arm_and_take, finish_and_look
sys.exit(command.main("datapath_tracing", "", "", "nic", sys.argv[4:]))
"""
# to itself: each datagram is as long as its port and its number say
SEND = """
import socket, sys
reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
reader.bind(("127.0.0.1", int(sys.argv[1])))
for number in range(int(sys.argv[2])):
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.bind(("127.0.0.1", 1000 + number))
    out.sendto(bytes([number]) * (10 * number), ("127.0.0.1", int(sys.argv[1])))
    reader.recv(1000)
"""


@pytest.mark.parametrize("buffer", ["ring", "perf"])
@pytest.mark.parametrize("taken", [1, LEVELS - 1, LEVELS])
def test_memory_of_an_interrupted_program_is_left_alone(lab: Lab, tmp_path: pathlib.Path, taken: int,
                                                        buffer: str) -> None:
    run, found = tmp_path / "run", tmp_path / "found"
    words = ["--netns", "vm-a", "--protocol", "udp", "--dst-port", PORT, "--point", "dev.tx", "--point", "dev.rx",
             "--run-dir", run, *(["--perf-buffer"] if buffer == "perf" else [])]
    tracer = lab.here().popen([PYTHON, "-c", INTERRUPTED, COMMANDS["datapath_tracing"].parent, taken, found, *words],
                              stderr=subprocess.PIPE)
    until("started", run)
    lab.netns("vm-a").python(SEND, PORT, SENT)
    tracer.send_signal(signal.SIGTERM)
    assert tracer.communicate(timeout=30) == ("", "")
    levels = json.loads(found.read_text())
    assert {state for level, state in levels if level < taken} <= {"taken"}
    assert {state for level, state in levels if level == taken} <= {"free", "unused"}  # on a CPU where nobody sent
    assert {state for level, state in levels if level > taken} <= {"unused"}
    spool, manifest = (run / "records.bin").read_bytes(), json.loads((run / "manifest.json").read_text())
    records = [record.unpack(spool, at) for at in range(record.RING_HEADER, len(spool), record.STRIDE)]
    told = [(headers.decode(one.packet[:one.packet_len], one.packet_layer, one.protocol), one) for one in records]
    right = [(1000 + number, 28 + 10 * number, 28 + 10 * number + ethernet) for number in range(SENT)
             for ethernet in (14, 0)]  # at dev.rx the Ethernet header is not counted
    seen = [(packet["src_port"], packet["ip_length"], one.len) for packet, one in told]
    if taken < LEVELS:
        assert seen == right
        assert [manifest["counters"][name] for name in ("matched", "written", "lost")] == [2 * SENT, 2 * SENT, 0]
        assert "free" in {state for level, state in levels if level == taken}
    else:
        assert seen == []
        assert manifest["counters"]["lost"] == 2 * SENT, "what finds no memory is lost, and counted"
