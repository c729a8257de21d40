# SPDX-License-Identifier: Apache-2.0
"""The fleet of a seed: hosts, VMs, wires, copies, and what goes wrong."""
import numpy as np

from .features import Dice
from .machines import VM, Fault, Host, LossyWire


class Fleet:
    """Made by the dice."""

    def __init__(self, dice: Dice, duration: float) -> None:
        self.duration = duration
        self.notes: list[str] = []
        self.hosts: list[Host] = []
        self.vms: list[VM] = []
        self.faults: list[Fault] = []
        self.wires: list[LossyWire] = []
        self.tunnel = ""
        rng = dice.stream("fleet")
        self._hosts(dice, int(rng.choice([1, 2, 3, 4, 5], p=[0.05, 0.45, 0.25, 0.15, 0.1])))
        self._vms(rng)
        self._speeds(rng)
        self._copies(dice)
        self._faults(dice)

    def others(self, host: Host) -> list[Host]:
        """Return all hosts but one."""
        return [other for other in self.hosts if other is not host]

    def _hosts(self, dice: Dice, count: int) -> None:
        self.hosts = [Host("hv-" + "abcde"[number], number) for number in range(count)]
        two = dice.on("ecmp", 0.4)
        for host in self.hosts:
            host.uplinks = [host.device("eth%d" % number, "phy") for number in range(2 if two else 1)]
            host.bond = two and dice.stream("bond").random() < 0.5
            if host.bond:
                host.device("bond0", "bond")
        if dice.on("tunnel", 0.35):
            self.tunnel = str(dice.stream("tunnel").choice(["vxlan", "geneve"]))
            for host in self.hosts:
                host.device(self.tunnel_device, "tunnel")

    @property
    def tunnel_device(self) -> str:
        """The name of each host's tunnel device."""
        return "%s0" % self.tunnel

    def _vms(self, rng: np.random.Generator) -> None:
        per_host = [int(rng.integers(1, 4)) for _ in self.hosts]
        if len(self.hosts) == 1:
            per_host[0] = max(2, per_host[0])
        for host, many in zip(self.hosts, per_host, strict=True):
            for number in range(many):
                tap = host.device("vnet%d" % number, "vnet")
                host.taps[tap] = VM(len(self.vms), host, tap)
                self.vms.append(host.taps[tap])

    def _speeds(self, rng: np.random.Generator) -> None:
        # s that a wire takes, by pair of hosts and direction
        self.latency = {(one.name, two.name): float(rng.uniform(15e-6, 250e-6)) for one in self.hosts
                        for two in self.hosts}
        self.jitter = float(rng.uniform(1e-6, 40e-6))
        for host in self.hosts:
            host.software_gso = bool(rng.random() < 0.4)
            host.gro = int(rng.choice([1, 4, 16]))
            host.delay = float(rng.uniform(1e-6, 10e-6))

    def _copies(self, dice: Dice) -> None:
        rng = dice.stream("copies")
        self.switch_floods: set[VM] = set()   # VMs whose address the switch between the hosts does not know
        if dice.on("flood", 0.4):
            for host in self.hosts:
                host.floods = {vm for vm in self.vms if rng.random() < 0.4}
                host.refuses = bool(rng.random() < 0.5)
            if not self.tunnel:
                self.switch_floods = {vm for vm in self.vms if rng.random() < 0.3}
        if dice.on("mirror", 0.3):
            host = self.hosts[int(rng.integers(len(self.hosts)))]
            role = str(rng.choice(["phy", "vnet", "veth"]))
            host.mirror = (str(rng.choice(sorted(host.taps))), host.device("mirror0", role))
            self.notes.append("mirror on %s: all of %s to mirror0 (%s)" % (host.name, host.mirror[0], role))
        self.duplication = float(rng.uniform(0.005, 0.05)) if dice.on("dup", 0.4) else 0.0
        self.reordering = float(rng.uniform(0.005, 0.1)) if dice.on("reorder", 0.4) else 0.0
        if dice.on("migrate", 0.3) and len(self.hosts) > 1:
            self._migration(rng)

    def _migration(self, rng: np.random.Generator) -> None:
        vm = self.vms[int(rng.integers(len(self.vms)))]
        host, _ = vm.at(0)
        other = self.others(host)[int(rng.integers(len(self.hosts) - 1))]
        tap = other.device("vnet%d" % len(other.taps), "vnet")
        other.taps[tap] = vm
        vm.home.append((float(self.duration * rng.uniform(0.3, 0.7)), other, tap))
        self.notes.append("%s migrates from %s to %s %s at %.3f s" % (vm.name, host.name, other.name, tap,
                                                                      vm.home[1][0]))

    def _faults(self, dice: Dice) -> None:
        rng = dice.stream("faults")
        kinds = []
        if dice.on("drop", 0.7):
            kinds += ["drop"] * int(rng.integers(1, 4))
        if dice.on("silent", 0.25):
            kinds.append("silent")
        self.faults = [self._fault(rng, kind) for kind in kinds]
        if dice.on("wire", 0.6) and len(self.hosts) > 1:
            for _ in range(int(rng.integers(1, 3))):
                one, two = rng.choice(len(self.hosts), 2, replace=False)
                self.wires.append(LossyWire(self.hosts[one].name, self.hosts[two].name, _share(rng),
                                            *self._stretch(rng)))

    def _fault(self, rng: np.random.Generator, kind: str) -> Fault:
        host = self.hosts[int(rng.integers(len(self.hosts)))]
        stage = str(rng.choice(["rx", "qdisc", "tun", "tunnel"])) if kind == "drop" else "rx"
        if stage == "tunnel" and not self.tunnel:
            stage = "tun"
        names = {"rx": [*host.taps, *host.uplinks], "qdisc": host.uplinks, "tun": list(host.taps),
                 "tunnel": [self.tunnel_device]}[stage]
        in_filter = rng.random() < 0.5
        function, reason = {"rx": ("nf_hook_slow", 5) if in_filter else ("br_handle_frame_finish", 2),
                            "qdisc": ("tbf_enqueue", 78), "tun": ("tun_net_xmit", 77),
                            "tunnel": ("vxlan_xmit", 2)}[stage]
        flows = {int(one) for one in rng.integers(0, 8, 3)} if rng.random() < 0.4 else None
        return Fault(host.name, stage, str(rng.choice(names)), _share(rng), *self._stretch(rng), kind, function,
                     reason, flows)

    def _stretch(self, rng: np.random.Generator) -> tuple[float, float]:
        """Return from when to when something is wrong."""
        if rng.random() < 0.5:
            return -1.0, self.duration + 1.0
        begin = rng.uniform(0, self.duration * 0.8)
        return float(begin), float(begin + rng.uniform(0.05, 0.8))


def _share(rng: np.random.Generator) -> float:
    """Return which share of the packets does not get through."""
    return float(rng.choice([0.01, 0.05, 0.2, 1.0], p=[0.3, 0.4, 0.2, 0.1]))
