# SPDX-License-Identifier: Apache-2.0
"""Watches the hosts of an open window from a process of its own, so that nothing that happens there can matter to it.

Each host is asked over a connection that is made as for any task of it. On a terminal a line for each host is refreshed
in place; elsewhere there are at most three looks, whose lines whoever waits shows when they are there.
"""
import concurrent.futures
import contextlib
import json
import os
import signal
import time
from typing import Any, Dict  # noqa: F401 (in type comments)

from ansible.module_utils.skbfleet_counted import Counted, table
from ansible.module_utils.skbfleet_foreign import shown

LEAST_S = 5      # of a window that is watched, and between two looks
_LOOKS = 120     # at a window, on a terminal
_PLAIN = 4       # parts of a window, in a log, between which there is a look
_ROWS = 8        # lines of a look in a log
ANSWER_S = 2     # a look is shown after this, with those who have answered


def watched(variables):
    """Return host -> directories of its tracers, of the hosts that were told the window; variables: of the task."""
    everyone = {host: variables["hostvars"].raw_get(host) for host in variables["ansible_play_hosts"]}
    plans = {host: one["__capture_plan"] for host, one in everyone.items()
             if one.get("__capture_begun") and not one["__capture_begun"].get("failed")}
    return {host: ["%s/%s/%s" % (plan["settings"]["remote_dir"], plan["settings"]["run_id"], tracer)
                   for tracer in plan["arguments"]] for host, plan in plans.items()}


