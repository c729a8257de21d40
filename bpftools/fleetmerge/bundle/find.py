# SPDX-License-Identifier: Apache-2.0
"""Find the bundles that the user means, and sort out those that do not belong together."""
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import BundleError, MergeError
from ..words import printable
from .manifest import MANIFEST, Bundle, open_bundle

HOSTS = "hosts"
OUTCOME = "outcome.json"
_CASE = 200    # characters of what a case says of itself


@dataclass
class Expected:
    """What the run wanted from a host."""

    tracers: list[str] = field(default_factory=list)  # empty: any
    why: str = ""                                     # what is known to have gone wrong there


@dataclass
class Inputs:
    """What was found."""

    output: str
    run_id: str = ""
    bundles: list[Bundle] = field(default_factory=list)
    broken: dict[str, list[str]] = field(default_factory=dict)   # host -> sentences
    foreign: list[str] = field(default_factory=list)             # sentences about what was left out
    whole_run: bool = False                                      # a run's directory was given


def find(paths: Sequence[str], output: str | None) -> Inputs:
    """Open the bundles of a run's directory, or those given one by one; MergeError if they cannot be merged."""
    if len(paths) == 1 and os.path.isdir(os.path.join(paths[0], HOSTS)):
        run = os.path.realpath(paths[0])
        found = Inputs(os.path.realpath(output) if output else run, whole_run=not output)
        directories = _directories(os.path.join(run, HOSTS))
        wanted = os.path.basename(run)
    else:
        if not output:
            raise MergeError(_what_is(paths[0]) if len(paths) == 1 else
                             "--output is missing: several bundles need a directory to be merged into")
        found = Inputs(os.path.realpath(output))
        directories = [(os.path.basename(os.path.dirname(os.path.abspath(path))), path) for path in paths]
        wanted = ""
    errors = []
    for host, directory in directories:
        try:
            bundle = open_bundle(directory)
            found.bundles.append(_of_place(bundle, host) if wanted else bundle)
        except BundleError as error:
            found.broken.setdefault(host, []).append(str(error))
            errors.append(str(error))
    if not found.bundles:
        raise MergeError(errors[0] if len(errors) == 1 else
                         "none of the %d bundles can be used; the first: %s" % (len(errors), errors[0]) if errors else
                         "%s holds no bundle" % paths[0])
    _one_run(found, wanted)
    _no_twins(found.bundles)
    if not wanted:
        _no_namesakes(found.bundles)
    return found


def _of_place(bundle: Bundle, host: str) -> Bundle:
    """Refuse a bundle that speaks for another host or tracer than the one that it came from: it would count as that."""
    tracer = os.path.basename(bundle.directory)
    for what, said, true in (("host", bundle.host, host), ("tracer", bundle.tracer, tracer)):
        if said != true:
            raise BundleError("the bundle %s cannot be used: its manifest says that its %s is %s, but it came as %s"
                              % (bundle.directory, what, said, true))
    return bundle


def _what_is(path: str) -> str:
    if not os.path.exists(path):
        return "%s does not exist" % path
    if os.path.exists(os.path.join(path, MANIFEST)):
        return "--output is missing: %s is a single bundle and needs a directory to be merged into" % path
    return "%s is neither a run's directory (it has no %s/) nor a bundle (it has no %s)" % (path, HOSTS, MANIFEST)


def _directories(hosts: str) -> list[tuple[str, str]]:
    """Return (host, directory) of every bundle below hosts/."""
    out = []
    for host in sorted(os.listdir(hosts)):
        place = os.path.join(hosts, host)
        if os.path.isdir(place):
            out += [(host, os.path.join(place, tracer)) for tracer in sorted(os.listdir(place))
                    if os.path.isdir(os.path.join(place, tracer))]
    return out


