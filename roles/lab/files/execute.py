# SPDX-License-Identifier: Apache-2.0
"""Run a command in a hypervisor: in all of its namespaces, as if it had been started there."""
import ctypes
import os
import signal
from typing import List

import namespaces

PR_SET_PDEATHSIG = 1
SI_KERNEL = 0x80  # the terminal sent it, to the command as well
FORWARDED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}


def _enter(pid: int) -> None:
    """Join the namespaces of process `pid`; children, not we ourselves, are in its PID namespace."""
    here = os.getcwd()
    handles = [open("/proc/%d/ns/%s" % (pid, kind)) for kind in ("uts", "ipc", "net", "pid", "mnt")]
    for handle in handles:
        with handle:
            namespaces.check(ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), 0), "setns " + handle.name)
    os.chdir(here)


def _become(argv: List[str], mask: set) -> None:
    """The child's part: die with the parent, then turn into the command."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        os.write(2, ("error: cannot run %s: %s\n" % (argv[0], error.strerror)).encode())
        os._exit(127)


def run_in(pid: int, argv: List[str]) -> int:
    """Run `argv` beside process `pid`, pass signals on to it; returns its exit status, 128 + n if signal n ended it."""
    _enter(pid)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED | {signal.SIGCHLD})
    child = os.fork()
    if child == 0:
        _become(argv, mask)
    while True:
        received = signal.sigwaitinfo(FORWARDED | {signal.SIGCHLD})
        if received.si_signo != signal.SIGCHLD:
            if received.si_code != SI_KERNEL:
                os.kill(child, received.si_signo)
            continue
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
