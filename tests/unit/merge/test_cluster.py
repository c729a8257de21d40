# SPDX-License-Identifier: Apache-2.0
"""A merge on a cluster of four workers: the products are those of a merge here; nobody else is let in."""
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import dying, products, traffic

from fleetmerge import certificates
from fleetmerge.bundle import find
from fleetmerge.errors import MergeError
from fleetmerge.executors import Here
from fleetmerge.memory import KEEP
from fleetmerge.merge import merge
from fleetmerge.products.summary import Request

pytest.importorskip("distributed", reason="needs requirements-mergers.txt")
from support import clusters

from fleetmerge.cluster import Cluster

WORKERS = 4
COMMAND = clusters.ROOT / "bpftools" / "merge_captures.py"


@pytest.fixture(scope="module")
def run(tmp_path_factory: Any) -> Path:
    """Return a run that was merged here."""
    path: Path = tmp_path_factory.mktemp("runs") / "run"
    traffic.make_pairs(path, 2, 60_000)
    merge(request(path, path.parent / "here"), Here(), 1)
    return path


@pytest.fixture(scope="module")
def keys(tmp_path_factory: Any) -> Path:
    path: Path = tmp_path_factory.mktemp("keys")
    certificates.make(str(path))
    return path


@pytest.fixture(scope="module")
def address(keys: Path) -> Any:
    with clusters.cluster(keys, WORKERS, keys / "cluster.log") as address:
        yield address


def request(run: Path, output: Path) -> Request:
    return Request(find.find([str(path) for path in sorted(run.glob("hosts/*/*"))], str(output)))


def test_products_are_the_same(run: Path, keys: Path, address: str, tmp_path: Path) -> None:
    bundles = sorted(run.glob("hosts/*/*"))
    subprocess.run([sys.executable, COMMAND, "--quiet", "--scheduler", address, "--certificates", keys, "--output",
                    tmp_path / "there", *bundles], check=True)
    products.assert_equal(run.parent / "here", tmp_path / "there")


def test_a_worker_that_dies_costs_its_part_only(run: Path, keys: Path, address: str, tmp_path: Path) -> None:
    with Cluster(address, str(keys)) as cluster:
        assert cluster.workers == WORKERS
        merge(request(run, tmp_path / "there"), dying.Clumsy(cluster.executor(), tmp_path, {"_explore", "_write"}),
              cluster.workers)
    assert (tmp_path / "_explore").exists() and (tmp_path / "_write").exists()
    products.assert_equal(run.parent / "here", tmp_path / "there")


def test_workers_keep_their_memory(keys: Path, address: str) -> None:
    with Cluster(address, str(keys)) as cluster:
        assert {name: cluster.executor().submit(os.getenv, name).result() for name in KEEP} == KEEP


def test_nobody_else_is_let_in(address: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("fleetmerge.cluster._PATIENCE", 2)
    certificates.make(str(tmp_path / "others"))
    with pytest.raises(MergeError, match="does not let us in"):
        Cluster(address, str(tmp_path / "others"))
    with pytest.raises(MergeError, match=r"has no ca\.pem"):
        Cluster(address, str(tmp_path))


def test_nobody_is_let_in_without_a_certificate(address: str) -> None:
    host, port = address.removeprefix("tls://").split(":")
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(ssl.SSLError, match="required"), socket.create_connection((host, int(port)), 10) as plain, \
            anybody.wrap_socket(plain) as secured:
        secured.recv(1)
    with socket.create_connection((host, int(port)), 10) as plain:
        plain.sendall(b"\0" * 64)    # Dask's own protocol, without TLS
        with pytest.raises(ConnectionError):
            while plain.recv(64):    # an alert at most
                pass
            raise ConnectionError("closed")


def test_certificates_are_good_for_days_and_private(tmp_path: Path) -> None:
    certificates.make(str(tmp_path / "new"))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["ca.pem", "cert.pem", "key.pem"]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()} == {0o600}
    subprocess.run(["openssl", "verify", "-CAfile", "ca.pem", "cert.pem"], cwd=tmp_path / "new", check=True)
