# SPDX-License-Identifier: Apache-2.0
"""Two ways in which a machine's guest does not take packets: its vhost thread gets no CPU, or it is stopped itself."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from . import EmulationError
from .machine import Machine

# CPU 1 is left to vhost's thread, which may have it only when nothing else wants it, and to a task that always does.
# A task of the real-time class would starve the kernel's own threads, too.
_STARVING = r"""
import glob, os, select
vhosts = []
def tasks():
    return glob.glob("/proc/[0-9]*/task/[0-9]*")
def move(task, cpus):
    try:
        os.sched_setaffinity(task, cpus)
        return True
    except OSError:    # it is gone, or is bound to its CPU
        return False
for path in glob.glob("/proc/irq/*/smp_affinity"):
    try:
        with open(path, "w") as handle:
            handle.write("1")
    except OSError:    # one that cannot be moved
        pass
for path in tasks():
    task = int(path.rpartition("/")[2])
    try:
        with open(path + "/comm") as handle:
            is_vhost = handle.read().startswith("vhost-")
    except OSError:    # it is gone
        continue
    if move(task, {1} if is_vhost else {0}) and is_vhost:
        vhosts.append(task)
def is_to_be(policy):
    for task in vhosts:
        os.sched_setscheduler(task, policy, os.sched_param(0))
is_to_be(os.SCHED_IDLE)
os.sched_setaffinity(0, {1})
os.setpriority(os.PRIO_PROCESS, 0, -20)
print("starved", len(vhosts), flush=True)
while not select.select([0], [], [], 0)[0]:
    pass
is_to_be(os.SCHED_OTHER)
for path in tasks():
    move(int(path.rpartition("/")[2]), {0, 1})
"""
_STOPPED = """
pid=$(systemctl show -P MainPID guest)
kill -STOP $pid
until grep -q 'State:.T' /proc/$pid/status; do :; done
"""


@contextmanager
def starved(machine: Machine) -> Iterator[None]:
    """The machine's vhost thread gets no CPU while the block runs."""
    machine.run("cat > /run/starving.py", data=_STARVING.encode())
    process = subprocess.Popen([*machine.ssh(), "exec python3 /run/starving.py"], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    try:
        assert process.stdout
        if process.stdout.readline() != "starved 1\n":
            raise EmulationError(f"{machine.name}: nothing starves its vhost thread")
        yield
    finally:
        process.communicate()


@contextmanager
def stopped(machine: Machine) -> Iterator[None]:
    """The machine's guest is stopped while the block runs."""
    machine.run(_STOPPED)
    try:
        yield
    finally:
        machine.run("systemctl kill -s CONT guest")
