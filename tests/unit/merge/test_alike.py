# SPDX-License-Identifier: Apache-2.0
"""What is said of many hosts alike is said once."""
from fleetmerge.products.alike import folded

HOSTS = ["hv-%d.lan" % number for number in range(30)]


def late(host: str, seconds: float) -> str:
    return "%s began %.3f s late: packets before that were not seen there." % (host, seconds)


def test_of_many_hosts_the_first_one_is_told() -> None:
    others = ["Nothing was seen on hv-1.lan.", "The clocks of hv-1.lan and hv-2.lan were not compared."]
    said = [others[0], *(late(host, 1.5 + number) for number, host in enumerate(HOSTS)), others[1]]
    more = " The same, with other numbers, of 29 more hosts: %s and 9 others." % ", ".join(HOSTS[1:21])
    assert folded(said, HOSTS) == [others[0], late(HOSTS[0], 1.5) + more, others[1]]


def test_of_few_hosts_each_is_told() -> None:
    said = [late(host, 1) for host in HOSTS[:3]]
    assert folded(said, HOSTS) == said
    assert len(folded([*said, late(HOSTS[3], 1)], HOSTS)) == 1


def test_what_is_not_the_same_is_told() -> None:
    said = ["The data of %s is partial: the disk of %s was full." % (host, host) for host in HOSTS[:4]]
    assert len(folded(said, HOSTS)) == 1
    said = ["The data of %s is partial: %s" % (host, why) for host, why in zip(
        HOSTS, ["its disk was full.", "it was killed.", "it was late.", "it was removed."], strict=False)]
    assert folded(said, HOSTS) == said
    assert folded(said, []) == said and folded([], HOSTS) == []