def _one_run(found: Inputs, wanted: str) -> None:
    """Keep the bundles of one run: the one that the directory is named after, or the only one there is."""
    runs = sorted({bundle.run_id for bundle in found.bundles})
    if len(runs) > 1 and wanted not in runs:
        raise MergeError("the bundles are of different runs (%s): merge one run at a time" % ", ".join(runs))
    found.run_id = wanted if wanted in runs else runs[0]
    for bundle in found.bundles:
        if bundle.run_id != found.run_id:
            text = "the bundle %s cannot be used: it is of run %s, not of %s" % (bundle.directory, bundle.run_id,
                                                                                  found.run_id)
            found.foreign.append(text[0].upper() + text[1:] + ".")
    found.bundles = [bundle for bundle in found.bundles if bundle.run_id == found.run_id]


def _no_twins(bundles: Sequence[Bundle]) -> None:
    have: dict[tuple[str, str], str] = {}
    for bundle in bundles:
        other = have.setdefault((bundle.host, bundle.tracer), bundle.directory)
        if other != bundle.directory:
            raise MergeError("there are two bundles of the %s on %s: %s and %s; give one of them"
                             % (bundle.tracer, bundle.host, other, bundle.directory))


def _no_namesakes(bundles: Sequence[Bundle]) -> None:
    """Refuse two machines under one name; where bundles lie as they were fetched, the name is the inventory's."""
    boots: dict[str, tuple[str, str]] = {}
    for bundle in bundles:
        boot = str(bundle.manifest["kernel"].get("boot_id") or "")
        first, directory = boots.setdefault(bundle.host, (boot, bundle.directory))
        if first != boot:
            raise MergeError("two machines say that they are host %s: %s and %s; give the bundles of one of them"
                             % (bundle.host, directory, bundle.directory))


def outcome(names: Sequence[str], path: str | None, output: str) -> tuple[dict[str, Expected], dict[str, Any]]:
    """Return (what was expected of each host, facts for the summary): from --expect-host and from what the capture
    role wrote down, in the file of --expect or in the run's own outcome.json. MergeError if the file is wrong."""
    out = {name: Expected() for name in names}
    own = os.path.join(output, OUTCOME)
    written = _json(own) if os.path.exists(own) else {}
    content = _json(path) if path else written
    hosts = content.get("hosts", {} if content is written else content) if isinstance(content, dict) else content
    if not isinstance(hosts, dict):
        raise MergeError("%s must hold an object: host name -> {tracers, why}" % (path or own))
    for host, about in hosts.items():
        out[host] = _expected(path or own, host, about)
    return out, _facts(written) if isinstance(written, dict) else {}


def _facts(written: dict[str, Any]) -> dict[str, Any]:
    """Return what the summary says of the case that the run was made for, and of the command that ran in its window."""
    out: dict[str, Any] = {}
    case, reproduce = written.get("case"), written.get("reproduce")
    if isinstance(case, dict) and case:
        out["case"] = {name: printable(case.get(name) or "")[:_CASE] for name in ("title", "ticket", "author")}
    if isinstance(reproduce, dict) and reproduce:
        out["reproduce"] = {"command": reproduce.get("command"), "status": reproduce.get("exit_status")}
    return out


def _json(path: str) -> Any:
    try:
        with open(path, encoding="utf-8") as handle:
            return json.load(handle)
    except OSError as error:
        raise MergeError("%s cannot be read: %s" % (path, error.strerror)) from error
    except ValueError as error:
        raise MergeError("%s is not JSON: %s" % (path, error)) from error


def _expected(path: str, host: str, about: Any) -> Expected:
    about = {} if about is None else {"tracers": about} if isinstance(about, list) else about
    tracers = about.get("tracers") or [] if isinstance(about, dict) else None
    if not isinstance(tracers, (list, dict)):
        raise MergeError("%s: host %s must be a list of tracers or {tracers: [...], why: text}" % (path, host))
    return Expected([str(tracer) for tracer in tracers], str(about.get("why") or ""))
