# SPDX-License-Identifier: Apache-2.0
"""Builds the disk of a machine from Debian packages, and keeps it under a key made of all that went into it."""

import hashlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import EmulationError, architectures, guest, initrd, paths

DISTRIBUTIONS = ("bullseye", "bookworm", "trixie", "sid", "bookworm-arm64", "trixie-arm64")
PACKAGES = [
    "systemd", "systemd-sysv", "udev", "dbus", "kmod", "openssh-server", "python3", "python3-bpfcc",
    "iproute2", "iputils-ping", "nftables", "openvswitch-switch", "ethtool", "procps", "busybox-static",
    "linux-image-cloud-ARCHITECTURE",
]  # fmt: skip
FORMS = {
    "single": [],
    "cluster": ["qemu-system-x86", "seabios"],  # runs a guest
    "headers": ["linux-headers-cloud-ARCHITECTURE", "bpfcc-tools"],  # the kernel's headers, and tools that need them
}
BOOT_MODULES = ["virtio_pci", "virtio_blk", "ext4", "crc32c_generic?", "virtio_net"]
INIT = """
until [ -b /dev/vda ]; do usleep 20000; done
mount -t ext4 /dev/vda /mnt
exec switch_root /mnt /lib/systemd/systemd
"""
UNNEEDED = ["usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*"]
MASKED = [
    "getty@tty1.service", "serial-getty@ttyS0.service", "apt-daily.timer", "apt-daily-upgrade.timer",
    "e2scrub_all.timer", "e2scrub_reap.service", "dpkg-db-backup.timer", "systemd-update-utmp.service",
    "systemd-udev-trigger.service", "systemd-random-seed.service", "systemd-timesyncd.service",
    "systemd-journal-flush.service",
]  # fmt: skip
NETWORK_UNIT = """[Unit]
Description=Management network
DefaultDependencies=no
Before=ssh.service
[Service]
Type=oneshot
ExecStart=/bin/ip link set lo up
ExecStart=/bin/ip addr add 10.0.2.15/24 dev eth0
ExecStart=/bin/ip link set eth0 up
[Install]
WantedBy=sysinit.target
"""
# For ten seconds after boot Open vSwitch takes the number of CPUs for 0 (count_cpu_cores in its lib/ovs-thread.c looks
# again after that time, counted from the boot), and from then on its kernel part has nobody to send a new flow to.
VSWITCHD_UNIT = """[Service]
ExecStartPre=/bin/sh -c 'until read up rest < /proc/uptime && [ $${up%%.*} -ge 10 ]; do sleep 0.1; done'
"""
FILES = {
    "etc/systemd/system/ovs-vswitchd.service.d/when-up.conf": VSWITCHD_UNIT,
    "etc/systemd/system/management-network.service": NETWORK_UNIT,
    "etc/systemd/journald.conf.d/volatile.conf": "[Journal]\nStorage=volatile\n",
    "etc/ssh/sshd_config": "HostKey /etc/ssh/ssh_host_ed25519_key\nUsePAM no\nUseDNS no\nAcceptEnv LANG\n"
    "Subsystem sftp internal-sftp\nMaxStartups 100\n",
    "etc/fstab": "",  # the initrd mounts the root; an entry here would wait for udev
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/hostname": "machine\n",
    "etc/machine-id": "",
}


@dataclass(frozen=True)
class Image:
    """A built image: its directory holds disk.img, vmlinuz, initrd and build.json."""

    directory: Path

    @property
    def disk(self) -> Path:
        return self.directory / "disk.img"

    @property
    def kernel(self) -> Path:
        return self.directory / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.directory / "initrd"

    @property
    def facts(self) -> dict[str, object]:
        return dict(json.loads((self.directory / "build.json").read_text()))


def image(distribution: str, form: str = "single") -> Image:
    """Return the image of a distribution in a form, built now if the cache does not have it."""
    if distribution not in DISTRIBUTIONS:
        raise EmulationError(f"unknown distribution {distribution!r}: one of {', '.join(DISTRIBUTIONS)} is possible")
    key = _key(distribution, form)
    target = paths.cache() / "images" / f"{distribution}-{form}-{key}"
    with paths.lock(f"image-{distribution}-{form}"):
        if not (target / "build.json").exists():
            _build(distribution, form, target)
    return Image(target)


def _key(distribution: str, form: str) -> str:
    """Everything that decides what an image holds: this file, the initrd writer, the guest, the keys."""
    modules = [sys.modules[__name__], architectures, initrd, *([guest] if form == "cluster" else [])]
    sources = [inspect.getsource(module) for module in modules]
    recipe = [distribution, form, *sources, paths.public("access"), paths.public("host")]
    return hashlib.sha256("\0".join(recipe).encode()).hexdigest()[:12]


