# SPDX-License-Identifier: Apache-2.0
"""Two machines, each with an Open vSwitch bridge and a guest behind it, joined by an underlay.

           guest vm-a                                     guest vm-b
    192.168.32.10 | virtio-net                     virtio-net | 192.168.32.20
                  | vhost-net, tap vnet0                      | vhost-net, tap vnet0
    hv-a        br0 (Open vSwitch) == eth1 ===== eth1 ==    br0        hv-b
                     vxlan | geneve: tunnel0 between 10.78.0.1 and 10.78.0.2; vlan: eth1 is a trunk, tag 100
"""

from concurrent.futures import ThreadPoolExecutor

from . import EmulationError, paths
from .machine import Machine

KINDS = ("vxlan", "geneve", "vlan")
DISTRIBUTION = "bookworm"
GUESTS = {"hv-a": ("vm-a", "192.168.32.10"), "hv-b": ("vm-b", "192.168.32.20")}
UNDERLAY = {"hv-a": "10.78.0.1", "hv-b": "10.78.0.2"}
CLOCKS = {"hv-a": 0, "hv-b": 7}  # seconds ahead of this machine; nothing synchronises them
TAG = 100


def machines(distribution: str = DISTRIBUTION) -> list[Machine]:
    """Return the two machines, not started."""
    (paths.cache() / "machines").mkdir(exist_ok=True)
    return [_machine("hv-a", "hv-b", 0, distribution), _machine("hv-b", "hv-a", 1, distribution)]


def _machine(name: str, peer: str, number: int, distribution: str) -> Machine:
    own, other = (paths.cache() / "machines" / f"{host}.wire" for host in (name, peer))
    underlay = ["-netdev", f"dgram,id=wire,local.type=unix,local.path={own},remote.type=unix,remote.path={other}",
                "-device", f"virtio-net-pci,netdev=wire,romfile=,mac=52:54:00:78:00:0{number + 1}"]  # fmt: skip
    return Machine(name, distribution, "cluster", paths.FIRST_PORT + 1 + number, 2048, CLOCKS[name], underlay)


def up(kind: str, distribution: str = DISTRIBUTION) -> list[Machine]:
    """Bring both machines up to the first ping between their guests; what runs already is kept."""
    both = machines(distribution)
    for machine in both:
        machine.start()
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda machine: _set_up(machine, kind), both))
        list(pool.map(_wait_for_guest, both))
    return both


def alone(kind: str = "vxlan", distribution: str = DISTRIBUTION) -> Machine:
    """Bring one of the machines up, with its guest."""
    machine = machines(distribution)[1]
    machine.start()
    _set_up(machine, kind)
    return machine


def _set_up(machine: Machine, kind: str) -> None:
    """Make bridge and underlay, start the guest."""
    machine.wait()
    machine.run("\n".join(["set -e", *_switch(machine.name, kind), *_guest(machine.name, kind)]))


def _switch(name: str, kind: str) -> list[str]:
    """Return the commands that make the bridge; run again, they change the kind of underlay."""
    peer = next(host for host in UNDERLAY if host != name)
    commands = ["ip link set eth1 mtu 1500 up", "ovs-vsctl --if-exists del-br br0",
                "ovs-vsctl add-br br0 -- set-fail-mode br0 standalone", "ip link set br0 up",
                "ip addr flush dev eth1"]  # fmt: skip
    if kind == "vlan":
        return [*commands, f"ovs-vsctl add-port br0 eth1 -- add-port br0 vnet0 tag={TAG}"]
    return [*commands, f"ip addr add {UNDERLAY[name]}/24 dev eth1",
            f"ovs-vsctl add-port br0 vnet0 -- add-port br0 tunnel0 -- set interface tunnel0 type={kind} "
            f"options:remote_ip={UNDERLAY[peer]} options:key=100"]  # fmt: skip


def _guest(name: str, kind: str) -> list[str]:
    guest, address = GUESTS[name]
    number = list(GUESTS).index(name) + 1
    mtu = 1500 if kind == "vlan" else 1400
    return [f"echo 'GUEST=address={address} mtu={mtu} hostname={guest}' > /run/skbfleet-guest.env",
            f"echo MAC=52:54:00:32:00:0{number} >> /run/skbfleet-guest.env",
            "systemctl is-active -q guest || systemctl start guest"]  # fmt: skip


def _wait_for_guest(machine: Machine) -> None:
    """Wait until this machine's guest reaches the other guest."""
    other = next(address for name, (_, address) in GUESTS.items() if name != machine.name)
    answer = machine.run(f"timeout 240 sh -c 'until guest ping -c 1 -W 1 {other} >/dev/null 2>&1; do sleep 0.2; done'",
                         check=False)  # fmt: skip
    if answer.returncode:
        console = machine.run("tail -n 20 /run/skbfleet-guest.console; systemctl status guest", check=False).stdout
        raise EmulationError(f"the guest of {machine.name} does not reach {other}; its last words:\n{console}")
