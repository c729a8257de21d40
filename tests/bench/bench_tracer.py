#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the tracers cost a host: arming, a packet that is rejected, one that is recorded, and draining. As root.

    tests/bench/bench_tracer.py
    tests/bench/bench_tracer.py --seconds 2 --runs 5

Traffic is UDP over loopback, in a network namespace of the benchmark's own. Beside each figure stands what bpftrace
takes for the same job on the same tracepoints.
"""
import argparse
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bpftools")]

from support import bpfstats  # noqa: E402
from support.flood import flood  # noqa: E402

from skbtrace.programs import loader  # noqa: E402

TRACER = ROOT / "bpftools" / "packet_datapath_tracing.py"
PYTHON = "/usr/bin/python3"
TO, PORT = "127.0.0.1", 9999
ROUNDS = 10
FILTER = ["--src", "127.0.0.1", "--dst", TO, "--protocol", "udp", "--dst-port"]
UNLIMITED = ["--max-rate", "10000000"]
FIELDS = ["sk_buff.dev->mtu", "sk_buff.mark", "sk_buff.truesize", "sk_buff.sk->sk_state", "sk_buff.sk->sk_err",
          "sk_buff.dev->features", "sk_buff.csum_start", "skb_shared_info.dataref.counter"]
# the same filter in bpftrace's language, and as much of the packet as it easily prints
BPFTRACE = """
tracepoint:net:netif_receive_skb, tracepoint:net:net_dev_start_xmit {
    $skb = (struct sk_buff *)args->skbaddr;
    $ip = (struct iphdr *)($skb->head + $skb->network_header);
    if ($ip->saddr == 0x0100007f && $ip->daddr == 0x0100007f && $ip->protocol == 17) {
        $udp = (struct udphdr *)($skb->head + $skb->network_header + 20);
        if ($udp->dest == PORT) {
            printf("%lu %s %d %s %d %d %d %d %d\\n", nsecs, comm, pid, $skb->dev->name, $skb->len, $skb->data_len,
                   $skb->mark, $skb->hash, $skb->queue_mapping);
        }
    }
}
"""


def words(fields: list) -> list:
    """The fields as options."""
    return [word for name in fields for word in ("--field", name)]


def send(seconds: float) -> int:
    """Send datagrams as fast as they are taken; returns how many."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as full:
        full.bind((TO, PORT))  # never read: no ICMP error comes back, and every datagram but the first few is dropped
        return flood(TO, PORT, seconds)


def start(arguments: list, cpu: int | None = None, **options: object) -> subprocess.Popen:
    """Start the tracer; it is armed when this returns."""
    process = subprocess.Popen([PYTHON, str(TRACER), *map(str, arguments)], stderr=subprocess.PIPE, text=True,
                               preexec_fn=None if cpu is None else lambda: os.sched_setaffinity(0, {cpu}), **options)
    line = process.stderr.readline()
    assert line.startswith("tracing "), line + process.stderr.read()
    return process


def stop(process: subprocess.Popen) -> str:
    """End the tracer as Ctrl-C does and return its summary."""
    process.send_signal(2)
    _output, errors = process.communicate(timeout=60)
    return errors.splitlines()[-1]


def row(what: str, *figures: str) -> None:
    """Print one line of the table."""
    print(f"{what:<58}", *(f"{figure:>18}" for figure in figures), flush=True)


def bench_arming(runs: int) -> None:
    """Program start to armed, and its peak memory until then."""
    seconds, peaks = [], []
    for _ in range(runs + 1):
        begun = time.monotonic()
        process = start([*FILTER, PORT, "--netns", "self"], stdout=subprocess.DEVNULL)
        seconds.append(time.monotonic() - begun)
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        peaks.append(int(status.split("VmHWM:")[1].split()[0]))
        stop(process)
    row("start to armed, median of %d (s)" % runs, f"{statistics.median(seconds[1:]):.2f}")
    row("start to armed, slowest (s)", f"{max(seconds[1:]):.2f}")
    row("peak memory until armed (MB)", f"{max(peaks) / 1024:.0f}")


def attach_empty() -> list[int]:
    """Attach a program that does nothing to the tracepoints of the two device points; returns what holds it there."""
    held = []
    for tracepoint in ("netif_receive_skb", "net_dev_start_xmit"):
        program = loader.load(loader.PROG_TYPE_RAW_TRACEPOINT, "empty", loader.EMPTY, 0)
        held += [program, loader.attach_raw_tracepoint(program, tracepoint)]
    return held


def mean_ns(before: dict, names: tuple) -> float:
    """Mean ns per run of the programs with these names since `before`."""
    runs = ns = 0
    for program in bpfstats.programs():
        if program.name.startswith(names) and program.id in before:
            runs += program.runs - before[program.id].runs
            ns += program.ns - before[program.id].ns
    assert runs > 100, f"the programs {names} ran {runs} times only"
    return ns / runs


def rounds(names: tuple, seconds: float) -> tuple[float, float]:
    """Median over rounds of traffic: ns per run of the programs, and how many empty ones on the same packets."""
    costs, ratios = [], []
    held = attach_empty()
    for _ in range(ROUNDS):
        before = {program.id: program for program in bpfstats.programs()}
        send(seconds / ROUNDS)
        costs.append(mean_ns(before, names))
        ratios.append(costs[-1] / mean_ns(before, ("empty",)))
    for descriptor in held:
        os.close(descriptor)
    return statistics.median(costs), statistics.median(ratios)


