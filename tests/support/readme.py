# SPDX-License-Identifier: Apache-2.0
"""What the README says, to be tried as it stands there."""
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def sql(words: str, run: Path) -> str:
    """Return the one query in which these words are, for a run's directory."""
    (found,) = [block for block in README.read_text().split("```sql\n")[1:] if words in block.split("```")[0]]
    return found.split(";\n```")[0].replace("captures/latest", str(run))
