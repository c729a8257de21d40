# SPDX-License-Identifier: Apache-2.0
"""What a host is and takes: a look at its files, and the tracer's own check and trial, of which nothing stays."""
import base64
import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import tempfile

from ansible.module_utils.skbfleet_owner import check_base
from ansible.module_utils.skbfleet_rundir import ARCHIVE, PROGRAMS, RunError, tracers_of, unpack_tools

BTF = "/sys/kernel/btf/vmlinux"
PROGRAM = PROGRAMS["datapath_tracing"]  # both tracers ask the same things of a host


def existing_directory(path):
    """Return the directory, or the nearest one above it that is there."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def facts(remote_dir):
    """Return what is known of the host without any tracer."""
    room = os.statvfs(existing_directory(remote_dir))
    release = os.uname().release
    return {"kernel": release, "machine": platform.machine(), "btf": os.path.exists(BTF),
            "headers": os.path.isdir("/lib/modules/%s/build/include" % release), "cpus": os.cpu_count(),
            "load": os.getloadavg()[0], "free_bytes": room.f_bavail * room.f_frsize}


def runs(remote_dir):
    """Return the runs on the host: name -> running, or ended (its records wait to be collected)."""
    found = {}
    for name in sorted(os.listdir(remote_dir)) if check_base(remote_dir) else []:
        tracers = tracers_of(os.path.join(remote_dir, name))
        if tracers:
            found[name] = "running" if any(tracer.pid() for tracer in tracers) else "ended"
    return found


def end_orderly(_number, _frame):
    """Leave by way of every clean-up."""
    raise SystemExit(1)


def ask(params):
    """Return (why the tracer refuses this host or "", what its trial says); nothing is left of what was pushed."""
    with temporary_tools(params["tools"]) as tools:
        why = checked(tools, params)
        if why:
            return why, {}
        why, said = call(command(tools, params) + ["--trial"], params["timeout"])
        return why, json.loads(said) if not why else {}


@contextlib.contextmanager
def temporary_tools(packed):
    """Unpack the tracers to a directory that goes again, however this process is ended; a context of where they are."""
    with orderly_end():
        directory = tempfile.mkdtemp(prefix="skbfleet-")  # 0700
        try:
            yield unpack(packed, directory)
        finally:
            shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def orderly_end():
    """Leave by way of every clean-up, if this process is told to end or its connection is cut."""
    before = [(number, signal.signal(number, end_orderly)) for number in (signal.SIGTERM, signal.SIGHUP)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def command(tools, params):
    """Return the command that runs a tracer with the given arguments."""
    return [params["python"], os.path.join(tools, PROGRAM)] + [str(word) for word in params["arguments"]]


def checked(tools, params, keep=False):
    """Return why the tracer refuses this host, or "" if it does not; it loads nothing.

    keep: what Python makes of the tracers' files is kept beside them.
    """
    # the directory is never made: it says on which disk the records would be
    words = ["--check-host", "--run-dir=" + params["remote_dir"]]
    return call(command(tools, params) + words, params["timeout"], keep)[0]


def unpack(tools, directory):
    """Unpack the pushed tracers below a directory; return where they are."""
    archive = os.path.join(directory, ARCHIVE)
    try:
        content = base64.b64decode(tools, validate=True)
    except ValueError as error:
        raise RunError("tools is not in base64: %s" % error) from error
    with open(archive, "wb") as handle:
        handle.write(content)
    unpack_tools(archive, os.path.join(directory, "tools"))
    return os.path.join(directory, "tools")


def call(command, seconds, keep=False):
    """Run the tracer; return (why it failed or "", what it printed)."""
    environment = dict(os.environ, SKBTRACE_NAMES="capture_", **({} if keep else {"PYTHONDONTWRITEBYTECODE": "1"}))
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              cwd="/", env=environment, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return "the tracer did not answer within %g s" % seconds, ""
    except OSError as error:
        return ("capture_tracer_python is %r: it must be a Python that runs on this host: %s"
                % (command[0], error.strerror)), ""
    if done.returncode == 0:
        return "", done.stdout.decode("utf-8", "replace")
    lines = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    said = [line[len("error: "):] for line in lines if line.startswith("error: ")] or lines
    return said[-1] if said else "the tracer ended with status %d and said nothing" % done.returncode, ""
