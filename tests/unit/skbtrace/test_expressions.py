# SPDX-License-Identifier: Apache-2.0
"""Filter expressions: what the tracers make of them is what libpcap says, and what cannot be had is refused."""
import re
import shutil

import pytest
from expressions import trial
from support.bundles import ethernet, ipv4, tcp

from skbtrace import options
from skbtrace.errors import InputError
from skbtrace.programs import classic, expressions, filters, libpcap

WEB = "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0"
REFUSED = [
    (["--filter", "tcp prot 443"], "--filter is 'tcp prot 443': can't parse filter expression: syntax error"),
    (["--filter", "ip and ip6"], "--filter is 'ip and ip6': expression rejects all packets"),
    (["--filter", "inbound"], "--filter is 'inbound': it asks for what is no byte of the packet (inbound, "),
    (["--filter", "ifindex 3"], "--filter is 'ifindex 3': it asks for what is no byte of the packet"),
    (["--filter", "ip6 protochain 6"], "--filter is 'ip6 protochain 6': it has a loop, as protochain needs one"),
    (["--filter", "tcp and greater 1500"], "--filter is 'tcp and greater 1500': it asks for the packet's length"),
    (["--filter", "len < 100"], "--filter is 'len < 100': it asks for the packet's length, and the kernel joins and"),
    (["--filter", "geneve or tcp port 80"], "--filter is 'geneve or tcp port 80': it has geneve, or the like, before"),
    (["--filter", "ip broadcast"], "--filter is 'ip broadcast': netmask not known"),
    (["--filter", ""], "--filter is '': it must be an expression as tcpdump takes it, in ASCII, of 1 to 2000 charact"),
    (["--filter", "host b\u00e4r"], "--filter is 'host b\u00e4r': it must be an expression as tcpdump takes it"),
    (["--filter", "tcp or " * 400 + "udp"], "--filter is 'tcp or tcp"),
    (["--inner-filter", "tcp prot 443"], "--inner-filter is 'tcp prot 443': can't parse filter expression"),
    (["--filter-code", WEB], "--filter-code needs --filter, of which it is the program"),
    (["--filter", "tcp", "--filter-code", "1"], "--filter-code is '1': it must be the number of instructions and each"),
]
PROGRAMS = [
    ("", "it must be the number of instructions"),
    ("0", "it must be the number of instructions"),
    ("2,6 0 0 1", "it must be the number of instructions"),
    ("1,6 0 0 1,", "it must be the number of instructions"),
    ("1,6 0 0 -1", "it must be the number of instructions"),
    ("1,6 0 0 1; return 1", "it must be the number of instructions"),
    (",".join(["513"] + ["6 0 0 0"] * 513), "at most 512"),
    ("1,6 0 0 4294967296", "instruction 0 is none of classic BPF"),
    ("2,21 256 0 1,6 0 0 1", "instruction 0 is none of classic BPF"),
    ("2,65535 0 0 1,6 0 0 1", "instruction 0 is none of classic BPF"),
    ("2,56 0 0 1,6 0 0 1", "instruction 0 is none of classic BPF"),    # a load of eight bytes
    ("2,96 0 0 16,6 0 0 1", "instruction 0 is none of classic BPF"),   # a 17th word of memory
    ("2,21 0 1 1,6 0 0 1", "instruction 0 jumps behind the end"),
    ("2,5 0 0 4294967295,6 0 0 1", "it has a loop"),
    ("1,0 0 0 1", "it does not end with a return"),
    ("2,96 0 0 1,6 0 0 1", "it has geneve, or the like, before an or"),
    ("2,52 0 0 0,6 0 0 1", "it divides by 0"),
    ("2,100 0 0 32,6 0 0 1", "it shifts by more than 31 bits"),
    ("2,40 0 0 4294963204,6 0 0 1", "it asks for what is no byte of the packet"),
    ("2,128 0 0 0,6 0 0 1", "it asks for the packet's length"),
]
needs_libpcap = pytest.mark.skipif(not libpcap.is_there(), reason="libpcap is not installed")
needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")