def bench_program(arguments: list, seconds: float) -> tuple[float, float]:
    """Cost of the two device points' programs under a filter."""
    with tempfile.TemporaryDirectory() as directory:
        process = start([*arguments, "--point", "dev.rx", "--point", "dev.tx"], cpu=0,
                        stdout=open(os.path.join(directory, "out"), "w"))
        cost = rounds(("dev_rx", "dev_tx"), seconds)
        stop(process)
    return cost


def bench_bpftrace(port: int, seconds: float) -> tuple[float, str]:
    """The same of bpftrace: ns per run, and what it says of loss."""
    if shutil.which("bpftrace") is None:
        return 0.0, "no bpftrace"
    with tempfile.TemporaryDirectory() as directory:
        out = open(os.path.join(directory, "out"), "w")
        body = BPFTRACE.replace("PORT", "0x%x" % socket.htons(port))
        known = {program.id for program in bpfstats.programs()}
        process = subprocess.Popen(["bpftrace", "-e", body], stdout=out, stderr=subprocess.STDOUT)
        end = time.monotonic() + 30
        while not (fresh := [one.name for one in bpfstats.programs() if one.id not in known]):
            if process.poll() is not None or time.monotonic() > end:
                process.kill()
                return 0.0, "bpftrace: " + pathlib.Path(out.name).read_text().strip()[-120:]
            time.sleep(0.1)
        cost, _ratio = rounds(tuple(fresh), seconds)
        process.send_signal(2)
        process.wait(timeout=120)
        text = pathlib.Path(out.name).read_text()
        lost = sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Lost "))
        return cost, f"{lost} lost of {text.count(chr(10)) + lost}"


def bench_cost(seconds: float) -> None:
    """In-kernel cost per packet and point."""
    row("", "skbfleet", "bpftrace")
    with bpfstats.enabled():
        for what, arguments, port in (
                ("packet rejected by its address", ["--src", "10.9.9.9", "--protocol", "udp"], None),
                ("packet rejected by its port", [*FILTER, PORT + 1], PORT + 1),
                ("packet recorded", [*FILTER, PORT, *UNLIMITED], PORT),
                ("packet recorded with a field", [*FILTER, PORT, *UNLIMITED, *words(FIELDS[:1])], None),
                ("packet recorded with eight fields", [*FILTER, PORT, *UNLIMITED, *words(FIELDS)], None),
                ("packet shed by the rate limit", [*FILTER, PORT, "--max-rate", 1], None)):
            ns, ratio = bench_program(arguments, seconds)
            peer, lost = bench_bpftrace(port, seconds) if port else (0.0, "")
            row(f"{what} (ns; times an empty program)", f"{ns:.0f}; {ratio:.2f}",
                f"{peer:.0f}" if peer else lost, lost if peer and port == PORT else "")


def spooled(seconds: float, *more: str) -> tuple[int, dict]:
    """Datagrams sent, and the counters of a tracer that writes a spool on one core while the other one sends."""
    with tempfile.TemporaryDirectory() as directory:
        run_dir = os.path.join(directory, "run")
        points = [word for point in ("dev.queue", "dev.tx", "dev.backlog", "dev.rx") for word in ("--point", point)]
        process = subprocess.Popen([PYTHON, str(TRACER), *FILTER, str(PORT), "--run-dir", run_dir, *points, *more],
                                   text=True, stderr=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, {0}))
        spool = pathlib.Path(run_dir, "records.bin")
        while not spool.exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        sent = send(seconds)
        process.send_signal(15)
        process.communicate(timeout=60)
        return sent, json.loads(pathlib.Path(run_dir, "manifest.json").read_text())["counters"]


def bench_drain(seconds: float) -> None:
    """Records a second into a spool, without a limit; and what the limit leaves to who sends."""
    alone = send(seconds) / seconds
    row("datagrams a second, no tracer", f"{alone:,.0f}")
    for what, more in (("no limit", UNLIMITED), ("default limit", [])):
        sent, counters = spooled(seconds, *more)
        assert counters["matched"] == sum(counters[name] for name in ("written", "cut", "shed", "lost"))
        row(f"datagrams a second, four points, {what}", f"{sent / seconds:,.0f}", f"{sent / seconds / alone:.0%}")
        row(f"records into a spool, a second, {what}", f"{counters['written'] / seconds:,.0f}")
        row("lost; shed", f"{counters['lost']}; {counters['shed']}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="of traffic for each figure (default 1)")
    parser.add_argument("--runs", type=int, default=5, help="of the arming benchmark (default 5)")
    options = parser.parse_args()
    if "BENCH_INSIDE" not in os.environ:
        os.execvpe("unshare", ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", PYTHON, __file__,
                               *sys.argv[1:]], dict(os.environ, BENCH_INSIDE="1"))
    os.sched_setaffinity(0, {1})  # the sender; tracers under load are put on the other core
    bench_arming(options.runs)
    bench_cost(options.seconds)
    bench_drain(options.seconds)


if __name__ == "__main__":
    main()
