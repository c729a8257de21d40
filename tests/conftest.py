# SPDX-License-Identifier: Apache-2.0
"""The namespace lab, for all tests that need it: brought up once if it is not there, and left as it was found."""
import os
from collections.abc import Iterator

import pytest
from support.lab import Lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab with (at least) two hypervisors, its VMs knowing each other."""
    assert os.geteuid() == 0, "the lab needs root: its tests make network namespaces and load BPF programs"
    fixture = Lab()
    found = fixture.status()["running"]
    fixture.up()
    fixture.settle()
    yield fixture
    if not found:
        fixture.down()
