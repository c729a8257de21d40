# SPDX-License-Identifier: Apache-2.0
"""A hypervisor's own view of the machine: mounts, host name, process list, and an sshd as its first process.

usage: host.py NAME ADDRESS HOST_KEY AUTHORIZED_KEYS   (prints the pid of the first process, as seen from outside)

Files are shared with the machine, except /proc, /sys, /run, /tmp and /var/tmp; skbfleet's own directory is seen
everywhere. Ending the first process ends them all.
"""
import contextlib
import os
import socket
import sys

import namespaces
from namespaces import mount

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_MOVE, MS_REC, MS_SLAVE = 0x2, 0x4, 0x8, 0x1000, 0x2000, 0x4000, 0x80000
SSHD_DIR = "/run/sshd"  # sshd insists on this directory anyway
PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
OWN_PLACES = ("/tmp", "/var/tmp")
SHELL_STARTUP = os.path.expanduser("~root/.bashrc")

SSHD_CONFIG = """\
ListenAddress {address}
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/authorized_keys
PidFile none
StrictModes no
UsePAM no
UseDNS no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
MaxSessions 100
MaxStartups 100
Subsystem sftp internal-sftp
"""


def mount_own_files() -> None:
    """Give this mount namespace its own /proc, /sys, /run, /tmp and /var/tmp.

    Mounts made outside later still arrive (slave): a namespace added to /run/netns tomorrow is seen here too.
    """
    mount("none", "/", flags=MS_REC | MS_SLAVE)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)  # /sys/class/net is this namespace's
    for kind, place in (("tracefs", "/sys/kernel/tracing"), ("bpf", "/sys/fs/bpf")):
        with contextlib.suppress(OSError):  # not every kernel has them
            mount(kind, place, kind)
    project = os.open(PROJECT, os.O_PATH)
    for place in OWN_PLACES:
        mount("tmpfs", place, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    if PROJECT.startswith(tuple(place + "/" for place in OWN_PLACES)):  # a checkout there is needed here, too
        os.makedirs(PROJECT)
        mount("/proc/self/fd/%d" % project, PROJECT, flags=MS_BIND)
    os.close(project)
    os.mkdir("/tmp/netns")
    mount(namespaces.NETNS_DIR, "/tmp/netns", flags=MS_BIND | MS_REC)
    mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    os.mkdir(namespaces.NETNS_DIR)
    mount("/tmp/netns", namespaces.NETNS_DIR, flags=MS_MOVE)
    os.rmdir("/tmp/netns")
    # what a person's shell does first, slowly and with locks that a killed lab would leave, is no hypervisor's affair
    if os.path.exists(SHELL_STARTUP):
        mount("/dev/null", SHELL_STARTUP, flags=MS_BIND)


def write_sshd_files(address: str, host_key: str, authorized_keys: str) -> None:
    """Put sshd's configuration and keys into its own /run."""
    os.mkdir(SSHD_DIR, 0o755)
    contents = {"config": SSHD_CONFIG.format(address=address, directory=SSHD_DIR),
                "host_key": host_key, "authorized_keys": authorized_keys}
    for name, content in contents.items():
        with open(os.open(os.path.join(SSHD_DIR, name), os.O_WRONLY | os.O_CREAT, 0o600), "w") as handle:
            handle.write(content)


def become_first_process(name: str, address: str, host_key: str, authorized_keys: str) -> None:
    """Set up what only a process inside can, then turn into sshd."""
    mount_own_files()
    socket.sethostname(name)
    write_sshd_files(address, host_key, authorized_keys)
    os.chdir("/")
    os.execv("/usr/sbin/sshd", ["/usr/sbin/sshd", "-D", "-e", "-f", os.path.join(SSHD_DIR, "config")])


def main() -> None:
    """Enter the namespaces, start the first process, print its pid."""
    name, address, host_key_file, authorized_keys_file = sys.argv[1:]
    with open(host_key_file) as handle:
        host_key = handle.read()
    with open(authorized_keys_file) as handle:
        authorized_keys = handle.read()
    namespaces.enter_netns(namespaces.path_of(name))
    namespaces.unshare(namespaces.NEWNS | namespaces.NEWUTS | namespaces.NEWIPC | namespaces.NEWPID)
    pid = os.fork()
    if pid:
        print(pid, flush=True)
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    become_first_process(name, address, host_key, authorized_keys)


if __name__ == "__main__":
    main()
