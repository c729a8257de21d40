# SPDX-License-Identifier: Apache-2.0
"""Makes up case files of which each has one mistake, always the same ones for a seed.

A kind returns (text of the file, names of which one has to be in the refusal).
"""
import datetime
import json
import random
import string
from collections.abc import Callable

Bad = tuple[str, list[str]]

GOOD = {"case_title": "Pings get lost", "case_ticket": "NET-4711", "capture_protocol": "tcp",
        "capture_src": "192.0.2.1", "capture_duration": 5}
WHOLE = ["capture_case", "-e @FILE"]  # how a file is called that cannot be read at all
TEXTS = ["case_title", "case_author", "capture_src", "capture_dst", "capture_netns", "capture_src_port", "capture_vlan"]
LISTS = ["capture_interfaces", "capture_points", "capture_profile", "capture_stacks", "capture_fields", "case_next"]
FLAGS = ["capture_bidirectional", "capture_follow", "capture_sample_drops"]
NAMES = [*TEXTS, *LISTS, *FLAGS, "capture_duration", "capture_filter", "capture_protocol", "capture_excluded_points"]
NOT_OF_A_CASE = ["capture_everything", "capture_run_id", "capture_remote_dir", "capture_tracer_python", "capture_yes",
                 "capture_max_duration", "capture_accept_load", "capture_case", "case_file", "reproduce_command",
                 "ansible_connection", "ansible_ssh_common_args", "become", "hosts", "tasks", "merge_python"]


def lines_of(values: dict) -> str:
    """Return values as YAML that stands on one line each, with what cannot be printed escaped."""
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in values.items())


def _with(rng: random.Random, name: str, value: object) -> Bad:
    """A good case but for one value, which may stand under a host, too."""
    if name.startswith("capture_") and rng.random() < 0.3:
        return lines_of({**GOOD, "capture_hosts": {"hv-a": {name: value}}}), [name]
    good = [(key, one) for key, one in GOOD.items() if key != name]
    good.insert(rng.randint(0, len(good)), (name, value))
    return lines_of(dict(good)), [name]


def wrong_type(rng: random.Random) -> Bad:
    """A mapping for a text, a text for a number, …"""
    kind = rng.randrange(4)
    if kind == 0:
        return _with(rng, rng.choice(TEXTS), rng.choice([[1, 2], {"a": 1}, True, [], {}]))
    if kind == 1:
        return _with(rng, rng.choice(LISTS), rng.choice([{"a": 1}, [["x"]], [{}], [True], [None], True]))
    if kind == 2:
        return _with(rng, rng.choice(FLAGS), rng.choice(["maybe", 7, [1], {"a": 1}, "truee", 0.5]))
    return _with(rng, "capture_duration", rng.choice(["long", [5], {"s": 5}, True, "5s", "5,0"]))


def out_of_range(rng: random.Random) -> Bad:
    """Of the right type, and too large or too small."""
    name, values = rng.choice([
        ("capture_src_port", [65536, -1, "1-65536", "9-8", 10 ** 20]), ("capture_vlan", [4095, -1, 10 ** 9]),
        ("capture_duration", [0, -1, 86401, 3601, 10 ** 30]), ("capture_sample", [0, 1001, -5]),
        ("capture_max_records", [0, -1, 10 ** 13]), ("capture_max_rate", [0, -1, 10 ** 13]),
        ("capture_max_bytes", [0, 1, -1, 10 ** 16]), ("capture_protocol", [256, -1, "999"]),
        ("capture_src", ["192.0.2.256", "192.0.2.0/33", "2001:db8::/129", "1.2.3"]),
        ("capture_fields", [[f"sk_buff.x{one}" for one in range(9)]]),
        ("case_expires", ["2027-02-30", "0000-01-01", "2027-13-01"]),
        ("case_title", ["x" * 201]), ("case_hosts", [["x" * 101]]), ("case_next", [["x" * 501]])])
    return _with(rng, name, rng.choice(values))