def rounds(terminal, now, start, end):
    """Return the moments at which all hosts are asked; all times in s since 1970."""
    if end - start < LEAST_S:
        return []
    step = max(LEAST_S, (end - start) / (_LOOKS if terminal else _PLAIN))
    first = max(now + 1, start - step) if terminal else start + step
    return [first + number * step for number in range(int((end - 1 - first) // step) + 1)]


def frame(lines, before, columns):
    """Return what refreshes the lines in place on a terminal on which so many were shown before."""
    up = "\x1b[%dA" % before if before else ""
    # a line that were wrapped would be two
    return "\r" + up + "\x1b[?7l" + "".join("\x1b[2K%s\r\n" % text[:columns] for text in lines) + "\x1b[?7h\x1b[J"


def ready(hosts, make):
    """Return (looks of the hosts that can be asked, Counted of all). hosts: host -> directories; make: makes a look."""
    looks, counted = {}, {host: Counted() for host in hosts}
    for host, directories in hosts.items():
        try:
            looks[host] = make(host, directories)
        except Exception as error:    # whatever Ansible says of it: the other hosts are shown all the same
            counted[host].take({"failed": True, "msg": str(error)})
    return looks, counted


class _Mute:
    """Takes the place of the queue to Ansible's main process: who may be killed any moment must not hold its lock."""

    def __getattr__(self, name):
        return lambda *_args, **_kwargs: None

    def send_prompt(self, **_kwargs):
        """Nobody is there to answer."""
        from ansible.errors import AnsiblePromptNoninteractive
        raise AnsiblePromptNoninteractive


class Watch:
    """A context: hosts are watched while it lasts. Whatever goes wrong costs what is shown, and nothing else."""

    def __init__(self, action, variables, start, end):
        """action: the plugin that waits; variables: of its task; start, end: s since 1970, start 0 to watch nobody."""
        self._action, self._variables, self._start, self._end = action, variables, start, end
        self._main, self._pid = os.getppid(), 0
        self._terminal = _terminal_of(self._main)
        self._rounds = rounds(self._terminal is not None, time.time(), start, end) if start else []
        self._lines, self._to = os.pipe()
        os.set_blocking(self._lines, False)

    def __enter__(self):
        worker = os.getpid()
        try:
            self._pid = os.fork() if self._rounds else 0
        except OSError:
            self._rounds = []
        if self._rounds and not self._pid:
            try:
                self._run(worker)
            except Exception as error:
                self._put(["the counters of the hosts cannot be shown: %s" % shown(error, 200)], 0)
            finally:
                os._exit(0)
        return self

    def __exit__(self, *_error):
        if self._pid:
            for kill, victim in ((os.kill, self._pid), (os.killpg, self._pid)):  # it may not have a group yet
                with contextlib.suppress(OSError):
                    kill(victim, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        for descriptor in (self._lines, self._to, self._terminal):
            if descriptor is not None:
                os.close(descriptor)

    def moments(self):
        """Return when there may be lines to show for whoever waits; none on a terminal."""
        return [] if self._terminal is not None else [min(at + ANSWER_S + 0.5, self._end) for at in self._rounds]

    def said(self):
        """Return the lines of the last look."""
        try:
            return json.loads(os.read(self._lines, 1 << 16).decode().splitlines()[-1])
        except (BlockingIOError, IndexError, ValueError):
            return []

    def _run(self, worker):
        """Watch, as the new process."""
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        from ansible.utils.display import Display
        Display()._final_q = _Mute()
        hosts = watched(self._variables)
        looks, counted = ready(hosts, lambda host, directories: _ready(self._action, host, directories))
        drawn = 0
        asked = {}  # type: Dict[str, Any]
        pool = concurrent.futures.ThreadPoolExecutor(_forks())
        for at in self._rounds if counted else []:
            while time.time() < at and self._needed(worker):
                time.sleep(min(0.5, max(0, at - time.time())))
            for host in set(looks) - set(asked):
                asked[host] = time.time(), pool.submit(looks[host].look)
            concurrent.futures.wait([future for _when, future in asked.values()], ANSWER_S)
            for host in [host for host, (_when, future) in asked.items() if future.done()]:
                counted[host].take(asked.pop(host)[1].result())
            if not self._needed(worker):
                return
            waited = {host: max(1, round(time.time() - when)) for host, (when, _future) in asked.items()}
            drawn = self._put(table(counted, waited, self._start, self._end, time.time(), self._rows()), drawn)

    def _needed(self, worker):
        """Return whether there is still somebody who waits, and somebody to show it."""
        return os.getppid() == worker and os.path.exists("/proc/%d" % self._main)

    def _rows(self):
        """Return how many lines there is room for."""
        return _ROWS if self._terminal is None else max(2, (os.get_terminal_size(self._terminal).lines or 24) - 3)

    def _put(self, lines, drawn):
        """Show lines in place of as many as were drawn before, or hand them to whoever waits; return how many."""
        if self._terminal is None:
            os.write(self._to, (json.dumps(lines) + "\n").encode())
        else:
            columns = os.get_terminal_size(self._terminal).columns or 80
            os.write(self._terminal, frame(lines, drawn, columns).encode())
        return len(lines)


def _terminal_of(main):
    """Return a descriptor of the terminal that Ansible's main process writes to; None if it does not, or if what it
    writes is somebody else's."""
    from ansible import constants
    if constants.DEFAULT_STDOUT_CALLBACK.split(".")[-1] != "skbfleet" or os.environ.get("TERM", "dumb") == "dumb":
        return None
    try:
        terminal = os.open("/proc/%d/fd/1" % main, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return None
    if os.isatty(terminal):
        return terminal
    os.close(terminal)
    return None


def _forks():
    from ansible import context
    return context.CLIARGS.get("forks") or 5


def _ready(action, host, directories):
    """Return the action plugin skbfleet_look for a host, with its connection, as Ansible makes it for any task."""
    from ansible.executor.process.worker import current_worker as worker
    from ansible.executor.task_executor import TaskExecutor
    task = action._task.copy()
    task.action = ".".join(action._task.action.split(".")[:-1] + ["skbfleet_look"])
    task.args, task.become, task.when, task.delegate_to = {"directories": directories}, True, [], None
    manager = worker._variable_manager
    target = manager._inventory.get_host(host)
    stdin = [worker._new_stdin] if hasattr(worker, "_new_stdin") else []  # of older versions
    executor = TaskExecutor(target, task, manager.get_vars(play=task.get_play(), host=target, task=task),
                            worker._play_context, *stdin, loader=worker._loader,
                            shared_loader_obj=worker._shared_loader_obj, final_q=_Mute(), variable_manager=manager)
    result = executor.run()
    if result.get("failed"):
        raise ValueError(result.get("msg"))
    return executor._handler
