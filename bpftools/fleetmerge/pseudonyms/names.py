# SPDX-License-Identifier: Apache-2.0
"""Names of one run, numbered in their order, so that what depends on the order stays as it is: host-1, dev-2, ns-3."""
import re
from collections.abc import Iterable

# what kernels and installers call devices, by themselves
_USUAL = re.compile(r"(lo|eth|en[ops]|ens|eno|enp|vnet|veth|tap|tun|br|bond|team|vxlan|geneve|gre|wlan)\d{0,4}"
                    r"(np?\d{1,2}|s\d{1,2}(f\d)?)?(\.\d{1,4})?\Z", re.ASCII)


class Names:
    """Pseudonyms of one kind of name."""

    def __init__(self, word: str, names: Iterable[str], usual: bool = False) -> None:
        """word: what they begin with; usual: whether names that say nothing stay."""
        known = sorted(set(names))
        self._own = {name: name if not name or usual and _USUAL.match(name) else "%s-%d" % (word, number)
                     for number, name in enumerate(known, 1)}

    def of(self, name: str) -> str:
        """Return a name's own one."""
        return self._own[name]

    def __contains__(self, name: str) -> bool:
        return name in self._own
