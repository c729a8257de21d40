# SPDX-License-Identifier: Apache-2.0
"""The KVM guest inside a machine: the machine's own kernel and a busybox initrd, without a disk.

Its address comes from the kernel command line. It answers ping, echoes TCP on port 7, discards TCP on port 9,
serves HTTP on ports 80 and 443, and runs the commands that it reads from its second serial port.
"""

import shutil
from pathlib import Path

from . import initrd

MODULES = ["virtio_pci", "virtio_net"]
INIT = """
for word in $(cat /proc/cmdline); do case $word in address=*|mtu=*|hostname=*) eval "$word";; esac; done
hostname $hostname
ip link set lo up
ip link set eth0 mtu $mtu up
ip addr add $address/24 dev eth0
echo hello from $hostname > /tmp/index.html
httpd -p 80 -h /tmp
httpd -p 443 -h /tmp
nc -ll -p 7 -e cat &
nc -ll -p 9 -e dd of=/dev/null bs=65536 2>/dev/null &
stty -F /dev/ttyS1 raw -echo
exec </dev/ttyS1 >/dev/ttyS1 2>&1
echo guest is ready >/dev/console
while read -r line; do sh -c "$line" </dev/null; echo "exit $?"; done
"""
PLACE = "usr/local/lib/skbfleet"  # in the machine
CONTROL = '''#!/usr/bin/python3
"""Run a command in this machine's guest: guest COMMAND. Prints its output, ends with its status."""
import os
import socket
import sys
import time


def is_ready():
    """Whether the guest reads its serial port: what is sent before would block the port."""
    with open("/run/skbfleet-guest.console", errors="replace") as console:
        return "guest is ready" in console.read()


def main():
    """Wait for the guest, pass over what is left of a command before, and hand it the command."""
    while not is_ready():
        time.sleep(0.2)
    link = socket.socket(socket.AF_UNIX)
    link.connect("/run/skbfleet-guest.serial")
    link.settimeout(3)
    asked, answer, expected = 0, b"", b""
    while not expected or expected not in answer:
        try:
            answer += link.recv(4096) if expected else b""
        except socket.timeout:
            expected = b""
        if not expected:
            asked += 1
            word = b"here-%d-%d" % (os.getpid(), asked)
            link.sendall(b"echo " + word + b"\\n")
            expected = word + b"\\nexit 0\\n"
    link.settimeout(None)
    link.sendall(" ".join(sys.argv[1:]).encode() + b"\\n")
    for line in link.makefile(errors="replace"):
        word, _, status = line.rstrip().partition(" ")
        if word == "exit" and status.isdigit():
            return int(status)
        sys.stdout.write(line)
        sys.stdout.flush()
    return "the guest is gone"


sys.exit(main())
'''
SERVICE = f"""[Unit]
Description=KVM guest
[Service]
EnvironmentFile=/run/skbfleet-guest.env
ExecStartPre=/sbin/modprobe -a kvm_amd vhost_net
ExecStartPre=-/sbin/ip tuntap add dev vnet0 mode tap
ExecStartPre=/sbin/ip link set dev vnet0 up
ExecStart=/usr/bin/qemu-system-x86_64 -name guest -machine pc -accel kvm -cpu qemu64,cx16=off -smp 1 -m 256 \\
  -nodefaults -display none -no-reboot -kernel /{PLACE}/vmlinuz -initrd /{PLACE}/guest.initrd \\
  -append "console=ttyS0 quiet mitigations=off tsc=reliable ${{GUEST}}" \\
  -netdev tap,id=n0,ifname=vnet0,script=no,downscript=no,vhost=on \\
  -device virtio-net-pci,netdev=n0,mac=${{MAC}},romfile= \\
  -serial file:/run/skbfleet-guest.console \\
  -serial unix:/run/skbfleet-guest.serial,server=on,wait=off
"""


def install(root: Path, release: str, kernel: Path) -> None:
    """Put the guest's kernel, initrd, service and control command into a machine's root directory."""
    place = root / PLACE
    place.mkdir(parents=True)
    shutil.copy(kernel, place / "vmlinuz")
    initrd.build(place / "guest.initrd", root, release, MODULES, INIT)
    (root / "etc/systemd/system/guest.service").write_text(SERVICE)
    command = root / "usr/local/bin/guest"
    command.write_text(CONTROL)
    command.chmod(0o755)