def mirror() -> str:
    """Return the Debian mirror that this machine's own apt uses; SKBFLEET_DEBIAN_MIRROR overrides it."""
    if os.environ.get("SKBFLEET_DEBIAN_MIRROR"):
        return os.environ["SKBFLEET_DEBIAN_MIRROR"]
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    text = "\n".join(path.read_text() for path in files if path.is_file())
    for line in text.splitlines():
        found = re.match(r"^\s*(?:URIs:|deb\s+(?:\[[^]]*\]\s+)?)\s*(\S+/debian/?)(?:\s|$)", line)
        if found:
            return found.group(1)
    raise EmulationError("no Debian mirror in /etc/apt: set SKBFLEET_DEBIAN_MIRROR to the address of one")


def _build(distribution: str, form: str, target: Path) -> None:
    if os.geteuid() != 0:
        raise EmulationError(f"the image of {distribution} is not built yet, and building it needs root")
    missing = [tool for tool in ("mmdebstrap", "mke2fs") if not shutil.which(tool)]
    if missing:
        raise EmulationError(f"{', '.join(missing)} is missing: the role prereqs installs what emulation needs")
    _report(f"building the {form} image of {distribution}")
    begin = time.monotonic()
    for old in target.parent.glob(f"{distribution}-{form}-*"):
        shutil.rmtree(old)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="building-", dir=target.parent) as scratch:
        root, made = Path(scratch) / "root", Path(scratch) / "image"
        made.mkdir()
        _bootstrap(distribution, PACKAGES + FORMS[form], root)
        release = _take_kernel(root, made)
        initrd.build(made / "initrd", root, release, BOOT_MODULES, INIT)
        if form == "cluster":
            guest.install(root, release, made / "vmlinuz")
        _configure(root)
        _make_disk(root, made / "disk.img")
        facts = {"distribution": distribution, "form": form, "kernel": release, "versions": _versions(root),
                 "seconds": round(time.monotonic() - begin, 1)}  # fmt: skip
        (made / "build.json").write_text(json.dumps(facts, indent=1))
        made.rename(target)
    _report(f"built {target.name} with kernel {release} in {facts['seconds']} s")


def _report(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _bootstrap(distribution: str, packages: list[str], root: Path) -> None:
    architecture = architectures.of(distribution)
    architectures.let_run(architecture)
    wanted = [package.replace("ARCHITECTURE", architecture.debian) for package in packages]
    command = ["mmdebstrap", "--mode=root", "--variant=essential", f"--architectures={architecture.debian}",
               "--dpkgopt=force-unsafe-io", "--dpkgopt=force-confold",
               '--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Languages "none"',
               # a mirror may be a snapshot, whose lists are old on purpose; their signatures are checked all the same
               '--aptopt=Acquire::Check-Valid-Until "false"',
               # initramfs-tools comes with the kernel; we write a smaller initrd of our own
               "--essential-hook=mkdir -p $1/etc/initramfs-tools && "
               "echo update_initramfs=no > $1/etc/initramfs-tools/update-initramfs.conf",
               *[f"--dpkgopt=path-exclude=/{pattern}" for pattern in UNNEEDED],
               f"--include={','.join(wanted)}", architectures.release(distribution), str(root), mirror()]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise EmulationError(f"mmdebstrap of {distribution} failed:\n{done.stdout[-3000:]}")


def _take_kernel(root: Path, made: Path) -> str:
    kernel = max((root / "boot").glob("vmlinuz-*"))
    shutil.copy(kernel, made / "vmlinuz")
    for path in (root / "boot").glob("initrd*"):
        path.unlink()
    return kernel.name.removeprefix("vmlinuz-")


def _configure(root: Path) -> None:
    for old in (root / "etc/ssh").glob("ssh_host_*"):
        old.unlink()
    for name, text in FILES.items():
        _write(root / name, text)
    _write(root / "etc/ssh/ssh_host_ed25519_key", paths.key("host").read_text(), 0o600)
    _write(root / "root/.ssh/authorized_keys", paths.public("access"), 0o600)
    units = root / "etc/systemd/system"
    _link(units / "sysinit.target.wants/management-network.service", "../management-network.service")
    _link(units / "default.target", "/lib/systemd/system/multi-user.target")
    for unit in MASKED:
        _link(units / unit, "/dev/null")


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _make_disk(root: Path, disk: Path) -> None:
    command = ["mke2fs", "-q", "-t", "ext4", "-d", str(root), "-m", "0", "-O", "^has_journal", str(disk), "4G"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _versions(root: Path) -> dict[str, str]:
    """Return the versions of the packages that the results depend on."""
    wanted = ("python3", "python3-bpfcc", "openvswitch-switch", "systemd")
    command = ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f=${Package}=${Version}\n", *wanted]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return dict(line.split("=", 1) for line in lines)
