# SPDX-License-Identifier: Apache-2.0
"""Turns settings into words of the tracers' command lines, which the tracers check themselves."""
import hashlib
import json
import os
import re
import subprocess
import sys

from ansible.module_utils.skbfleet_names import Refused
from ansible.module_utils.skbfleet_once import once
from ansible.module_utils.skbfleet_settings import FILTER, POINTS, PREFIX

PROGRAMS = {"drop_monitor": "multi_protocol_drop_monitor.py", "datapath_tracing": "packet_datapath_tracing.py"}
PATIENCE = 60  # s
REQUIRE_DROPS = "--require-point=skb.drop"
STACK_OF_DROPS = "--stack=skb.drop"  # which the drop monitor takes in any case
NAMED = re.compile(PREFIX + "[a-z_]+")
QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")


def options(pairs, settings):
    """Return the settings as options; each is one word, so that no value can be taken for an option."""
    words = []
    for name, option in pairs:
        value = settings.get(name)
        if value is True:
            words.append("--" + option)
        elif isinstance(value, list):
            words.extend("--%s=%s" % (option, item) for item in value)
        elif value not in (None, False):
            words.append("--%s=%s" % (option, value))
    return words


def _drops_elsewhere(words, follow):
    """Return how the datapath tracer leaves drops to the drop monitor, which cannot know of those that it follows."""
    left_out = "--exclude-point=skb.drop"
    if left_out in words:
        return []
    return ["--only-followed=skb.drop"] if follow else [left_out]


def tracer_arguments(settings):
    """Return for each tracer the words of its command line that say what to record.

    The points are the datapath tracer's; the drop monitor takes them when it runs alone. Each drop is recorded once.
    """
    arguments = {tracer: options(FILTER, settings) for tracer in settings["tracers"]}
    last = "datapath_tracing" if "datapath_tracing" in arguments else "drop_monitor"
    words = options(POINTS, settings)
    if len(arguments) == 2:
        if REQUIRE_DROPS in words:
            words.remove(REQUIRE_DROPS)
            arguments["drop_monitor"].append(REQUIRE_DROPS)
        words = [word for word in words if word != STACK_OF_DROPS]
        words += _drops_elsewhere(words, settings["follow"])
    arguments[last] += words
    if last == "datapath_tracing" and settings.get("nearest") is False:    # a case by itself does not say
        arguments[last].append("--no-nearest")
    return arguments


def ask_tracer(program, arguments, duration):
    """Let the tracer itself check its options; it looks at nothing of this machine for that.

    Returns what a host needs beside them: expressions are compiled here, where libpcap is.
    """
    command = [sys.executable, program, "--check-options", "--duration=%g" % duration] + arguments
    environment = dict(os.environ, SKBTRACE_NAMES=PREFIX, PYTHONDONTWRITEBYTECODE="1")
    try:
        answer = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise Refused("%sfilter or %sinner_filter took more than %d s to be read: no name server answers for a name in "
                      "it; give the address instead" % (PREFIX, PREFIX, PATIENCE)) from None
    except OSError as error:
        raise Refused("%spoints and the other lists are too long for a command line: %s"
                      % (PREFIX, error.strerror)) from error
    if answer.returncode:
        said = answer.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise Refused(said[-1].split("error: ", 1)[-1])
    return answer.stdout.decode("ascii").splitlines()


def ask_once(program, arguments, duration, kept):
    """Let the tracer check options as ask_tracer() does, once for all hosts that have the same ones.

    kept: a directory of this run's alone, where what a tracer said is kept.
    """
    asked = hashlib.sha256(json.dumps([program, duration, arguments]).encode()).hexdigest()
    answer = once(os.path.join(kept, "options-%s.json" % asked), lambda: _answer(program, arguments, duration))
    if "refused" in answer:
        raise Refused(answer["refused"])
    return answer["words"]


def _answer(program, arguments, duration):
    try:
        return {"words": ask_tracer(program, arguments, duration)}
    except Refused as refusal:
        return {"refused": str(refusal)}


def check_arguments(settings, tools, doubtful, refusals, kept):
    """Return for each tracer all words of its command line, or None if it refuses any.

    A tracer tells one thing at a time, so it is asked again without what it refused until it is content. doubtful:
    names without prefix of what was refused before, whose absence explains what is missing now; refusals: gets the
    sentences; kept: see ask_once.
    """
    tried, doubtful, before = dict(settings), set(doubtful), ""
    while tried["tracers"]:
        try:
            arguments = tracer_arguments(tried)
            for tracer, words in arguments.items():
                words += ask_once(os.path.join(tools, PROGRAMS[tracer]), words, tried["duration"], kept)
            return None if before else arguments
        except Refused as refusal:
            sentence = str(refusal)
        named = [one[len(PREFIX):] for one in NAMED.findall(QUOTED.sub("", sentence)) if one[len(PREFIX):] in tried]
        if not doubtful.intersection(named):
            refusals.append(sentence)
        if not named or sentence == before:
            return None
        before = sentence
        for name in named:
            doubtful.update(_leave_out(tried, name, sentence))
    return None


def _leave_out(settings, name, sentence):
    """Take a value, or the one in a list that a sentence is about, out of the settings; return what is in doubt now."""
    value = settings[name]
    if name == "duration":
        settings[name] = 1.0
    elif isinstance(value, list):
        settings[name] = [one for one in value if repr(one) not in sentence]
        if len(settings[name]) == len(value):
            settings[name] = []
    else:
        settings[name] = None
    return [] if isinstance(value, list) else [name]
