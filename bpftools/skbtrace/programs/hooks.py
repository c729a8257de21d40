# SPDX-License-Identifier: Apache-2.0
"""The ladder: a point is reached by a raw tracepoint, else by fentry, else by a kprobe, whatever this kernel takes."""
import os
import platform
from typing import Dict, List, NamedTuple, Optional, Tuple

from ..kernel import lookup, structs
from . import functions, loader, points

RAW_TRACEPOINT, FENTRY, KPROBE = "raw_tracepoint", "fentry", "kprobe"


class Hook(NamedTuple):
    """One way to reach a point, still to be tried."""

    kind: str
    target: str                # tracepoint, or the function's symbol
    module: str                # of the function, "" for the kernel itself
    btf_id: int                # of the function or the tracepoint's type; 0: the hook goes without types
    arguments: Dict[str, int]  # which argument (from 0) is the skb, its location, …
    indirect: Optional[bool]   # the argument is the address of a pointer to the skb; None: perhaps
    sure: bool = True          # a kernel that takes fentry takes this one
    walk: bool = False         # the packet is the first one of a list, and each is to be looked at


def why_absent(point: points.Point, types: Optional[lookup.Types]) -> str:
    """Return why there is nothing to look at, empty if there is something: the point's module is neither loaded nor
    built in, or, for the drops of flow rules, this kernel tells them as skb.drop.
    """
    if "actions" in point.arguments and lookup.tells_flow_drops(types):
        return "this kernel shows these drops at skb.drop"
    built_in = types is not None and any(types.vmlinux.function_id(name) for name in point.functions)
    if point.module and not lookup.is_loaded(point.module) and not built_in:
        return "module %s is not loaded" % point.module
    return ""


def needs_kprobes(offers: List[Tuple[List[Hook], List[str]]]) -> bool:
    """Whether some point may be had by a kprobe alone: only then is the program for kprobes worth compiling.

    Whether this kernel takes fentry is tried at the first function that surely offers it.
    """
    fentries = [hook for candidates, _reasons in offers for hook in candidates if hook.kind == FENTRY and hook.sure]
    works = bool(fentries) and _takes_fentry(fentries[0])
    return any(any(hook.kind == KPROBE for hook in candidates) and
               all(hook.kind == KPROBE or (hook.kind == FENTRY and not (works and hook.sure)) for hook in candidates)
               for candidates, _reasons in offers)


def _takes_fentry(hook: Hook) -> bool:
    held = []
    try:
        module = loader.open_module_types(hook.module) if hook.module else 0
        held = [module] if module else []
        held.append(loader.load(loader.PROG_TYPE_TRACING, "trial", loader.EMPTY, 0, loader.ATTACH_FENTRY, hook.btf_id,
                                module))
        held.append(loader.attach_typed(held[-1]))
        return True
    except OSError:
        return False
    finally:
        for descriptor in reversed(held):
            os.close(descriptor)


def has_kprobes() -> bool:
    """Whether this kernel has kprobes that live as long as a file descriptor, and we know where arguments are."""
    return os.path.exists(loader.KPROBE_PMU) and platform.machine() in structs.REGISTERS


def wanted_functions(wanted: List[points.Point]) -> List[str]:
    """Return every function that one of the points may need."""
    return sorted({function for point in wanted for function in point.functions})


def candidates(point: points.Point, types: Optional[lookup.Types],
               found: Dict[str, List[lookup.Function]]) -> Tuple[List[Hook], List[str]]:
    """Return the hooks to try in this order, and why others are not among them.

    types: None where the kernel has no BTF; found: what lookup.find_functions found.
    """
    hooks: List[Hook] = []
    reasons: List[str] = []
    if point.tracepoint:
        _offer_tracepoint(point, types, hooks, reasons)
    for name in point.functions:
        _offer_function(point, name, types, found.get(name, []), hooks, reasons)
    return hooks, reasons


