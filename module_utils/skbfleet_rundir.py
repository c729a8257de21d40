# SPDX-License-Identifier: Apache-2.0
"""A run's directory on a host: the files through which a tracer and the module speak, and the tracer's process.

<remote_dir>/<run_id>/tools.tar.gz, tools/       what was pushed
<remote_dir>/<run_id>/<tracer>/                  the tracer's run directory (0700)
    process.json   who runs there, and how       written here
    window.json    when records count            written here
    status.json    what the tracer is doing      written by the tracer
    draft.json     the manifest so far           written by the tracer, gone when it has finished
    ending.json    why it was gone before        written here, for --salvage
    manifest.json, records.bin, tracer.log       the outcome
<remote_dir>/<run_id>/bundle/bundle.tar.gz       all tracers' outcome, for the ssh user (0700, 0600)
"""
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time

from ansible.module_utils import skbfleet_ending, skbfleet_unit

PROGRAMS = {"drop_monitor": "multi_protocol_drop_monitor.py", "datapath_tracing": "packet_datapath_tracing.py"}
ARCHIVE = "tools.tar.gz"
ROSTER = "/run/skbfleet"  # DIRECTORY of the tracers' host/roster.py
POLL_S = 0.02
POLL_SHARE = 0.05   # of what it has waited so far, for which whoever waits may look away
TERM_GRACE_S = 5.0  # a tracer ends within a second of SIGTERM; a busy host gets more
ENDED = ("finished", "failed", "killed")
ENVIRONMENT = ("BCC_", "LANG", "LC_", "LD_LIBRARY_PATH", "PATH", "PYTHON", "TMPDIR")  # what of it a unit gets, too
NAMES = {"SKBTRACE_NAMES": "capture_"}  # how options are called in what a tracer says


class RunError(Exception):
    """Something on this host is in the way; the message is one sentence."""


class NoRunError(RunError):
    """There is no such run on this host."""


def read_json(path):
    """Return the object in a JSON file, {} if there is none (writers replace the file as a whole)."""
    try:
        with open(path) as handle:
            return json.load(handle)
    except (OSError, ValueError):
        return {}


def write_json(path, content):
    """Write a JSON file as a whole, 0600: a reader sees all of it or none."""
    with open(path + ".tmp", "w") as handle:
        os.fchmod(handle.fileno(), 0o600)
        json.dump(content, handle)
    os.rename(path + ".tmp", path)


def wait_until(condition, seconds):
    """Poll until the condition holds; return whether it did within that time."""
    begin = time.monotonic()
    while not condition():
        waited = time.monotonic() - begin
        if waited >= seconds:
            return False
        time.sleep(min(max(POLL_S, waited * POLL_SHARE), seconds - waited))
    return True


def unpack_tools(archive, target):
    """Unpack the pushed tracers (regular files only) into the target directory."""
    with tarfile.open(archive) as tar:
        for member in tar:
            path = os.path.normpath(os.path.join(target, member.name))
            source = tar.extractfile(member) if member.isfile() else None
            if source is None or not path.startswith(target + "/"):
                raise RunError("%s holds %r, which is not a file of the tracers" % (archive, member.name))
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            with open(path, "wb") as handle:
                shutil.copyfileobj(source, handle)


def process_state(pid):
    """Return (state letter, start time in clock ticks since boot) of a process, or None if there is none."""
    try:
        with open("/proc/%d/stat" % pid) as handle:
            fields = handle.read().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[19])


