# SPDX-License-Identifier: Apache-2.0
"""Questions to a daemon of Open vSwitch at its socket, as ovs-appctl and ovs-vsctl put them, without running a command
for each: JSON-RPC 1.0 (ovs-appctl(8), RFC 7047). What it answers is a stranger's.
"""
import glob
import json
import os
import socket
import time
from typing import Any, List

from .. import foreign
from .collectors import Unread

_PLACES = ("/run/openvswitch", "/var/run/openvswitch", "/usr/local/var/run/openvswitch")
_PIECE = 1 << 18


def sockets(pattern: str) -> List[str]:
    """Return the sockets of Open vSwitch's daemons that have such a name."""
    return [path for place in _PLACES for path in sorted(glob.glob(os.path.join(place, pattern)))]


class Daemon:
    """A daemon that listens at one of these paths, if one does."""

    def __init__(self, name: str, paths: List[str]) -> None:
        """name: of the daemon, for who asks why there is no answer."""
        self._name = name
        self._link = None
        self._why = "%s does not listen on this host" % name    # if there is no link
        for path in paths:
            link = socket.socket(socket.AF_UNIX)
            link.settimeout(1.0)
            try:
                link.connect(path)
                self._link = link
                return
            except OSError:    # left from a daemon that is gone
                link.close()

    def ask(self, method: str, parameters: List[Any], seconds: float, most: int) -> Any:
        """Return the result; raises Unread if there is none within that time, or it is longer than that many bytes."""
        if self._link is None:
            raise Unread(self._why)
        try:
            answer = self._exchange({"id": 0, "method": method, "params": parameters}, seconds, most)
        except socket.timeout:
            self._give_up("%s did not answer within %g s" % (self._name, seconds))
            raise Unread(self._why) from None
        except (OSError, ValueError, RecursionError):
            self._give_up("%s broke off" % self._name)
            raise Unread(self._why) from None
        if answer.get("error") is not None:
            words = [foreign.shown(line.encode()) for line in str(answer["error"]).splitlines()] or [""]
            raise Unread("%s refused: %s" % (self._name, words[0][:300]))
        return answer.get("result")

    def _exchange(self, question: Any, seconds: float, most: int) -> Any:
        assert self._link
        end = time.monotonic() + seconds
        self._link.settimeout(seconds)
        self._link.sendall(json.dumps(question).encode())
        heard = b""
        while True:
            self._link.settimeout(max(0.001, end - time.monotonic()))
            piece = self._link.recv(_PIECE)
            if not piece:
                raise ValueError
            heard += piece
            if len(heard) > most:
                self._give_up("%s said too much" % self._name)
                raise Unread("it is longer than %d KiB" % (most >> 10))
            if heard.endswith(b"}"):
                try:
                    answer = json.loads(heard.decode("utf-8", "backslashreplace"))
                except ValueError:    # not the last brace
                    continue
                if not isinstance(answer, dict):
                    raise ValueError
                return answer

    def _give_up(self, why: str) -> None:
        """Ask no more: what it still says would be taken for another answer."""
        self._why = why
        self.close()

    def close(self) -> None:
        """Leave the daemon alone."""
        if self._link:
            self._link.close()
        self._link = None
