# SPDX-License-Identifier: Apache-2.0
"""A run without the names and addresses of those whose it is: the same losses, and nobody to be told by them."""
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ..archive.pack import pack
from ..bundle.find import HOSTS, OUTCOME, find
from ..bundle.manifest import MANIFEST, RECORDS, Bundle
from ..bundle.records import chunks
from ..errors import MergeError
from ..findings.topology import FILE as TOPOLOGY
from .addresses import KEY_BYTES, Addresses
from .headers import replaced
from .manifests import LEFT_OUT, Own, manifest_of
from .names import Names

_CHUNK = 1 << 14           # records


def key_of(path: str) -> bytes:
    """Return the key in a file, which is made, for its owner alone, if it is not there. Raises MergeError."""
    try:
        with suppress(FileExistsError), open(path, "x", opener=_private) as handle:
            handle.write(secrets.token_hex(KEY_BYTES) + "\n")
        with open(path, encoding="ascii") as handle:
            key = bytes.fromhex(handle.read(1000).strip())
    except OSError as error:
        raise MergeError("the key %s cannot be read: %s" % (path, error.strerror)) from error
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise MergeError("%s is no key: it must hold %d hexadecimal digits" % (path, 2 * KEY_BYTES))
    return key


def pseudonymise(run: str, into: str, key: bytes) -> None:
    """Write a run's bundles, and what is known of it besides, to the directory `into`, under other names.

    What is free text, or was read of the hosts' configuration, is left out. Raises MergeError.
    """
    found = find([run], None)
    if found.broken or found.foreign:
        raise MergeError("not all of %s can be read, and so not all of it can be given other names: %s" % (
            run, next(iter([*found.foreign, *(text for texts in found.broken.values() for text in texts)]))))
    outcome, topology = (_json(os.path.join(run, name)) for name in (OUTCOME, TOPOLOGY))
    own = _own(found.bundles, outcome, topology, Addresses(key))
    for bundle in found.bundles:
        _bundle(bundle, os.path.join(into, HOSTS, own.hosts.of(bundle.host), bundle.tracer), own)
    if outcome:
        _write(os.path.join(into, OUTCOME), _outcome(outcome, own))
    if topology:
        _write(os.path.join(into, TOPOLOGY), _topology(topology, own))


def pack_pseudonymised(run: str, key: str) -> str:
    """Pack a run under other names; return the archive, RUN-pseudonymised.tar.zst beside the run. key: a file, made if
    needed. Raises MergeError."""
    run = os.path.realpath(run)
    parent = os.path.dirname(run)
    try:
        with tempfile.TemporaryDirectory(prefix=".pseudonyms-", dir=parent) as scratch:
            made = os.path.join(scratch, os.path.basename(run))
            pseudonymise(run, made, key_of(key))
            return pack(made, parent, "-pseudonymised")
    except OSError as error:
        raise MergeError("%s cannot be packed under other names: %s" % (run, error)) from error