class Tracer:
    """One tracer in a run's directory."""

    def __init__(self, run_dir, name):
        self.name = name
        self.directory = os.path.join(run_dir, name)
        self.program = os.path.join(run_dir, "tools", PROGRAMS[name])
        self._why_gone = ""

    def path(self, name):
        """Return the path of a file in the tracer's directory."""
        return os.path.join(self.directory, name)

    def was_started(self):
        """Return whether this run has this tracer."""
        return os.path.exists(self.path("process.json"))

    def spawn(self, command, limits, unit=True):
        """Start the tracer detached, so that it outlives ssh and holds nothing of it; as a unit, if that can be had.

        limits: of skbfleet_unit.properties; unit: whether one is wanted.
        """
        os.mkdir(self.directory, 0o700)
        process = {"command": command, "limits": limits, "boot_id": skbfleet_ending.boot_id()}
        try:
            if not unit:
                raise skbfleet_unit.NoUnit("capture_unit is false")
            self._spawn_unit(process)
        except skbfleet_unit.NoUnit as error:
            self._spawn_process(dict(process, no_unit=str(error)))

    def _spawn_unit(self, process):
        name = skbfleet_unit.name_of(os.path.basename(os.path.dirname(self.directory)), self.name, self.directory)
        if not os.access(process["command"][0], os.X_OK):
            raise skbfleet_unit.NoUnit("its Python cannot be run")
        environment = {key: value for key, value in os.environ.items() if key.startswith(ENVIRONMENT)}
        process = dict(process, unit=name, environment=dict(environment, **NAMES))
        write_json(self.path("process.json"), process)  # first: whoever cleans up knows of it, whatever happens here
        pid, refused = skbfleet_unit.start(name, process["command"][0], self.directory, skbfleet_unit.properties(
            self.directory, process["limits"]))
        self._note(dict(process, refused=refused), pid)

    def _spawn_process(self, process):
        """Start it with a session and files of its own."""
        command = process["command"]
        log = os.open(self.path("tracer.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                     start_new_session=True, env=dict(os.environ, **NAMES))
        except OSError as error:
            shutil.rmtree(self.directory)
            raise RunError("capture_tracer_python is %r: it must be a Python that runs on this host: %s"
                           % (command[0], error.strerror)) from error
        finally:
            os.close(log)
        self._note(process, child.pid)
        skbfleet_unit.restrain(child.pid, process["limits"])

    def _note(self, process, pid):
        state = process_state(pid)
        write_json(self.path("process.json"), dict(process, pid=pid, start_ticks=state[1] if state else 0))

    def pid(self):
        """Return the process id if the process that was started is still there, else None.

        A process id may have been given to someone else since: start time and command line have to agree.
        """
        process = read_json(self.path("process.json"))
        if process.get("unit") and "pid" not in process:  # who started it did not live to note it
            self._note(process, skbfleet_unit.main_pid(process["unit"]))
            process = read_json(self.path("process.json"))
        state = process_state(process.get("pid", 0))
        if not state or state[0] in "ZX" or state[1] != process["start_ticks"]:
            return None
        try:
            with open("/proc/%d/cmdline" % process["pid"], "rb") as handle:
                words = handle.read()
        except OSError:
            return None
        # empty for a moment while the process is being started
        return process["pid"] if not words or self.directory.encode() in words else None

    def outcome(self):
        """Return what the tracer has come to: state, why, records, lost, shed, bytes, window, load."""
        alive = self.pid() is not None  # before its status is read, or an end in between would look like a death
        status = read_json(self.path("status.json"))
        state, why = status.get("state", "starting"), status.get("why", "")
        if not alive and state not in ENDED:
            state, why = self.last_words()
        return {"state": state, "why": why or "", "window": status.get("window"),
                "records": status.get("records", 0), "lost": status.get("lost", 0), "shed": status.get("shed", 0),
                "bytes": status.get("bytes", 0), "load": status.get("load")}

    def last_words(self):
        """Return (state, why) of a tracer that is gone and could not write its status, from its log."""
        try:
            with open(self.path("tracer.log"), errors="replace") as handle:
                lines = [line.strip() for line in handle if line.strip()]
        except OSError:
            lines = []
        errors = [line[len("error: "):] for line in lines if line.startswith("error: ")]
        if errors:
            return "failed", errors[-1]
        return "killed", self._ending() + (", its log ends in: " + lines[-1] if lines else "")

    def _ending(self):
        noted = self._why_gone or read_json(self.path("ending.json")).get("why")  # by and by the kernel's log forgets
        self._why_gone = noted or skbfleet_ending.why(read_json(self.path("process.json")))
        return self._why_gone

    def salvage(self, seconds):
        """Have a bundle made of what a tracer recorded that is gone and could not do so itself."""
        if not os.path.exists(self.path("draft.json")):
            return
        write_json(self.path("ending.json"), {"why": self._ending()})
        command = read_json(self.path("process.json"))["command"]
        with open(self.path("tracer.log"), "ab") as log:
            try:
                subprocess.run([command[0], self.program, "--salvage", self.directory], stdin=subprocess.DEVNULL,
                               stdout=log, stderr=log, timeout=seconds, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:  # the bundle goes home as it is
                log.write(("error: its records could not be salvaged: %s\n" % error).encode())

    def has_bundle(self):
        """Return whether its records can be read: a manifest says how."""
        return os.path.exists(self.path("manifest.json"))

    def stop(self):
        """End the process; return the signal that did it, None if it had ended."""
        for number, grace in ((signal.SIGTERM, TERM_GRACE_S), (signal.SIGKILL, TERM_GRACE_S)):
            pid = self.pid()
            if pid is None:
                return None
            os.kill(pid, number)
            if wait_until(lambda: self.pid() is None, grace):
                return signal.Signals(number).name
        raise RunError("the %s (process %s) does not end, not even by SIGKILL" % (self.name, self.pid()))

    def unit(self):
        """Return its unit's `name`, "" if it is none, `why` it is none, and the properties that systemd `refused`."""
        process = read_json(self.path("process.json"))
        return {"name": process.get("unit", ""), "why": process.get("no_unit", ""),
                "refused": process.get("refused", [])}

    def end_unit(self):
        """End what is left of its unit, if it is one, after the tracer itself."""
        name = self.unit()["name"]
        if name:
            skbfleet_unit.end(name)


def strike_off(run_id, directory=ROSTER):
    """Remove what tracers of a run that were killed left where the captures of a host see each other."""
    try:
        for name in os.listdir(directory) if os.lstat(directory).st_uid == os.geteuid() else []:
            if name.rpartition("@")[0] == run_id:
                os.unlink(os.path.join(directory, name))
        os.rmdir(directory)
    except OSError:  # there is none, or others are at work
        pass


def tracers_of(run_dir):
    """Return the tracers that were started in a run's directory."""
    tracers = [Tracer(run_dir, name) for name in sorted(PROGRAMS)]
    return [tracer for tracer in tracers if tracer.was_started()]


def outcomes_of(tracers):
    """Return {tracer's name: outcome}."""
    return {tracer.name: tracer.outcome() for tracer in tracers}


def reasons(outcomes):
    """Return why tracers failed, as one text; the tracer is named where they differ."""
    whys = {name: one["why"] for name, one in sorted(outcomes.items()) if one["why"]}
    if len(whys) == len(outcomes) and len(set(whys.values())) == 1:
        return list(whys.values())[0]
    return "; ".join("%s: %s" % (name, why) for name, why in whys.items())
