# SPDX-License-Identifier: Apache-2.0
"""Where a tracer looks: the namespaces and devices that its filter names, as the kernel numbers them."""
from typing import Dict, List, Optional

from .. import foreign
from ..errors import InputError, option
from ..host import devices, netns
from ..programs.filters import Filter


class Scope:
    """The namespaces and devices that the filter confines the tracer to."""

    def __init__(self, chosen: Filter) -> None:
        """Raises InputError for a namespace or a device that is not there."""
        self.netns: Optional[int] = None
        self.interfaces: Optional[devices.Numbers] = None
        self.paths: Dict[int, str] = {}
        self.names = netns.names()
        # interface numbers repeat from namespace to namespace: a name alone means the tracer's own
        where = chosen.netns or ("self" if chosen.interfaces else None)
        if where is None:
            self.paths = netns.list_all()
            return
        path = netns.path_of(where)
        self.netns = netns.inode_of(path)
        self.paths = {self.netns: path}
        if where not in ("self",) and not foreign.is_number(where) and "/" not in where:
            self.names[self.netns] = foreign.from_system(where)
        if chosen.interfaces:
            _require(chosen.interfaces, path, where)
            self.interfaces = devices.Numbers(path, [foreign.to_bytes(name) for name in chosen.interfaces])


def _require(names: List[str], path: str, where: str) -> None:
    """Raise InputError for a device that is not there: later it may come and go."""
    known = {device["name"] for device in devices.read(path)}
    for name in names:
        if foreign.shown(foreign.to_bytes(name)) not in known:
            raise InputError("%s is %r: there is no such device in network namespace %s; it must be one of %s"
                             % (option("interface"), name, where, ", ".join(sorted(known))))
