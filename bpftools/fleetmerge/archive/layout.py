# SPDX-License-Identifier: Apache-2.0
"""What an archive of a run holds: a tar of plain headers, compressed by zstd, with the run's bundles, what is known of
the run besides, and, last, the checksums of all these, as sha256sum prints them."""
import tarfile

from ..bundle.evidence import EVIDENCE
from ..bundle.find import HOSTS, OUTCOME
from ..bundle.manifest import MANIFEST
from ..errors import MergeError
from ..findings.topology import FILE as TOPOLOGY

SUFFIX = ".tar.zst"
CODEC = "zstd"
CHECKSUMS = "checksums.sha256"
BUNDLE = (MANIFEST, "records.bin", EVIDENCE, "tracer.log")
OWN = (OUTCOME, TOPOLOGY)
BLOCK = tarfile.BLOCKSIZE
MOST_FILES = 10_000
_LONGEST = 100      # bytes of a name


def is_archive(path: str) -> bool:
    """Whether a path names an archive of a run."""
    return path.endswith(SUFFIX)


def check_name(name: str) -> str:
    """Return the run of a member, RUN/FILE or RUN/hosts/HOST/TRACER/FILE; raises MergeError if it is none of these."""
    parts = name.split("/")
    plain = all(part and part.isprintable() and not part.startswith(".") and "\\" not in part
                and len(part.encode("utf-8", "replace")) <= _LONGEST for part in parts)
    known = (len(parts) == 2 and parts[1] in (*OWN, CHECKSUMS)) or (
        len(parts) == 5 and parts[1] == HOSTS and parts[4] in BUNDLE)
    if not plain or not known:
        raise MergeError("%.200r does not belong into the archive of a run" % name)
    return parts[0]
