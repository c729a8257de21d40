# SPDX-License-Identifier: Apache-2.0
"""Where the faults' captures are kept, and the score at the end."""
import pathlib
import shutil

import pytest
from faults.truth import Loss


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep", metavar="DIR", help="keep each fault's bundles and products below this directory")
    parser.addoption("--tcp-bytes", metavar="N", type=int, default=1_000_000_000,
                     help="what the TCP test sends; 8500000000 took 10 seconds")


@pytest.fixture(scope="session")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Where the captures go."""
    kept = request.config.getoption("--keep")
    return pathlib.Path(kept) if kept else tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="session")
def true_losses() -> dict[str, list[Loss]]:
    """The truth about each fault that was injected in this session."""
    return {}


@pytest.fixture
def run(runs: pathlib.Path, request: pytest.FixtureRequest) -> pathlib.Path:
    """The directory of this test's capture; its name is the run's id."""
    test, _, case = request.node.name.rstrip("]").partition("[")
    directory = runs / test / case if case else runs / test
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the score."""
    reports = [report for outcome in ("passed", "failed", "skipped") for report in
               terminalreporter.getreports(outcome)]
    faults = [dict(report.user_properties) for report in reports if dict(report.user_properties).get("fault")]
    tried = [fault for fault in faults if "located" in fault]
    if not faults:
        return
    located = sum(fault["located"] for fault in tried)
    false = sum(fault["false"] for fault in tried)
    terminalreporter.section("score")
    terminalreporter.write_line(f"{located} of {len(tried)} faults located, with the exact count; "
                                f"{false} false losses; {len(faults) - len(tried)} not tried on this kernel")
