# SPDX-License-Identifier: Apache-2.0
"""Writes an initrd (cpio, format newc) of busybox, an init script and some modules in the order they load."""

import lzma
import subprocess
from pathlib import Path

from . import EmulationError

PREAMBLE = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /etc /mnt
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module; done
"""


def build(target: Path, root: Path, release: str, modules: list[str], init: str) -> None:
    """Write the initrd `target` for kernel `release`, whose modules and busybox lie under `root`; `init` is shell.

    A module whose name ends in `?` is left out where the kernel does not have it.
    """
    archive = _Archive()
    archive.directory("bin")
    archive.directory("modules")
    archive.file("bin/busybox", (root / "bin/busybox").read_bytes(), 0o755)
    files = _with_dependencies(root / "lib/modules" / release, modules)
    for path in files:
        archive.file(f"modules/{_plain(path)}", _uncompressed(path))
    archive.file("modules/order", "\n".join(_plain(path) for path in files).encode())
    archive.file("init", (PREAMBLE + init).encode(), 0o755)
    target.write_bytes(archive.finish())


def _plain(path: Path) -> str:
    return path.name.split(".ko")[0] + ".ko"


def _uncompressed(path: Path) -> bytes:
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq", str(path)], check=True, capture_output=True).stdout
    return path.read_bytes()


def _with_dependencies(directory: Path, wanted: list[str]) -> list[Path]:
    """Return the files of the wanted modules, each after those it needs; built-in ones are left out."""
    needs = {}
    for line in (directory / "modules.dep").read_text().splitlines():
        name, _, rest = line.partition(":")
        needs[Path(name).name.split(".ko")[0].replace("-", "_")] = [name, *reversed(rest.split())]
    builtin = (directory / "modules.builtin").read_text()
    files: list[Path] = []
    for entry in wanted:
        module = entry.rstrip("?")
        if f"/{module}.ko" in builtin or f"/{module.replace('_', '-')}.ko" in builtin:
            continue
        if module not in needs and entry.endswith("?"):
            continue
        if module not in needs:
            raise EmulationError(f"the kernel {directory.name} has no module {module}")
        own, *others = needs[module]
        files += [directory / name for name in [*others, own] if directory / name not in files]
    return files


class _Archive:
    """A cpio archive in memory."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def directory(self, name: str) -> None:
        self._entry(name, b"", 0o40755)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        self._entry(name, data, 0o100000 | mode)

    def finish(self) -> bytes:
        self._entry("TRAILER!!!", b"", 0)
        return b"".join(self.parts)

    def _entry(self, name: str, data: bytes, mode: int) -> None:
        encoded = name.encode() + b"\0"
        number = len(self.parts) + 1
        fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0]
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self.parts.append(head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4))
