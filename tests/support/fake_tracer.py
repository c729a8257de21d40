#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A tracer without a kernel: it follows the run directory protocol and fails as it is told to.

It stands in for both tracers in tests of the module and the playbooks. The environment variable FAKE_TRACER, or a file
fake_tracer.txt beside it, holds one word: fail (at arm), slow (3 s to arm), hang (never ends), deaf (never answers
to its window, and ignores SIGTERM).
"""
import argparse
import json
import os
import signal
import sys
import time

POLL_S = 0.005


def parse():
    """Return the options that matter here; the rest is what a real tracer would filter by."""
    parser = argparse.ArgumentParser(prog="fake_tracer")
    parser.add_argument("--check-options", action="store_true")
    parser.add_argument("--check-host", action="store_true")
    for name in ("--run-dir", "--run-id", "--host", "--src", "--dst", "--protocol"):
        parser.add_argument(name)
    parser.add_argument("--wait-window", type=float, default=60)
    parser.add_argument("--duration", type=float, default=1)
    return parser.parse_known_args()[0]


def behaviour():
    """Return the word that says how to misbehave, "" for well."""
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake_tracer.txt")
    if os.path.exists(beside):
        with open(beside) as handle:
            return handle.read().strip()
    return os.environ.get("FAKE_TRACER", "")


class Spool:
    """The run directory, as the tracer sees it."""

    def __init__(self, directory):
        self.directory = directory
        self.window = None

    def write(self, name, content):
        """Replace a JSON file as a whole."""
        path = os.path.join(self.directory, name)
        with open(path + ".tmp", "w") as handle:
            json.dump(content, handle)
        os.rename(path + ".tmp", path)

    def status(self, state, why=""):
        """Say what the tracer is doing."""
        self.write("status.json", {"state": state, "pid": os.getpid(), "why": why, "records": 0, "lost": 0,
                                   "bytes": 0, "updated_ns": int(time.time() * 1e9), "window": self.window})

    def read_window(self):
        """Return window.json, None if it is not there."""
        try:
            with open(os.path.join(self.directory, "window.json")) as handle:
                return json.load(handle)
        except OSError:
            return None

    def end(self, why=""):
        """Leave records, manifest and last status."""
        with open(os.path.join(self.directory, "records.bin"), "wb"):
            pass
        self.write("manifest.json", {"format": "skbfleet-bundle/1", "status": "complete", "why": why})
        self.status("finished")


def wait_for_window(spool, seconds):
    """Return the window, None if none was set in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        window = spool.read_window()
        if window:
            return window
        time.sleep(POLL_S)
    return None


def spool(args, how):
    """Arm, wait for the window, let it pass, end."""
    run = Spool(args.run_dir)
    run.status("starting")
    if how == "slow":
        time.sleep(3)
    if how == "fail":
        run.status("failed", "capture_interfaces is 'eth9': there is no such device on this host.")
        return 1
    run.status("armed")
    if how == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    window = wait_for_window(run, args.wait_window)
    if window is None:
        run.status("failed", "no window was set within %g s" % args.wait_window)
        return 1
    if "start_realtime_ns" in window:
        late = max(0, int(time.time() * 1e9) - window["start_realtime_ns"])
        run.window = dict(window, late_by_ns=late)
        run.status("started")
        while how == "hang" or time.time() * 1e9 < window["end_realtime_ns"]:
            if (run.read_window() or {}).get("close") and how != "hang":
                break
            time.sleep(POLL_S)
    run.end()
    return 0


def main():
    """Check options, or run in spool mode."""
    args = parse()
    if args.src == "bad":
        sys.stderr.write("error: %ssrc is 'bad': allowed is an address.\n" % os.environ.get("SKBTRACE_NAMES", "--"))
        return 2
    if args.check_options or args.check_host:
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    return spool(args, behaviour())


if __name__ == "__main__":
    sys.exit(main())
