#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Gather what a site without internet needs into one archive, DIRECTORY/skbfleet-kit-VERSION.tar.

What cannot be had is named in the kit's README and on stderr, and is no error: a kit for the others is of use.
"""
import hashlib
import pathlib
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from functools import partial

from collection import COLLECTION, NAME, NAMESPACE, ROOT, VERSION, build

PYTHONS = ("3.11", "3.12", "3.13")      # of a controller
BCC = "python3-bpfcc"

# Releases of hypervisors: the kit's folder, as /etc/os-release has it, whose packages, and the release's name there.
RELEASES = (
    ("debian-11", "Debian", "bullseye"),
    ("debian-12", "Debian", "bookworm"),
    ("debian-13", "Debian", "trixie"),
    ("ubuntu-22", "Ubuntu", "jammy"),
    ("ubuntu-24", "Ubuntu", "noble"),
    ("rhel-8", "Red Hat", ""),
    ("rhel-9", "Red Hat", ""),
)
# By whom their packages are signed, and the parts that bcc comes from.
KEYRINGS = {"Debian": "debian-archive-keyring.gpg", "Ubuntu": "ubuntu-archive-keyring.gpg"}
COMPONENTS = {"Debian": "main", "Ubuntu": "main universe"}

SIZE = "| %-11s | %d packages, %d MB |"
GAP = "| %-11s | **missing**: %s |"


class Missing(Exception):
    """Why something is not in the kit."""


def run(*words: object) -> str:
    """Return what a command prints; Missing with its last line if it fails."""
    done = subprocess.run([str(word) for word in words], text=True, capture_output=True, check=False)
    if done.returncode:
        raise Missing((done.stderr.strip() or "%s failed" % words[0]).splitlines()[-1])
    return done.stdout


def mirror(origin: str) -> str:
    """Return where this machine's apt gets a distribution's packages."""
    found = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: " + origin)
    if not found:
        raise Missing("this kit was made on a machine whose apt knows no mirror of " + origin)
    return found.split()[0]


def apt(directory: pathlib.Path, origin: str, release: str) -> list[str]:
    """Return an apt-get of a release's own, for which nothing is installed, its lists fetched."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    (directory / "status").touch()
    (directory / "sources.list").write_text("deb [signed-by=/usr/share/keyrings/%s] %s %s %s\n" % (
        KEYRINGS[origin], mirror(origin), release, COMPONENTS[origin]))
    options = {"Dir::State": directory, "Dir::State::status": directory / "status", "Dir::Cache": directory / "cache",
               "Dir::Etc::sourcelist": directory / "sources.list", "Dir::Etc::sourceparts": "-",
               "APT::Architecture": "amd64", "APT::Architectures": "amd64", "APT::Install-Recommends": "false",
               "APT::Sandbox::User": "root",
               # a mirror may be a snapshot, whose lists are old on purpose; their signatures are checked all the same
               "Acquire::Check-Valid-Until": "false"}
    command = ["apt-get", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    run(*command, "--error-on=any", "update")
    return command


def installed_by(command: list[str], *what: str) -> set[str]:
    """Return the packages that an apt-get would install for these."""
    lines = run(*command, "--simulate", "install", *what).splitlines()
    return {line.split()[1] for line in lines if line.startswith("Inst ")}


def packages(target: pathlib.Path, work: pathlib.Path, origin: str, release: str) -> None:
    """Download bcc and what it needs beyond a base system, as a repository for apt; raises Missing."""
    if origin == "Red Hat":
        raise Missing("`dnf download --resolve python3-bcc` on a machine of this release fetches them")
    command = apt(work, origin, release)
    base = installed_by(command, "?priority(required)", "?priority(important)")
    target.mkdir(parents=True)
    run("env", "--chdir", target, *command, "download", *sorted(installed_by(command, BCC) - base))
    with (target / "Packages").open("w") as index:
        for path in sorted(target.glob("*.deb")):
            index.write("%sFilename: ./%s\nSize: %d\nSHA256: %s\n\n" % (
                run("dpkg-deb", "--field", path), path.name, path.stat().st_size, sha256(path)))


def wheels(target: pathlib.Path, version: str) -> None:
    """Download the wheels of requirements.txt for one Python, for machines of this one's kind; raises Missing."""
    run(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--requirement",
        ROOT / "requirements.txt", "--dest", target, "--only-binary=:all:", "--python-version", version)


def gathered(kit: pathlib.Path, work: pathlib.Path) -> list[str]:
    """Fill the kit with what comes from elsewhere; returns a line of a table for each part."""
    lines = []
    parts: dict[str, tuple[pathlib.Path, Callable[[pathlib.Path], None]]] = {}
    for name, origin, release in RELEASES:
        parts[name] = kit / "packages" / name, partial(packages, work=work / name, origin=origin, release=release)
    for version in PYTHONS:
        parts["Python " + version] = kit / "wheels" / version, partial(wheels, version=version)
    for name, (target, fetch) in parts.items():
        try:
            fetch(target)
        except Missing as why:
            shutil.rmtree(target, ignore_errors=True)
            lines.append(GAP % (name, why))
            print("%s is missing: %s" % (name, why), file=sys.stderr)
        else:
            files = [path for path in target.iterdir() if path.suffix in (".deb", ".whl")]
            lines.append(SIZE % (name, len(files), sum(path.stat().st_size for path in files) / 1e6))
    return lines


def sha256(path: pathlib.Path) -> str:
    """Return a file's checksum."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def main(directory: pathlib.Path) -> None:
    """Make the kit anew."""
    kit, work = directory / f"skbfleet-kit-{VERSION}", directory / "apt"
    for folder in (kit, work):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "share" / "distribution" / "kit", kit)
    build(directory)
    (kit / "collection").mkdir()
    shutil.copy(directory / f"{NAMESPACE}-{NAME}-{VERSION}.tar.gz", kit / "collection")
    shutil.copy(ROOT / "requirements.txt", kit)
    readme = (kit / "README.md").read_text()
    table = "\n".join(gathered(kit, work))
    (kit / "README.md").write_text(readme.format(version=VERSION, collection=COLLECTION, table=table))
    sums = ["%s  %s\n" % (sha256(path), path.relative_to(kit)) for path in sorted(kit.rglob("*")) if path.is_file()]
    (kit / "SHA256SUMS").write_text("".join(sums))
    with tarfile.open(directory / (kit.name + ".tar"), "w") as tar:     # what is in it is compressed
        tar.add(kit, kit.name)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).absolute())
