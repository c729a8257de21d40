# SPDX-License-Identifier: Apache-2.0
"""What Open vSwitch and libvirt know of a host's VMs, from their own commands, where these are installed."""
import json
import os
import re
import shutil
import subprocess
import time
import xml.etree.ElementTree

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CALL_SECONDS = 5
ALL_SECONDS = 20  # for all questions to one program: a host with hundreds of VMs is not worth minutes
_FDB = re.compile(r"^\s*(\S+)\s+(\d+)\s+((?:[0-9a-f]{2}:){5}[0-9a-f]{2})\s+\S+\s*$", re.MULTILINE | re.IGNORECASE)
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", re.IGNORECASE)
_TUNNELS = ("vxlan", "geneve", "gre", "erspan", "lisp", "stt", "bareudp", "gtpu", "ip6gre", "ip6erspan", "srv6")


class Unanswered(Exception):
    """A program is not there, or does not answer; the message says which and why."""


class Program:
    """One optional program of the host, called without a shell and with an end."""

    def __init__(self, name):
        self.path = shutil.which(name, path=PATH)
        self.name = name
        self.end = time.monotonic() + ALL_SECONDS

    def call(self, *words):
        """Return what it prints; raises Unanswered."""
        if not self.path:
            raise Unanswered("%s is not installed" % self.name)
        left = min(CALL_SECONDS, self.end - time.monotonic())
        try:
            done = subprocess.run([self.path] + list(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=max(0.01, left), check=False,
                                  env=dict(os.environ, LC_ALL="C", PATH=PATH))
        except subprocess.TimeoutExpired:
            raise Unanswered("%s did not answer in time" % self.name) from None
        except OSError as error:
            raise Unanswered("%s cannot be run: %s" % (self.name, error.strerror)) from None
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["status %d" % done.returncode]
            raise Unanswered("%s refused: %s" % (self.name, said[-1]))
        return done.stdout.decode("utf-8", "replace")


def read_fdb(text):
    """Return (port, vlan, mac) of each line of `ovs-appctl fdb/show`; the port is a number or LOCAL."""
    return [(port, int(vlan), mac.lower()) for port, vlan, mac in _FDB.findall(text)]


def read_interfaces(text):
    """Return the rows of OVS's table Interface, printed as JSON with name, ofport, type and external_ids."""
    table = json.loads(text)
    rows = []
    for cells in table["data"]:
        row = dict(zip(table["headings"], cells))
        identities = dict(row["external_ids"][1]) if row["external_ids"] else {}
        # ofport is a number, or an empty set
        rows.append({"name": row["name"], "port": str(row["ofport"]) if isinstance(row["ofport"], int) else "",
                     "type": row["type"], "mac": identities.get("attached-mac", "").lower()})
    return rows


def ovs():
    """Return bridge -> {"interfaces": rows, "entries": (interface, vlan, mac) learnt}; raises Unanswered."""
    database, daemon = Program("ovs-vsctl"), Program("ovs-appctl")
    bridges = database.call("--timeout=5", "list-br").split()
    if not bridges:
        return {}
    try:
        rows = read_interfaces(database.call("--timeout=5", "--format=json", "--columns=name,ofport,type,external_ids",
                                             "list", "Interface"))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise Unanswered("ovs-vsctl printed what cannot be read: %s" % error) from error
    found = {}
    for bridge in bridges:
        members = set(database.call("--timeout=5", "list-ifaces", bridge).split())
        interfaces = [row for row in rows if row["name"] in members]
        names = {row["port"]: row["name"] for row in interfaces if row["port"]}
        entries = [(names.get(port, bridge if port == "LOCAL" else "port " + port), vlan, mac)
                   for port, vlan, mac in read_fdb(daemon.call("fdb/show", bridge))]
        found[bridge] = {"interfaces": interfaces, "entries": entries}
    return found


def is_tunnel(row):
    """Whether a row of OVS's table Interface is a tunnel, which has no device of this name in the kernel."""
    return row["type"] in _TUNNELS


def read_domain(text):
    """Return (mac, device) of each network interface in a domain's XML; the device is "" where it has none."""
    try:
        tree = xml.etree.ElementTree.fromstring(text)
    except xml.etree.ElementTree.ParseError as error:
        raise Unanswered("virsh printed what cannot be read: %s" % error) from error
    found = []
    for interface in tree.findall("./devices/interface"):
        mac, target = interface.find("mac"), interface.find("target")
        if mac is not None:
            found.append((mac.get("address", "").lower(), "" if target is None else target.get("dev", "")))
    return found


def read_addresses(text):
    """Return (address, mac) of each line of `virsh domifaddr`."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 4 and "/" in words[-1] and _MAC.match(words[1]):
            found.append((words[-1].split("/")[0], words[1].lower()))
    return found


def libvirt():
    """Return [{"domain", "interfaces": (mac, device), "addresses": (address, mac)}] of the running domains.

    Reads only, and asks libvirt's own leases, not the guests. Raises Unanswered.
    """
    virsh = Program("virsh")
    base = ("--readonly", "--connect", "qemu:///system")
    found = []
    for domain in virsh.call(*(base + ("list", "--uuid", "--state-running"))).split():
        try:
            interfaces = read_domain(virsh.call(*(base + ("dumpxml", domain))))
        except Unanswered:
            if time.monotonic() >= virsh.end:
                raise
            continue  # this one ended meanwhile
        try:
            addresses = read_addresses(virsh.call(*(base + ("domifaddr", domain, "--source", "lease"))))
        except Unanswered:  # in a network that is not libvirt's own there are no leases
            addresses = []
        found.append({"domain": domain, "interfaces": interfaces, "addresses": addresses})
    return found
