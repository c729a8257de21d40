# SPDX-License-Identifier: Apache-2.0
"""A state of skbfleet_capture on a host to which the tracers were pushed, and this with them: skbfleet_there.py."""
import json
import os
import sys

from ansible.module_utils.skbfleet_states import answer


def main():
    """Do what the parameters (JSON) ask for."""
    os.umask(0o077)
    print(json.dumps(answer(json.loads(sys.argv[1]), False)))


if __name__ == "__main__":
    main()
