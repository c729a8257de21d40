# SPDX-License-Identifier: Apache-2.0
"""A Dask cluster as the executor of a merge: scheduler and workers speak TLS, with certificates made for the run.

    python -m fleetmerge.cluster scheduler ADDRESS CERTIFICATES               (in bpftools/)
    python -m fleetmerge.cluster worker ADDRESS CERTIFICATES COUNT MEMORY

Both run until they are ended, or the certificates are removed; a worker that dies is started anew. COUNT 0 is one for
each CPU. Scheduler, workers and merger see the run's directory
under the same path, and have the same code.
"""
import asyncio
import os
import signal
import sys
from concurrent.futures import Executor
from typing import Any

from .certificates import AUTHORITY, CERTIFICATE, KEY
from .errors import MergeError
from .memory import KEEP

READY = "ready"    # what scheduler and workers print when they are
_PATIENCE = 30     # s until a scheduler answers
_MISSING = "--scheduler needs the package distributed: pip install -r requirements-mergers.txt"
# no web pages: they would tell anybody what runs here
_SETTINGS = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": [],
             "distributed.comm.require-encryption": True, "distributed.admin.tick.limit": "60s",
             "distributed.worker.daemon": False,
             # nobody looks at what they measure of themselves, up to a hundred times a second
             "distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "1s",
             "distributed.admin.system-monitor.interval": "5s",
             **{"distributed.nanny.pre-spawn-environ." + name: value for name, value in KEEP.items()}}


def _security(certificates: str) -> Any:
    """Return what lets in whoever has the run's certificates, and nobody else."""
    from distributed.security import Security
    authority, certificate, key = (os.path.join(certificates, name) for name in (AUTHORITY, CERTIFICATE, KEY))
    return Security(tls_ca_file=authority, tls_client_cert=certificate, tls_client_key=key,
                    tls_scheduler_cert=certificate, tls_scheduler_key=key, tls_worker_cert=certificate,
                    tls_worker_key=key, require_encryption=True)


class Cluster:
    """A connection to a scheduler; a context manager."""

    def __init__(self, address: str, certificates: str) -> None:
        """address: tls://HOST:PORT; certificates: the directory that certificates.make() wrote."""
        try:
            import dask
            from distributed import Client
        except ImportError as error:
            raise MergeError(_MISSING) from error
        missing = [name for name in (AUTHORITY, CERTIFICATE, KEY)
                   if not os.path.isfile(os.path.join(certificates, name))]
        if missing:
            raise MergeError("%s has no %s, without which %s lets nobody in" % (certificates, missing[0], address))
        dask.config.set(_SETTINGS)
        try:
            self._client = Client(address, security=_security(certificates), timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise MergeError("the scheduler %s does not let us in: %s" % (address, error)) from error
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            self._client.close()
            raise MergeError("the scheduler %s has no workers" % address) from error
        self.workers = len(self._client.scheduler_info(n_workers=-1)["workers"])

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._client.close()

    def executor(self) -> Executor:
        """Return the cluster as an executor. A part whose worker died is done again, by another."""
        executor: Executor = self._client.get_executor(pure=False)
        return executor


async def _schedule(address: str, certificates: str) -> None:
    """Run a scheduler until it is ended."""
    from distributed import Scheduler
    async with Scheduler(host=address, security=_security(certificates), dashboard=False,
                         dashboard_address="127.0.0.1:0") as scheduler:
        print(READY, flush=True)
        await _until_ended(certificates, scheduler)


async def _work(address: str, certificates: str, count: int, memory: str) -> None:
    """Run workers of a scheduler, one thread each, until they are ended."""
    from distributed import Nanny
    security = _security(certificates)
    nannies = [Nanny(address, nthreads=1, memory_limit=memory, security=security, dashboard=False, protocol="tls",
                     dashboard_address="127.0.0.1:0") for _ in range(count or len(os.sched_getaffinity(0)))]
    await asyncio.gather(*nannies)
    print(READY, flush=True)
    await _until_ended(certificates, *nannies)


async def _until_ended(certificates: str, *servers: Any) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    watched = asyncio.ensure_future(_until_removed(certificates, ended))
    finished = [asyncio.ensure_future(server.finished()) for server in servers]
    await asyncio.wait([asyncio.ensure_future(ended.wait()), *finished], return_when=asyncio.FIRST_COMPLETED)
    watched.cancel()
    await asyncio.gather(*(server.close() for server in servers))


async def _until_removed(certificates: str, ended: asyncio.Event) -> None:
    while os.path.exists(os.path.join(certificates, KEY)):
        await asyncio.sleep(1)
    ended.set()


def main(what: str, address: str, certificates: str, *more: str) -> None:
    """Run a scheduler or workers."""
    import dask
    dask.config.set(_SETTINGS)
    if what == "scheduler":
        asyncio.run(_schedule(address, certificates))
    else:
        asyncio.run(_work(address, certificates, int(more[0]), more[1]))


if __name__ == "__main__":
    main(*sys.argv[1:])
