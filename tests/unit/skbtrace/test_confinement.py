# SPDX-License-Identifier: Apache-2.0
"""What a tracer is held to is read from the kernel's files, of either version of control groups."""
import pathlib

import pytest

from skbtrace.host import confinement

UNIT = "/system.slice/skbfleet-r-drop_monitor.service"
VERSION_2 = {f"cg{UNIT}/memory.max": "268435456\n", f"cg{UNIT}/cpu.max": "150000 100000\n"}
VERSION_1 = {f"cg/memory{UNIT}/memory.limit_in_bytes": "268435456\n", f"cg/cpu{UNIT}/cpu.cfs_quota_us": "150000\n",
             f"cg/cpu{UNIT}/cpu.cfs_period_us": "100000\n"}
LIMITED = {"unit": "skbfleet-r-drop_monitor.service", "memory_max": 256 << 20, "cpus": 1.5}
FREE = {"unit": "", "memory_max": None, "cpus": None}


@pytest.mark.parametrize(("groups", "files", "told"), [
    (f"0::{UNIT}\n", VERSION_2, LIMITED),
    (f"5:memory:{UNIT}\n4:cpu,cpuacct:{UNIT}\n1:name=systemd:{UNIT}\n", VERSION_1, LIMITED),
    (f"5:memory:{UNIT}\n4:cpu,cpuacct:{UNIT}\n1:name=systemd:{UNIT}\n0::{UNIT}\n", VERSION_1, LIMITED),
    ("0::/user.slice/user-0.slice/session-3.scope\n", {
        "cg/user.slice/user-0.slice/session-3.scope/memory.max": "max\n",
        "cg/user.slice/user-0.slice/session-3.scope/cpu.max": "max 100000\n"}, {**FREE, "unit": "session-3.scope"}),
    ("5:memory:/x\n4:cpu:/x\n", {"cg/memory/x/memory.limit_in_bytes": "9223372036854771712\n",
                                 "cg/cpu/x/cpu.cfs_quota_us": "-1\n", "cg/cpu/x/cpu.cfs_period_us": "100000\n"}, FREE),
    ("0::/\n", {}, FREE),
    ("", {}, FREE),
])
def test_limits_of_the_own_group(tmp_path: pathlib.Path, groups: str, files: dict[str, str], told: dict) -> None:
    for name, text in {"proc/cgroup": groups, "proc/oom_score_adj": "1000\n", **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    read = confinement.read(str(tmp_path / "proc"), str(tmp_path / "cg"))
    assert {name: read[name] for name in told} == told
    assert read["oom_score_adj"] == 1000


def test_it_is_read_of_this_process() -> None:
    assert isinstance(confinement.read()["nice"], int)
