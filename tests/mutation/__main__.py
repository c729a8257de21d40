# SPDX-License-Identifier: Apache-2.0
"""Change the merger's decisions one at a time, and see whether the tests find it.

    python -m mutation                           200 mutants; see README.md
    python -m mutation --mutants 50 --seed 7     another sample
    python -m mutation --only outcomes,grounds   of some modules
    python -m mutation --session FILE            keep what was found there; go on with it if it exists

(in tests/, or `make mutation MUTANTS=200 SEED=1`.) It works on a copy of the code, and prints each mutant that no test
kills.
"""
import argparse
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkItem, WorkResult

from .candidates import Mutant, sample, telling

ROOT = Path(__file__).resolve().parents[2]
MERGER = "bpftools/fleetmerge/"
MODULES = ("journey/outcomes.py", "journey/grounds.py", "journey/branches.py", "journey/chains.py", "journey/tally.py",
           "journey/follow.py", "journey/part.py", "journey/settling.py", "journey/judging.py", "journey/turns.py",
           "journey/choosing.py", "journey/tree.py", "journey/trees.py", "journey/joints.py", "journey/evidence.py",
           "journey/keepalives.py", "journey/holes.py", "packet/identity.py", "findings/losses.py")
# those that are quick come first, then those that find most
_QUICK = ("outcomes", "grounds", "trees", "chains", "keepalives", "evidence", "tally", "loss_grounds", "identity",
          "journeys", "losses", "copies")
_SLOW = ("sums", "headers", "index", "trees_shown", "verdict", "products", "conduct")
TESTS = (*("unit/merge/test_%s.py" % name for name in _QUICK), "mutation/test_situations.py",
         *("unit/merge/test_%s.py" % name for name in _SLOW), "unit/merge/test_merge.py::test_the_whole_way")
SECONDS = 120      # after which the tests of a mutant are given up: it hangs, and is found


def main() -> int:
    """Run the command; its exit status is 1 if the tests find something without any mutant."""
    parser = argparse.ArgumentParser(prog="python -m mutation", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=200, help="how many (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="which sample (default 1)")
    parser.add_argument("--only", default="", help="names of modules: outcomes,grounds")
    parser.add_argument("--session", metavar="FILE", type=Path, help="Cosmic Ray's session")
    options = parser.parse_args()
    known = [Path(module).stem for module in MODULES]
    names = options.only.split(",") if options.only else known
    if strange := sorted(set(names) - set(known)):
        parser.error("no such module: %s; there are %s" % (", ".join(strange), ", ".join(known)))
    with TemporaryDirectory(prefix="mutation-") as scratch:
        session = (options.session or Path(scratch, "session.sqlite")).resolve()
        code = Path(scratch, "code")
        shutil.copytree(ROOT, code, ignore=shutil.ignore_patterns(".*", "captures", "__pycache__"))
        _configure(code, [MERGER + module for module in MODULES if Path(module).stem in names])
        if not session.exists():
            _cosmic_ray(code, "init", "mutation.toml", str(session))
            _choose(code, session, options.mutants, options.seed)
        if subprocess.run(_test_command(), cwd=code).returncode:
            print("the tests do not pass without a mutant")
            return 1
        _cosmic_ray(code, "exec", "mutation.toml", str(session))
        _report(session)
    return 0


def _test_command() -> list[str]:
    return [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider",
            *("tests/" + test for test in TESTS)]


def _configure(code: Path, modules: list[str]) -> None:
    """Write the settings; TOML takes the strings and lists of JSON."""
    settings = {"module-path": modules, "timeout": float(SECONDS), "excluded-modules": [],
                "test-command": " ".join(_test_command()), "distributor.name": "local"}
    lines = ["%s = %s" % (name, json.dumps(value)) for name, value in settings.items()]
    (code / "mutation.toml").write_text("\n".join(["[cosmic-ray]", *lines, ""]))


def _cosmic_ray(code: Path, *words: str) -> None:
    subprocess.run([str(Path(sys.executable).parent / "cosmic-ray"), *words], cwd=code, check=True)


def _mutant(item: WorkItem) -> Mutant:
    (change,) = item.mutations
    return Mutant(str(change.module_path), change.start_pos, change.end_pos, change.operator_name, change.occurrence,
                  item.job_id)


def _choose(code: Path, session: Path, count: int, seed: int) -> None:
    """Leave out all mutants that are not of the sample."""
    with use_db(session, WorkDB.Mode.open) as database:
        mutants = [_mutant(item) for item in database.work_items]
        chosen = {mutant.job for mutant in sample(telling(mutants, code), count, seed)}
        database.set_multiple_results([mutant.job for mutant in mutants if mutant.job not in chosen],
                                      WorkResult(worker_outcome=WorkerOutcome.SKIPPED))


def _report(session: Path) -> None:
    """Print how many were killed of each module, and who survived."""
    killed, tried, survivors = Counter[str](), Counter[str](), []
    with use_db(session, WorkDB.Mode.open) as database:
        for item, result in database.completed_work_items:
            if result.worker_outcome == WorkerOutcome.SKIPPED:
                continue
            mutant = _mutant(item)
            tried[mutant.module] += 1
            killed[mutant.module] += result.test_outcome != TestOutcome.SURVIVED
            if result.test_outcome == TestOutcome.SURVIVED:
                survivors.append((mutant, result.diff or ""))
    for mutant, diff in sorted(survivors):
        changed = [line for line in diff.splitlines()[3:] if line[:1] in "+-"]
        print("\n%s:%d %s\n%s" % (mutant.module, mutant.start[0], mutant.operator, "\n".join(changed)))
    print("\n%-46s killed of tried" % "")
    for module in sorted(tried):
        print("%-46s %6d %8d" % (module, killed[module], tried[module]))
    print("%-46s %6d %8d  %.1f %%" % ("all", killed.total(), tried.total(), 100 * killed.total() / tried.total()))


if __name__ == "__main__":
    sys.exit(main())
