# SPDX-License-Identifier: Apache-2.0
"""The real playbooks against hosts that lie, without a lab and without root: see support/hostile/hostile.py.

    attack = Attack(tmp_path, ansible)
    done = attack.run("capture.yml", {"hv-a": attack.host(**{"skbfleet_capture:finished": attack.word("why")})})
    assert attack.executed() == []
"""
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import time

from support.bundles import Bundle

ROOT = pathlib.Path(__file__).resolve().parents[2]
OLDEST = ROOT / ".venv" / "oldest" / "bin"
FACTS = {"kernel": "6.1", "machine": "x86_64", "btf": True, "headers": False, "cpus": 1, "load": 0.1,
         "free_bytes": 1 << 40}
FILTER = {"capture_src": "192.0.2.1", "capture_duration": 0.1, "capture_start_delay": 0.2}


def sha256(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Attack:
    """One attack: what the hosts say, and what came of it."""

    def __init__(self, directory: pathlib.Path, binaries: pathlib.Path) -> None:
        self.directory, self.binaries = directory, binaries
        self.captures, self.marks = directory / "captures", directory / "marks"
        self.marks.mkdir()

    def word(self, name: str) -> str:
        """Return text that leaves a mark of this name if anything evaluates it as a template."""
        return "{{ lookup('pipe', 'touch %s/%s') }}" % (self.marks, name)

    def executed(self) -> list[str]:
        """Return the names of the words that were evaluated."""
        return sorted(os.listdir(self.marks))

    def host(self, **answers: object) -> dict:
        """Return the script of a host that is honest but for these answers (`__` in a key stands for a colon)."""
        tracers = {"datapath_tracing": {"state": "finished", "why": "", "window": None, "records": 0, "lost": 0,
                                        "bytes": 0}}
        good = {"id": "0\n%d\n" % time.time_ns(), **self.examined(),
                "skbfleet_capture:armed": {"changed": True, "tracers": tracers, "why": "", "commands": {}},
                "skbfleet_capture:started": {"changed": True, "tracers": tracers, "late_by_ns": 0},
                "skbfleet_capture:finished": {"changed": True, "status": "complete", "why": "", "late_by_ns": 0,
                                              "tracers": tracers, "bundle": {}},
                "skbfleet_capture:absent": {"changed": True, "removed": [], "stopped": {}}}
        return {**good, **{key.replace("__", ":"): value for key, value in answers.items()}}

    @staticmethod
    def examined(answer: object = None, **changes: object) -> dict:
        """Return the answers of a host that was looked at, to a preflight and to a push: honest but for the changes."""
        answer = answer or {"changed": False, "facts": FACTS, "error": "", "runs": {}, "trial": {}, **changes}
        return {"skbfleet_info": answer, "skbfleet_capture:prepared": answer}

    def bundle(self, host: str, name: str = "", **manifest: object) -> dict:
        """Pack a bundle as a host would; return the answers that hand it over. name: who does."""
        made = Bundle(host, run_id="r")
        made.manifest.update(manifest)
        place = self.directory / ("bundle-" + (name or host))
        made.write(place)
        archive = place / "bundle.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            for part in ("manifest.json", "records.bin"):
                tar.add(place / "hosts" / host / "datapath_tracing" / part, "datapath_tracing/" + part)
        return self.hand_over(archive)

    def hand_over(self, archive: pathlib.Path, **changes: object) -> dict:
        """Return the answers with which a host hands over an archive."""
        ended = self.host()["skbfleet_capture:finished"]
        ended["bundle"] = {"path": "/x", "bytes": 1, "sha256": sha256(archive)}
        return {"skbfleet_capture__finished": {**ended, **changes}, "fetch": str(archive)}

    def command(self, playbook: str, hosts: dict[str, dict], *words: str, variables: dict | None = None,
                given: dict | None = None) -> tuple[list, dict]:
        """Return (command line, environment); variables are the inventory's, given go to -e."""
        script, inventory = self.directory / "script.json", self.directory / "hosts.json"
        script.write_text(json.dumps(hosts))
        inventory.write_text(json.dumps({"hypervisors": {
            "hosts": {name: {"ansible_host": name} for name in hosts},
            "vars": {"ansible_connection": "hostile", "ansible_become": False,
                     "ansible_python_interpreter": sys.executable, "ansible_remote_tmp": str(self.directory / "remote"),
                     # all are this machine, which has one run of a name in one place
                     "capture_remote_dir": str(self.directory / "{{ inventory_hostname }}" / "skbfleet"),
                     **FILTER, **(variables or {})}}}))
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8",
                       "ANSIBLE_CONNECTION_PLUGINS": str(ROOT / "tests" / "support" / "hostile"),
                       "HOSTILE_SCRIPT": str(script), "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_PIPELINING": "true"}
        extra = {"capture_output_dir": str(self.captures), "capture_run_id": "r", "merge_python": sys.executable,
                 **(given or {})}
        return [self.binaries / "ansible-playbook", ROOT / "playbooks" / playbook, "-i", inventory, "-e",
                json.dumps({key: value for key, value in extra.items() if value is not None}), *words], environment

    def run(self, playbook: str, hosts: dict[str, dict], *words: str, variables: dict | None = None,
            given: dict | None = None) -> subprocess.CompletedProcess:
        """Run a playbook against these hosts, without a terminal."""
        command, environment = self.command(playbook, hosts, *words, variables=variables, given=given)
        return subprocess.run(command, env=environment, cwd=ROOT, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240, check=False)

    def outcome(self) -> dict:
        """What became of each host."""
        return json.loads((self.captures / "r" / "outcome.json").read_text())["hosts"]