def parse(*arguments: str) -> filters.Filter:
    """Parse as the datapath tracer does."""
    return options.parse(options.make_parser("tracer", "what", "examples", "nic"), list(arguments))[1]


@needs_libpcap
@pytest.mark.parametrize(("arguments", "sentence"), REFUSED, ids=[" ".join(words)[:40] for words, _ in REFUSED])
def test_refused_in_one_sentence(arguments: list[str], sentence: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse(*arguments)
    assert str(refusal.value).startswith(sentence)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("text", "why"), PROGRAMS, ids=[text[:30] for text, _ in PROGRAMS])
def test_programs_are_data_that_is_checked(text: str, why: str) -> None:
    with pytest.raises(classic.ProgramError, match=why.replace("(", r"\(")):
        classic.parse(text)


def test_a_host_without_libpcap_takes_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise libpcap.Missing("libpcap is not installed")
    monkeypatch.setattr(libpcap, "library", missing)
    with pytest.raises(InputError) as refusal:
        parse("--filter", "tcp port 443")
    assert "it takes libpcap to read it, which this machine has not: install libpcap0.8 (Debian)" in str(refusal.value)
    chosen = parse("--filter", "tcp  port\n443", "--filter-code", WEB, "--inner-filter", "udp", "--inner-filter-code",
                   "1,6 0 0 0")
    shown = filters.describe(chosen)
    elsewhere = filters.describe(parse("--filter", "tcp port 443", "--filter-code", "1,6 0 0 1", "--inner-filter",
                                       "udp", "--inner-filter-code", "1,6 0 0 0"))
    assert re.match(r"[0-9a-f]{12}\Z", shown["filter_program"])
    assert shown.pop("filter_program") != elsewhere.pop("filter_program")
    assert shown == elsewhere
    assert shown == {"filter": "tcp port 443", "inner_filter": "udp"}
    assert filters.program_options(chosen) == ["--filter-code=" + WEB, "--inner-filter-code=1,6 0 0 0"]
    assert filters.defines(chosen, None) == {
        "FILTER_EXPRESSION": "LOAD(a, 1, 9u); JUMP(a == 6u, at_2, at_3); at_2: ANSWER(1u); at_3: ANSWER(0u);",
        "FILTER_INNER_EXPRESSION": "ANSWER(0u);"}


@needs_libpcap
def test_what_libpcap_compiles_comes_back_from_its_text() -> None:
    program = libpcap.compile_expression("tcp port 443 and host 10.0.0.1")
    assert classic.parse(classic.text_of(program)) == program
    assert expressions.is_program("--filter-code=" + classic.text_of(program))
    assert not expressions.is_program("--filter=tcp")


@needs_gcc
@needs_libpcap
@pytest.mark.parametrize("seed", [11, 12])
def test_verdicts_are_those_of_libpcap(seed: int) -> None:
    outcome = trial.run(seed, 60, 400)
    assert outcome.differing == []
    assert outcome.alike < 30
    for name in ("fits", "does not", "carried: fits", "carried: does not", "undecided"):
        assert outcome.verdicts[name] > 100, name


@needs_gcc
@needs_libpcap
def test_the_trial_would_see_a_wrong_load(monkeypatch: pytest.MonkeyPatch) -> None:
    true = classic.to_c
    monkeypatch.setattr(classic, "to_c", lambda program: true(program).replace("LOAD(a, 2, 12u)", "LOAD(a, 2, 14u)"))
    assert trial.run(11, 20, 50).differing


@needs_gcc
@needs_libpcap
def test_what_is_in_a_page_is_read_or_left_open() -> None:
    """Payload of a segment that a guest hands over in a page: no answer is made up from what cannot be read."""
    frame = ethernet(ipv4("10.0.0.1", "10.0.0.2", tcp(1, 2, payload=600), protocol=6))
    assert trial.verdict("tcp[20] = 0", frame, linear=54) == "not readable"
    assert trial.verdict("tcp[20] = 0", frame, linear=len(frame)) == "fits"
    assert trial.verdict("tcp[700] = 0", frame, linear=54) == "does not"
    assert trial.verdict("tcp port 1", frame, linear=54) == "fits"