def unknown(rng: random.Random) -> Bad:
    """A name that nobody declared."""
    word = "".join(rng.choices(string.ascii_lowercase, k=rng.randint(3, 12)))
    name = rng.choice(["capture_zz", "case_zz", "zz"]) + word
    return _with(rng, name, rng.choice([1, "x", [], None]))


def misspelt(rng: random.Random) -> Bad:
    """A name of which a letter is missing, twice there or another."""
    name = rng.choice(NAMES)
    at = rng.randrange(len("capture_") + 1, len(name)) if name.startswith("capture_") else len(name) - 1
    wrong = rng.choice([name[:at] + name[at + 1:], name[:at] + name[at] * 2 + name[at + 1:],
                        name[:at] + "q" + name[at + 1:], name + "s" if not name.endswith("s") else name[:-1]])
    return _with(rng, wrong if wrong not in NAMES else wrong + "x", "x")


def not_of_a_case(rng: random.Random) -> Bad:
    """What the site sets, or Ansible."""
    return _with(rng, rng.choice(NOT_OF_A_CASE), rng.choice([True, "/tmp/skbfleet", "touch x", 3]))


def twice(rng: random.Random) -> Bad:
    """A name that is there twice."""
    name = rng.choice(list(GOOD))
    return lines_of(GOOD) + lines_of({name: rng.choice([GOOD[name], "udp", 1])}), [name]


def no_yaml(rng: random.Random) -> Bad:
    """What no reader of YAML takes, or reads as anything but one mapping."""
    broken = rng.choice(["capture_dst: [a, b", "capture_dst: {a: b", 'capture_dst: "a', "capture_dst: 'a", "a: b: c",
                         "\tcapture_dst: 1", "capture_dst: @a", "capture_dst: `a", 'capture_dst: "\\q"', "%TAG",
                         "--- \n---\na: 1", "capture_dst 1\nx", "- a", "? ? ?", "]", "}", "capture_dst: |\nx\n y",
                         "[" * 300, "*x", "capture_dst: !<", "capture_dst: %x"])
    before = lines_of(dict(list(GOOD.items())[:rng.randint(1, len(GOOD))]))
    return before + broken + "\n", WHOLE


def no_mapping(rng: random.Random) -> Bad:
    """YAML, but no case."""
    return rng.choice(["", "- a\n", "capture_src\n", "12\n", "null\n", "[]\n", "---\n", "# x\n"]), ["capture_case"]


def hostile(rng: random.Random) -> Bad:
    """Values that mean something to a shell, a command line or a file system."""
    word = rng.choice(["; touch x", "$(touch x)", "`touch x`", "--run-dir=/etc", "-h", "../../etc/passwd", "| nc e 1",
                       "%s%s%n", "' OR 1=1 --", "x\nERROR forged", "!!python/object/apply:os.system", "\\x1b[2J"])
    name = rng.choice(["capture_src", "capture_dst", "capture_protocol", "capture_dst_port", "capture_vlan",
                       "capture_max_records", "capture_duration", "case_expires"])
    if rng.random() < 0.3:
        name, word = rng.choice(["capture_points", "capture_profile", "capture_fields", "case_hosts"]), [word]
    return _with(rng, name, word)


def template(rng: random.Random) -> Bad:
    """What Ansible would evaluate."""
    word = rng.choice(["{{ lookup('pipe', 'touch x') }}", "{% set x = 1 %}", "a {{ b }} c", "{# x #}", "{{"])
    name = rng.choice([*TEXTS, *LISTS, "case_ticket", "case_hosts", "capture_filter"])
    return _with(rng, name, [word] if name in LISTS else word)


def unprintable(rng: random.Random) -> Bad:
    """Characters that steer a terminal, or are none."""
    character = rng.choice(["\x1b[2J", "\0", "\x07", "\u202e", "\x9b31m", "\x7f", "\u2028", "\ud800"])
    name = rng.choice(["case_title", "case_next", "capture_src", "capture_points", "capture_netns", "capture_filter"])
    if rng.random() < 0.2:
        return lines_of(GOOD) + f"capture_dst: a{rng.choice(chr(27) + chr(0) + chr(7))}b\n", WHOLE
    return _with(rng, name, ["x" + character] if name in LISTS else "x" + character)


