#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Emulated hypervisors with real distribution kernels.

examples:
  hypervisors.py up --cluster vxlan      two machines with Open vSwitch, a VXLAN underlay and a KVM guest each
  hypervisors.py up --single trixie      one machine with Debian 13's kernel and bcc
  hypervisors.py run hv-a 'uname -r'     a shell command in a machine
  hypervisors.py status
  hypervisors.py down
"""

import argparse
import os
import sys
import time
from collections.abc import Callable

from emulated import EmulationError, cluster, images
from emulated.machine import Machine, existing


def main() -> int:
    """Read the command line and do what it says; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    up = actions.add_parser("up", help="build what is missing, start, wait until it is usable")
    what = up.add_mutually_exclusive_group(required=True)
    what.add_argument("--cluster", choices=cluster.KINDS)
    what.add_argument("--single", choices=images.DISTRIBUTIONS, metavar="DISTRIBUTION")
    up.add_argument("--distribution", choices=images.DISTRIBUTIONS, default=cluster.DISTRIBUTION,
                    help="of the cluster's machines (default: %(default)s)")  # fmt: skip
    build = actions.add_parser("build", help="build images into the cache, start nothing")
    build.add_argument("distributions", nargs="*", default=list(images.DISTRIBUTIONS))
    build.add_argument("--form", choices=list(images.FORMS), default="single")
    run = actions.add_parser("run", help="run a shell command in a machine")
    run.add_argument("machine")
    run.add_argument("command")
    actions.add_parser("status", help="show the machines")
    actions.add_parser("down", help="stop every machine that this tool started")
    options = parser.parse_args()
    todo: dict[str, Callable[[argparse.Namespace], int]] = {
        "up": _up, "build": _build, "run": _run, "status": _status, "down": _down}  # fmt: skip
    try:
        return todo[options.action](options)
    except EmulationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _up(options: argparse.Namespace) -> int:
    begin = time.monotonic()
    if options.cluster:
        cluster.up(options.cluster, options.distribution)
    else:
        machine = Machine(options.single, options.single)
        machine.start()
        machine.wait()
    print(f"up after {time.monotonic() - begin:.0f} s")
    return _status(options)


def _build(options: argparse.Namespace) -> int:
    for distribution in options.distributions:
        built = images.image(distribution, options.form)
        print(f"{built.directory.name} {built.facts}")
    return 0


def _run(options: argparse.Namespace) -> int:
    for machine in existing():
        if machine.name == options.machine:
            command = machine.ssh()
            os.execvp(command[0], [*command, options.command])
    raise EmulationError(f"no machine {options.machine!r} is up: see status")


def _status(_: argparse.Namespace) -> int:
    for machine in existing():
        state = f"pid {machine.pid}" if machine.pid else "not running"
        print(f"{machine.name}: {machine.distribution} {machine.form}, {state}, ssh port {machine.port}")
    return 0


def _down(_: argparse.Namespace) -> int:
    for machine in existing():
        machine.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
