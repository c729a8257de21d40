# SPDX-License-Identifier: Apache-2.0
"""What the merger says when it fails."""
from ansible.module_utils.skbfleet_foreign import shown


def why_failed(status, stderr):
    """Return the merger's own sentence; the end of what it printed if it has none."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    sentences = [line[len("error: "):] for line in lines if line.startswith("error: ")]
    if sentences:
        return shown(sentences[-1])
    return "the merger ended with status %d: %s" % (status, shown(lines[-1]) if lines else "it said nothing")