def alias(rng: random.Random) -> Bad:
    """Anchors, aliases and tags: what YAML has beyond data."""
    word = rng.choice(["&a [x]", "*a", "&a x", "[&a x, *a]", "!x y", "!!python/object:os.system x", "!!binary YQ==",
                       "!!set {a}", "!!timestamp 2027-01-01", "!vault x", "!unsafe x", "=", "!!int x", "!!float y",
                       "!!bool z", "{<<: {a: b}}"])
    return lines_of(GOOD) + f"capture_dst: {word}\n", ["capture_dst", *WHOLE]


def huge(rng: random.Random) -> Bad:
    """More than anybody needs."""
    word = rng.choice(["9" * 5000, "0x" + "f" * 5000, "x" * 5000, "[" + "x," * 600 + "x]", "a" * 70000, "1e999999999",
                       "[[[[[[[x]]]]]]]", "-" + "9" * 4400, "0b" + "1" * 20000, '"' + "\\n" * 5000 + '"'])
    name = rng.choice(["capture_dst", "capture_max_records", "capture_duration", "capture_vlan"])
    text = lines_of({key: value for key, value in GOOD.items() if key != name})
    return text + f"{name}: {word}\n", [name, *WHOLE]


def contradicting(rng: random.Random) -> Bad:
    """Values that are good by themselves."""
    values, names = rng.choice([
        ({"capture_src": "192.0.2.1", "capture_dst": "2001:db8::1"}, ["capture_dst"]),
        ({"capture_protocol": "icmp", "capture_dst_port": 443}, ["capture_dst_port"]),
        ({"capture_protocol": "arp", "capture_src_port": 1}, ["capture_src_port"]),
        ({"capture_follow": True, "capture_sample": 10}, ["capture_follow"]),
        ({"capture_sample_drops": True}, ["capture_sample_drops"]),
        ({"capture_required_points": ["dev.rx"], "capture_excluded_points": ["dev.rx"]}, ["capture_excluded_points"]),
        ({"capture_stacks": ["dev.tx"], "capture_excluded_points": ["dev.tx"]}, ["capture_excluded_points"]),
        ({"capture_tracers": []}, ["capture_tracers"]),
        ({"case_hosts": ["hv-b"], "capture_hosts": {"hv-a": {"capture_dst": "192.0.2.9"}}}, ["capture_hosts"]),
        ({"case_hosts": ["hv-z"]}, ["case_hosts"]), ({"case_hosts": ["hv-c"]}, ["case_hosts"]),
        ({"capture_hosts": {"hv_a": {}}}, ["capture_hosts"])])
    if not names[0].startswith("case_") and "capture_hosts" not in values and rng.random() < 0.3:
        return lines_of({**GOOD, "capture_hosts": {"hv-a": values}}), names
    return lines_of({**GOOD, **values, "capture_duration": rng.randint(1, 60)}), names


def expired(rng: random.Random) -> Bad:
    """A case of yesterday or before."""
    today = datetime.datetime.now(datetime.UTC).date()
    last = today - datetime.timedelta(days=rng.randint(1, 5000))
    return lines_of({**GOOD, "case_expires": str(last)}), ["case_expires"]


KINDS: dict[str, Callable[[random.Random], Bad]] = {kind.__name__: kind for kind in (
    wrong_type, out_of_range, unknown, misspelt, not_of_a_case, twice, no_yaml, no_mapping, hostile, template,
    unprintable, alias, huge, contradicting, expired)}


def make(kind: str, count: int, seed: int, case: bool = True) -> list[Bad]:
    """Return so many bad files of a kind, each another; case: they may say of themselves what a case is about."""
    rng, found = random.Random(f"{kind} {seed}"), {}
    for _ in range(50 * count):
        text, names = KINDS[kind](rng)
        if not case:
            text = "".join(line for line in text.splitlines(True) if not line.startswith("case_"))
        if case or not any(name.startswith("case_") for name in names):
            found.setdefault(text, names)
        if len(found) == count:
            break
    return list(found.items())