def _own(bundles: Sequence[Bundle], outcome: Mapping[str, Any], topology: Mapping[str, Any],
         addresses: Addresses) -> Own:
    ends = list(topology.get("pair", {}).values())
    hosts = {bundle.host for bundle in bundles} | set(_hosts(outcome)) | {str(end["host"]) for end in ends}
    devices = {str(device.get("name") or "") for bundle in bundles for device in bundle.manifest["devices"]}
    devices |= {str(name) for bundle in bundles for name in _listed(bundle.manifest["filter"].get("interfaces"))}
    devices |= {str(name) for end in ends for name in end["uplinks"]}
    spaces = {str(name) for bundle in bundles for name in bundle.manifest["netns"].values()}
    nearest = [flow for bundle in bundles for flow in bundle.manifest["nearest"].get("flows", [])]
    devices |= {flow["device"] for flow in nearest}
    spaces |= {flow["netns"] for flow in nearest}
    return Own(addresses, Names("host", hosts), Names("dev", devices, usual=True), Names("ns", spaces))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _bundle(bundle: Bundle, into: str, own: Own) -> None:
    os.makedirs(into, mode=0o700)
    digest, size = hashlib.sha256(), 0
    with open(bundle.path, "rb") as source, open(os.path.join(into, RECORDS), "xb", opener=_private) as out:
        for data in chunks(source, bundle.dtype.itemsize, _CHUNK):
            raw = np.frombuffer(data, bundle.dtype, len(data) // bundle.dtype.itemsize)
            made = _records(raw, own).tobytes()
            digest.update(made)
            size += len(made)
            out.write(made)
    if bundle.truncated:
        raise MergeError("the records of %s are cut off: they can be given no other names" % bundle.directory)
    manifest = manifest_of(bundle.manifest, own)
    manifest["files"] = {RECORDS: {"bytes": size, "sha256": digest.hexdigest()}}
    _write(os.path.join(into, MANIFEST), manifest)


def _records(raw: np.ndarray, own: Own) -> np.ndarray:
    """Return records whose packets, processes and asked fields are not told by their own values; of bytes that belong
    to no field nothing is left."""
    have = raw.dtype.names or ()
    out = np.zeros(len(raw), raw.dtype)
    for name in have:
        out[name] = raw[name]
    if "comm" in have:
        names, of = np.unique(raw["comm"], return_inverse=True)
        out["comm"] = np.array([own.word("p", name.hex()).encode() if name else b"" for name in names.tolist()],
                               raw.dtype["comm"])[of]
    if "packet" in have:
        layer = raw["packet_layer"] if "packet_layer" in have else np.full(len(raw), 3, "u1")
        protocol = raw["protocol"] if "protocol" in have else np.zeros(len(raw), "u2")
        valid = raw["packet_len"].astype("i8") if "packet_len" in have else np.full(len(raw), 0)
        out["packet"] = replaced(raw["packet"], valid, layer, protocol, own.addresses)
    if "fields" in have:
        numbers, of = np.unique(raw["fields"][:, :-1], return_inverse=True)
        drawn = [int.from_bytes(own.addresses.digest(b"field", number.tobytes())[:8], "little") if number else 0
                 for number in numbers]
        out["fields"][:, :-1] = np.array(drawn, "u8")[of].reshape(raw["fields"][:, :-1].shape)
    return out


def _hosts(outcome: Mapping[str, Any]) -> Mapping[str, Any]:
    hosts = outcome.get("hosts", {})
    return hosts if isinstance(hosts, dict) else {}


def _outcome(outcome: Mapping[str, Any], own: Own) -> dict[str, Any]:
    out: dict[str, Any] = {"hosts": {own.hosts.of(host): _expected(about) for host, about in _hosts(outcome).items()}}
    reproduce = outcome.get("reproduce")
    if isinstance(reproduce, dict) and reproduce:
        out["reproduce"] = {"command": LEFT_OUT, "exit_status": reproduce.get("exit_status")}
    return out


def _expected(about: Any) -> Any:
    """Return the tracers that were asked for, and whether something went wrong."""
    tracers = about.get("tracers") if isinstance(about, dict) else about
    why = about.get("why") if isinstance(about, dict) else ""
    return {"tracers": [str(name) for name in tracers or []], "why": LEFT_OUT if why else ""}


def _topology(topology: Mapping[str, Any], own: Own) -> dict[str, Any]:
    return {"pair": {"end-%d" % number: {
        "address": own.network(str(end["address"])), "host": own.hosts.of(str(end["host"])),
        "uplinks": [own.devices.of(str(name)) for name in end["uplinks"]]}
        for number, end in enumerate(topology["pair"].values(), 1)}}


def _json(path: str) -> dict[str, Any]:
    if not os.path.exists(path):
        return {}
    try:
        with open(path, encoding="utf-8") as handle:
            content = json.load(handle)
    except (OSError, ValueError) as error:
        raise MergeError("%s cannot be read: %s" % (path, error)) from error
    return content if isinstance(content, dict) else {}


def _write(path: str, content: Any) -> None:
    with open(path, "x", encoding="utf-8", opener=_private) as handle:
        json.dump(content, handle)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
