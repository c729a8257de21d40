# SPDX-License-Identifier: Apache-2.0
"""The newest and the oldest Ansible that are supported."""
import pathlib
import sys

import pytest
from support.attack import OLDEST, Attack


@pytest.fixture(params=["newest", "oldest"])
def either(request, tmp_path) -> Attack:
    """An attack on one version of Ansible."""
    binaries = pathlib.Path(sys.executable).parent if request.param == "newest" else OLDEST
    if not (binaries / "ansible-playbook").exists():
        pytest.skip("there is no .venv/oldest: `make oldest` makes it, with the oldest Ansible that is supported")
    return Attack(tmp_path, binaries)
