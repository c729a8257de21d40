# SPDX-License-Identifier: Apache-2.0
"""What this kernel has: functions and their names, descriptions of tracepoints and functions, modules' types.

Nothing is concluded from the kernel's version: distributions bring changes back to old numbers.
"""
import difflib
import os
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from ..errors import TracerError
from . import btf, structs

_KALLSYMS = "/proc/kallsyms"
_TRACEFS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
_NOT_THE_FUNCTION = (".cold", ".part")


class Function(NamedTuple):
    """A function of the running kernel: the symbol's whole name, and its module ("" for the kernel itself)."""

    symbol: str
    module: str


def find_functions(names: Iterable[str]) -> Dict[str, List[Function]]:
    """Return name -> the functions that are called so, with or without a compiler's suffix; raises OSError.

    Several functions under one name are several places of which no hook could say which one it took.
    """
    found: Dict[str, List[Function]] = {name: [] for name in names}
    with open(_KALLSYMS) as handle:
        for line in handle:
            words = line.split()
            name, _dot, suffix = words[2].partition(".")
            if name in found and words[1] in "tT" and not any(part in "." + suffix for part in _NOT_THE_FUNCTION):
                found[name].append(Function(words[2], words[3].strip("[]") if len(words) > 3 else ""))
    return found


def addresses(names: Iterable[str]) -> Dict[str, int]:
    """Return name -> address of the kernel's own symbols, as far as there are such; 0 where it hides them.

    Raises OSError.
    """
    wanted = set(names)
    with open(_KALLSYMS) as handle:
        rows = (line.split() for line in handle)
        return {words[2]: int(words[0], 16) for words in rows if len(words) == 3 and words[2] in wanted}


def nearest_functions(name: str) -> List[str]:
    """Return the names of functions that are nearest to one that is not there."""
    with open(_KALLSYMS) as handle:
        rows = [line.split(None, 3) for line in handle]
    names = {row[2].strip() for row in rows if row[1] in "tT" and abs(len(row[2].strip()) - len(name)) <= 2}
    return difflib.get_close_matches(name, sorted(names), 3, 0.7)


class Types:
    """Types of the kernel and of the modules that are looked into; names: all that will be asked for."""

    def __init__(self, names: Iterable[str]) -> None:
        """Raises OSError where the kernel has no BTF, btf.BtfError where it cannot be read."""
        self._names = list(names)
        self.vmlinux = btf.read_kernel(self._names)
        self._modules: Dict[str, Optional[btf.Btf]] = {}

    def of(self, module: str) -> Optional[btf.Btf]:
        """Return the types of a module, "" for the kernel's own; None if it has none."""
        if not module:
            return self.vmlinux
        if module not in self._modules:
            try:
                path = os.path.join(os.path.dirname(btf.KERNEL), module)
                self._modules[module] = btf.read_kernel(self._names, path, self.vmlinux)
            except (OSError, btf.BtfError):
                self._modules[module] = None
        return self._modules[module]


def read_types(names: Iterable[str]) -> Optional[Types]:
    """Return the kernel's types, None if it does not tell them; raises TracerError if they cannot be read."""
    try:
        return Types(names)
    except OSError:
        return None
    except btf.BtfError as error:
        raise TracerError("the kernel's BTF (%s) cannot be read: %s" % (btf.KERNEL, error)) from None


def tells_flow_drops(types: Optional[Types]) -> bool:
    """Whether Open vSwitch frees the packets of flows without actions as drops, with a reason of its own."""
    if types is None:
        return structs.headers_mention(os.uname().release, "net/dropreason.h", "SUBSYS_OPENVSWITCH")
    module = types.of("openvswitch")
    return bool(module and module.enum("ovs_drop_reason"))


def is_loaded(module: str) -> bool:
    """Whether a module is loaded; one that is built in may or may not show."""
    return os.path.isdir("/sys/module/" + module)


def loading_of(module: str) -> int:
    """Return a number that tells this loading of a module from a later one; 0 if it is not loaded."""
    try:
        return os.stat("/sys/module/" + module).st_ino
    except OSError:
        return 0


class NoTracepoint(LookupError):
    """This kernel has no such tracepoint."""


def describe_tracepoint(types: Optional[Types], name: str, module: str) -> Tuple[Optional[List[str]], int, str]:
    """Return the types of a tracepoint's arguments, the type's id, and the module that it is in.

    The types are None, and the id 0, where the kernel does not describe them. module: which has the tracepoint if the
    kernel itself has not. Raises NoTracepoint.
    """
    if types is None:
        if not _is_in_tracefs(name):
            raise NoTracepoint(name)
        return None, 0, module
    for place in ("", module):
        blob = types.of(place)
        described = blob.parameters("btf_trace_" + name) if blob else None
        if blob and described is not None:
            # the first argument is the kernel's own
            return [kind for _name, kind in described[1:]], blob.tracepoint_id("btf_trace_" + name) or 0, place
    raise NoTracepoint(name)


def _is_in_tracefs(name: str) -> bool:
    """Whether tracefs shows the tracepoint; where tracefs is not to be seen, attaching has to tell."""
    for directory in _TRACEFS:
        events = os.path.join(directory, "events")
        if os.path.isdir(events):
            return any(os.path.isdir(os.path.join(events, system, name)) for system in os.listdir(events))
    return True
