#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The namespace lab: hypervisors with a VM each on one machine. See --help."""
import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import Dict, List, NoReturn, Optional

import execute
import namespaces
import network
import plan
import ssh
import state
from namespaces import LabError
from plan import Hypervisor

HERE = os.path.dirname(os.path.abspath(__file__))

EXAMPLES = """\
examples:
  lab.py up --hypervisors 3             hv-a, hv-b and hv-c, with vm-a, vm-b and vm-c behind them
  lab.py exec vm-a -- ping 192.168.32.20
  lab.py exec hv-b -- nft list ruleset
  lab.py pause vm-b                     the guest stops polling: its hypervisor drops when the tap's ring is full
  lab.py resume vm-b
  lab.py down
"""


def _start(name: str, argv: List[str]) -> int:
    """Start a process of the lab in a session of its own; returns the pid that it prints."""
    with open(os.open(state.path(name + ".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as log:
        child = subprocess.Popen([sys.executable] + argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                 cwd="/", start_new_session=True)
    assert child.stdout is not None
    answer = child.stdout.readline().decode().strip()
    child.stdout.close()
    if not answer:
        raise LabError((state.read(name + ".log") or "%s did not start" % name).strip().splitlines()[-1])
    return int(answer)


def _start_hypervisor(host: Hypervisor) -> None:
    namespaces.end_processes(host.name)  # the remains of an earlier life
    pid = _start(host.name, [os.path.join(HERE, "host.py"), host.name, host.mgmt_address,
                             state.path(host.name + ".key"), state.path("ssh_key.pub")])
    state.remember_process(host.name, pid)


def _start_vm(host: Hypervisor) -> None:
    pid = _start(host.vm, [os.path.join(HERE, "shuttle.py"), host.name, "vnet0", host.vm, "eth0",
                           str(state.process(host.name))])
    state.remember_process(host.vm, pid)


def up(count: int) -> List[str]:
    """Bring up at least `count` hypervisors; returns what had to be made."""
    hosts = plan.hypervisors(count)
    state.prepare()
    made = network.build(hosts)
    made += ssh.make_keys(hosts)
    started = [host for host in hosts if state.process(host.name) is None]
    for host in started:
        _start_hypervisor(host)
    for host in hosts:
        if state.process(host.vm) is None:
            _start_vm(host)
            made.append("shuttle of " + host.vm)
    for host in started:
        ssh.wait_until_ready(host)
    return made + ["sshd of " + host.name for host in started]


def down() -> List[str]:
    """Remove everything that is the lab's; returns what was removed."""
    hosts = plan.hypervisors(len(plan.LETTERS))
    ssh.end_lingering_connections()
    for name in [name for host in hosts for name in (host.name, host.vm)]:
        pid = state.process(name)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    removed = network.destroy(hosts)
    state.forget()
    return removed


def status() -> Dict[str, object]:
    """What the lab is and whether it runs, for people and for tests."""
    found = {}
    for host in plan.hypervisors(len(plan.LETTERS)):
        if not namespaces.exists(host.name):
            continue
        init, shuttle = state.process(host.name), state.process(host.vm)
        found[host.name] = {
            "address": host.mgmt_address, "init_pid": init, "nic": "eth0", "bridge": "br0", "vnet": "vnet0",
            "wire_port": host.wire_port, "vm": host.vm, "vm_address": host.vm_address,
            "vm_address6": host.vm_address6, "vm_mac": host.vm_mac, "shuttle_pid": shuttle,
            "paused": shuttle is not None and state.is_stopped(shuttle),
            "running": init is not None and shuttle is not None and namespaces.exists(host.vm),
        }
    return {
        "running": bool(found) and namespaces.exists(plan.WIRE) and all(host["running"] for host in found.values()),
        "hypervisors": found, "wire": plan.WIRE, "wire_bridge": plan.WIRE_BRIDGE,
        "state_dir": state.DIRECTORY, "ssh_key": state.path("ssh_key"), "known_hosts": state.path("known_hosts"),
    }


def execute_in(where: str, command: List[str]) -> NoReturn:
    """End with `command`, run in a hypervisor (all its namespaces), a VM or the wire (their network)."""
    if not command:
        raise LabError("exec %s needs a command after --" % where)
    pid = state.process(where) if where.startswith("hv-") else None
    if pid is not None:
        sys.exit(execute.run_in(pid, command))
    if not namespaces.exists(where):
        raise LabError("there is no %s in the lab; lab.py status shows what there is" % where)
    argv = ["ip", "netns", "exec", where] + command
    os.execvp(argv[0], argv)


def _print_status(facts: Dict) -> None:
    if not facts["hypervisors"]:
        print("the lab is down")
    for name, host in facts["hypervisors"].items():
        vm_state = "paused" if host["paused"] else "running" if host["running"] else "broken"
        print("%s  ssh root@%s  %s  %s  %s  %s"
              % (name, host["address"], host["vm"], host["vm_address"], host["vm_address6"], vm_state))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    start = commands.add_parser("up", help="bring the lab up; prints as JSON what had to be made")
    start.add_argument("--hypervisors", type=int, choices=range(1, plan.MOST + 1), metavar="N", default=2,
                       help="at least so many, 1 to %d" % plan.MOST)
    commands.add_parser("down", help="take the lab down, also a half-built one; prints as JSON what was removed")
    show = commands.add_parser("status", help="show what there is")
    show.add_argument("--json", action="store_true", help="everything, for programs")
    run = commands.add_parser("exec", help="run a command in a hypervisor, a VM or the wire")
    run.add_argument("where", metavar="WHERE", help="hv-a, vm-a, wire …")
    run.add_argument("argv", metavar="CMD", nargs=argparse.REMAINDER)
    for name, text in (("pause", "make a guest stop polling its link"), ("resume", "let it go on")):
        commands.add_parser(name, help=text).add_argument("vm", metavar="VM")
    return parser


def _run(options: argparse.Namespace) -> Optional[Dict]:
    """Do what was asked for; returns what is to be printed as JSON."""
    if options.command in ("up", "down"):
        with state.locked():
            return {"changed": up(options.hypervisors) if options.command == "up" else down()}
    if options.command == "status":
        facts = status()
        if options.json:
            return facts
        _print_status(facts)
    elif options.command == "exec":
        execute_in(options.where, options.argv[1:] if options.argv[:1] == ["--"] else options.argv)
    else:
        state.set_stopped(options.vm, options.command == "pause")
    return None


def main() -> int:
    """Run one command; exit status 1 and one sentence if it fails."""
    parser = _parser()
    options = parser.parse_args()
    if options.command is None:
        parser.error("name a COMMAND: up, down, status, exec, pause or resume")
    if os.geteuid() != 0:
        print("error: the lab needs root: it makes network namespaces", file=sys.stderr)
        return 1
    try:
        answer = _run(options)
    except (LabError, OSError) as error:
        print("error: %s" % error, file=sys.stderr)
        return 1
    if answer is not None:
        print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