_INDIRECT = {"sk_buff*": False, "sk_buff**": True, "sk_buff*?": None}


def _places(point: points.Point, described: Optional[List[str]]) -> Tuple[Dict[str, int], Optional[bool]]:
    """Return which argument is what, and whether the skb's is the address of a pointer to it (None: perhaps)."""
    if described is None:
        places = {name: argument.place for name, argument in point.arguments.items() if argument.place is not None}
        return places, _INDIRECT[point.arguments["skb"].type]
    # what has no type of its own is where it always was
    found = {name: described.index(argument.type) if argument.type else argument.place or 0
             for name, argument in point.arguments.items()
             if name != "skb" and (argument.type in described or not argument.type)}
    for kind in ("sk_buff*", "sk_buff**"):
        if kind in described:
            return dict(found, skb=described.index(kind)), kind == "sk_buff**"
    return found, False


def _offer_tracepoint(point: points.Point, types: Optional[lookup.Types], hooks: List[Hook],
                      reasons: List[str]) -> None:
    try:
        described, btf_id, module = lookup.describe_tracepoint(types, point.tracepoint, point.module)
    except lookup.NoTracepoint:
        reasons.append("this kernel has no tracepoint %s" % point.tracepoint)
        return
    places, indirect = _places(point, described)
    if "skb" in places:
        if "count" in places:  # what hangs on the first one has no type; and it may be too much for an older verifier
            hooks.append(Hook(RAW_TRACEPOINT, point.tracepoint, module, 0, places, indirect, walk=True))
        if btf_id:  # cheaper: its program reads the skb by plain loads
            hooks.append(Hook(RAW_TRACEPOINT, point.tracepoint, module, btf_id, places, indirect))
        hooks.append(Hook(RAW_TRACEPOINT, point.tracepoint, module, 0, places, indirect))
    else:
        reasons.append("this kernel's tracepoint %s does not show the packet" % point.tracepoint)


def _nearest(point: points.Point, name: str) -> str:
    """Return the functions that somebody who asked for one by its name may have meant."""
    nearest = lookup.nearest_functions(name) if functions.is_function(point) else []
    return "; the nearest are " + ", ".join(nearest) if nearest else ""


def _offer_function(point: points.Point, name: str, types: Optional[lookup.Types], found: List[lookup.Function],
                    hooks: List[Hook], reasons: List[str]) -> None:
    if len(found) != 1:
        reasons.append("%d functions are called %s" % (len(found), name) if found else
                       "no function %s: it was inlined, or its module is not loaded%s" % (name, _nearest(point, name)))
        return
    function = found[0]
    module_types = types.of(function.module) if types else None
    described = module_types.parameters(name) if module_types else None
    places, indirect = _places(point, [kind for _name, kind in described] if described else None)
    if functions.is_function(point):
        try:
            places["skb"], indirect = functions.packet(point, described)
        except functions.NoPacket as why:
            reasons.append(str(why))
            return
    if "skb" not in places:
        reasons.append("function %s of this kernel takes no packet" % name)
        return
    if places["skb"] >= points.MOST_ARGUMENTS:
        reasons.append("the packet is not in a register of %s" % name)
        return
    btf_id = module_types.function_id(name) if module_types else None
    if btf_id and function.symbol == name:
        # older kernels let fentry neither read a pointer to a pointer nor have arguments that are on the stack
        sure = not indirect and len(described or []) <= points.MOST_ARGUMENTS
        hooks.append(Hook(FENTRY, name, function.module, btf_id, places, indirect, sure))
    # a compiler's suffix means a copy with other arguments; the first one is the last that it would change
    if function.symbol != name and (places["skb"] != 0 or ".constprop" not in function.symbol):
        reasons.append("function %s exists as %s only, whose arguments may differ" % (name, function.symbol))
    elif not has_kprobes():
        reasons.append("this kernel has no kprobes")
    else:
        hooks.append(Hook(KPROBE, function.symbol, function.module, 0, places, indirect))
