# SPDX-License-Identifier: Apache-2.0
"""The list of cases: a reason, what provokes it, and how many packets it costs."""
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .pair import Pair


@dataclass(frozen=True)
class Me:
    """The addresses and the port by which a case's packets are known from others'."""

    number: int

    @property
    def v4(self) -> str:
        return f"10.77.1.{self.number}"

    @property
    def v6(self) -> str:
        return f"fd77::1:{self.number:x}"

    @property
    def port(self) -> int:
        return 20000 + self.number

    @property
    def mac(self) -> str:
        return f"02:00:00:77:01:{self.number:02x}"

    def lost(self, record: Mapping[str, Any]) -> bool:
        """Whether a record is of a packet of this case: itself, or what it carries."""
        packets = [record["packet"]]
        while "inner" in packets[-1]:
            packets.append(packets[-1]["inner"])
        known = {packet.get(name) for packet in packets for name in ("src", "dst", "src_port", "dst_port")}
        return bool((known | set(record.get("mac", {}).values())) & {self.v4, self.v6, self.port, self.mac})


@dataclass(frozen=True)
class Case:
    """One way to lose packets; provoke returns how many are lost, None for one."""

    reason: str
    provoke: Callable[[Pair, Me], int | None]

    @property
    def name(self) -> str:
        return f"{self.reason}-{self.provoke.__name__}"


CASES: list[Case] = []


def case(reason: str) -> Callable[[Callable[[Pair, Me], int | None]], Callable[[Pair, Me], int | None]]:
    """Put a function on the list."""
    def add(provoke: Callable[[Pair, Me], int | None]) -> Callable[[Pair, Me], int | None]:
        CASES.append(Case(reason, provoke))
        return provoke
    return add
