# SPDX-License-Identifier: Apache-2.0
"""A connection to a hypervisor that somebody else rules: it answers what the script says, and else runs things here.

The environment variable HOSTILE_SCRIPT names a JSON file: {host: {question: answer}}. A question is `id` (who is logged
in, and the clock), `look` (what the tracers have counted), a module's name, or a module's name and state with a colon
between. An answer is an object that the module returns, text that comes in place of one, {"lost": text}: the connection
breaks with these words, {"broken": text}: Ansible itself fails with them, or "honest": the module is run.
"""
import json
import os
import re

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = """
    name: hostile
    short_description: a hypervisor that lies
    description: Answers from a script.
    author: The skbfleet authors
    extends_documentation_fragment: [connection_pipelining]
"""
MODULE = re.compile(rb"skbfleet_(capture|info|locate)\b")
STATE = re.compile(rb"state\W+(prepared|armed|started|finished|absent)\b")


class Connection(Local):
    """The lying host."""

    transport = "hostile"
    has_pipelining = True

    def _script(self):
        with open(os.environ["HOSTILE_SCRIPT"], encoding="utf-8") as handle:
            return json.load(handle).get(self._play_context.remote_addr, {})

    def _question(self, cmd, in_data):
        text = (in_data or b"") + (cmd if isinstance(cmd, bytes) else cmd.encode())
        if b"id -u; date" in text:
            return ["id"]
        if b"date +%s%N; cat" in text:
            return ["look"]
        found = MODULE.search(text)
        if not found:
            return []
        name, state = found.group(0).decode(), STATE.search(text)
        return ([name + ":" + state.group(1).decode()] if state else []) + [name]

    def exec_command(self, cmd, in_data=None, sudoable=True):
        """Answer from the script; run what it does not speak of."""
        script, questions = self._script(), self._question(cmd, in_data)
        for question in questions:
            answer = script.get(question)
            if answer == "honest":
                return super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
            if isinstance(answer, dict) and "lost" in answer:
                raise AnsibleConnectionFailure(answer["lost"])
            if isinstance(answer, dict) and "broken" in answer:
                raise AnsibleError(answer["broken"])
            if isinstance(answer, str):
                return 0 if question in ("id", "look") else 1, answer.encode(), b""
            if answer is not None:
                return int(bool(answer.get("failed"))), json.dumps(answer).encode(), b""
        if questions:
            raise AnsibleError("the script does not speak of %s" % questions)
        return super().exec_command(cmd, in_data=in_data, sudoable=sudoable)

    def fetch_file(self, in_path, out_path):
        """Hand over the bundle that the script names."""
        if not in_path.endswith("/bundle/bundle.tar.gz"):
            raise AnsibleError("the host was allowed to choose what is fetched: %r" % in_path)
        bundle = self._script().get("fetch")
        super().fetch_file(bundle or in_path, out_path)
