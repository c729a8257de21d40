# SPDX-License-Identifier: Apache-2.0
"""Programs that are run beside: none outlives this process, however that ends."""
import ctypes
import signal
import subprocess
from typing import Any, Dict, List, Optional

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def start(command: List[str], environment: Optional[Dict[str, str]] = None) -> Any:
    """Start a command in a session of its own, its output and complaints in pipes; raises OSError."""
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            start_new_session=True, preexec_fn=_die_with_parent, env=environment)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
