# SPDX-License-Identifier: Apache-2.0
"""What is in the way of a capture on a host, and what to do about it, in plain words made from the host's answer."""
import re

from ansible.module_utils.skbfleet_foreign import shown

# what a failed task says -> what that means ({} is what it says), what to do
FAILURES = (
    (r"requires a minimum of Python|SyntaxError",
     "its Python is too old for this Ansible",
     "set ansible_python_interpreter to a newer Python there, or use ansible-core 2.16, which takes Python 3.6"),
    (r"interpreter|python\S*: (not found|No such file)|No python",
     "Ansible finds no Python there: {}", "install python3 there, or set ansible_python_interpreter to where it is"),
    (r"sudo|become|password|privilege|\bsu:|doas|account is",
     "Ansible cannot become root there: {}",
     "log in as root, allow sudo without a password, or give the password (--ask-become-pass)"),
    (r"No space left|Disk quota", "its disk is full: {}", "make room on it, and in /tmp"),
)

# what the tracer says -> what to do; {do} is the tracer's own advice
ADVICE = (
    (r"has no module bcc", "{do}, or run playbooks/prereqs.yml, or set capture_tracer_python to a Python with bcc"),
    (r"cannot be used", "install bcc and its library from the same source, or run playbooks/prereqs.yml"),
    (r"must run as root", "let Ansible become root there"),
    (r"MiB free", "make room there, or set capture_remote_dir to a directory on another disk"),
    (r"must be a directory that belongs to|may own or change",
     "look at who made it, and remove it or set capture_remote_dir to another directory"),
    (r"^capture_\w+ is ", "correct this variable for this host"),
    (r"neither BTF", "{do}"),
    (r"did not answer within", "try again when it is less busy, or raise capture_arm_timeout"),
    (r"could not compile", "install a newer bcc, or report this with the file preflight.json"),
)

ANSIBLES = r"(Task failed: )?(Missing|Incorrect) \S+ password"     # words of Ansible's own that need advice
NOT_REACHED = "it cannot be reached"


def one_line(text):
    """Return what a task said as one line, without Ansible's beginning and ssh's end, and not endless."""
    return shown(re.sub(r"^Task failed: |Shared connection to \S+ closed\.", "", str(text)), 300).rstrip(".")


def obstacle(what, do):
    """Return what is in the way of a capture, and what to do about it."""
    return {"what": what, "do": do}


def of_failure(answer):
    """Return the obstacle that made a task fail on a host before our code could run there."""
    said = [one_line(answer.get(key) or "") for key in ("module_stderr", "module_stdout", "msg")]
    # the shell's own words tell more than Ansible's advice about them
    detail = [text for text in said if text][0] if any(said) else "no reason was given"
    for pattern, what, do in FAILURES:
        if re.search(pattern, detail) or re.search(pattern, said[2]):
            return obstacle(what.format(detail), do)
    return obstacle("it could not be asked: " + detail, "run this again with -vvv and look at what the host says")


def explained(failure):
    """Return why a task failed, and what to do if our code could not run; "" if nothing tells."""
    if failure.get("module_stderr") or failure.get("module_stdout") or re.match(ANSIBLES, str(failure.get("msg"))):
        return sentence([of_failure(failure)])
    return shown(re.sub(r"^Task failed: ", "", str(failure.get("msg") or "")))


def of_error(error):
    """Return the obstacle that a tracer's sentence names."""
    what, _colon, cure = error.partition(": install ")
    own = "install " + cure if cure else "look at what the tracer says"
    for pattern, do in ADVICE:
        if re.search(pattern, error):
            return obstacle(what, do.format(do=own))
    return obstacle(what, own)


def of_run(name):
    """Return the obstacle that another run is."""
    return obstacle("the run %s is in progress there" % name,
                    "wait for its end, or, if its controller is gone, bring it home with playbooks/collect.yml "
                    "-e capture_run_id=%s" % name)


def of_connection(words, lost):
    """Return the obstacle that a connection is; words: what became of it, lost: the answer that tells of it."""
    said = one_line(lost.get("msg", ""))
    return obstacle("%s: %s" % (words, said), "check ansible_user and its key" if "denied" in said else
                    "check its address, its ssh daemon and the network in between")


def obstacles(answer, contact=None, run_id=None):
    """Return what is in the way of a capture on a host, most important first; an empty list if nothing is.

    answer: of skbfleet_info; contact: of skbfleet_reach, if it was asked first; run_id: of the run to come, so that
    only a run of this name is in the way, else any run in progress.
    """
    for result, words in ((contact or {}, NOT_REACHED), (answer, "the connection to it was lost")):
        if result.get("lost"):
            return [of_connection(words, result)]
    if contact and "clock_difference_ns" not in contact:
        return [of_failure(contact)]
    if "facts" not in answer:
        return [of_failure(answer)]
    found = [of_error(answer["error"])] if answer["error"] else []
    if run_id is None:
        return found + [of_run(name) for name, state in sorted(answer["runs"].items()) if state == "running"]
    state = answer["runs"].get(run_id)
    if state == "running":
        found.insert(0, of_run(run_id))
    elif state:
        found.insert(0, obstacle("records of an earlier run %s wait there" % run_id,
                                 "choose another capture_run_id, or bring them home with playbooks/collect.yml "
                                 "-e capture_run_id=%s" % run_id))
    return found


def sentence(found):
    """Return obstacles as one sentence."""
    return "; ".join("%(what)s, do this: %(do)s" % one for one in found)
