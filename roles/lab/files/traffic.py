#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Traffic whose amount is known. At its end every command prints what it did, as JSON.

Servers print "ready" before when they listen, tcp-clients when the first of them was answered.
"""
import argparse
import json
import resource
import select
import selectors
import signal
import socket
import sys
import time
from typing import Dict, List, Optional

EXAMPLES = """\
examples (lab.py exec WHERE -- python3 traffic.py …):
  vm-b: traffic.py udp-serve 192.168.32.20 5000
  vm-a: traffic.py udp-send 192.168.32.20 5000 --count 1000 --rate 20000
  vm-b: traffic.py tcp-serve 192.168.32.20 443
  vm-a: traffic.py tcp-send 192.168.32.20 443 --bytes 100000000
Servers end with SIGTERM or SIGINT, or after --count datagrams or connections. Each UDP datagram starts with its number
(4 bytes, big endian, from 0).
"""
SO_RCVBUFFORCE = 33
CATCH_UP_S = 0.005  # a sender that was held up makes good for no more than this: a burst would overrun its own device


# Becomes readable with the first SIGTERM or SIGINT: nothing is interrupted between doing a thing and counting it.
ended, _end = socket.socketpair()


def _socket(address: str, kind: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made


def udp_serve(options: argparse.Namespace) -> Dict:
    """Receive datagrams; the socket's buffer is large enough for a test's burst."""
    server = _socket(options.address, socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, options.buffer)
    server.bind((options.address, options.port))
    server.setblocking(False)
    print("ready", flush=True)
    numbers: List[int] = []
    size = 0
    ending = False
    while not ending and (options.count is None or len(numbers) < options.count):
        ending = ended in select.select([server, ended], [], [])[0]
        try:
            while options.count is None or len(numbers) < options.count:
                datagram = server.recv(65536)
                numbers.append(int.from_bytes(datagram[:4], "big"))
                size += len(datagram)
        except BlockingIOError:
            pass
    return {"datagrams": len(numbers), "bytes": size, "distinct": len(set(numbers)),
            "in_order": all(one < other for one, other in zip(numbers, numbers[1:]))}


def udp_send(options: argparse.Namespace) -> Dict:
    """Send numbered datagrams, at most `rate` per second if given."""
    sender = _socket(options.address, socket.SOCK_DGRAM)
    if options.source_port:
        sender.bind(("", options.source_port))
    sender.connect((options.address, options.port))
    filler = b"x" * (options.size - 4)
    start = due = time.monotonic()
    sent = 0
    while sent < options.count:
        ahead = due + sent / options.rate - time.monotonic() if options.rate else 0
        if ahead < -CATCH_UP_S:
            due -= ahead
        if (ahead > 0 or sent % 1024 == 0) and select.select([ended], [], [], max(ahead, 0))[0]:
            break
        sender.send(sent.to_bytes(4, "big") + filler)
        sent += 1
    return {"datagrams": sent, "seconds": round(time.monotonic() - start, 6), "source_port": sender.getsockname()[1]}


def tcp_serve(options: argparse.Namespace) -> Dict:
    """Accept connections and count what they bring. Each is answered at its end with its count."""
    raise_open_files()
    server = _socket(options.address, socket.SOCK_STREAM)
    server.bind((options.address, options.port))
    server.listen(4096)
    selector = selectors.DefaultSelector()
    for source in (server, ended):
        selector.register(source, selectors.EVENT_READ, source)
    print("ready", flush=True)
    received: Dict[socket.socket, int] = {}
    total = closed = 0
    while options.count is None or closed < options.count:
        readable = [key.data for key, _events in selector.select()]
        if ended in readable:
            break
        for ready in readable:
            if ready is server:
                connection = server.accept()[0]
                received[connection] = 0
                selector.register(connection, selectors.EVENT_READ, connection)
                continue
            data = _receive(ready)
            if data:
                received[ready] += len(data)
                continue
            selector.unregister(ready)
            total, closed = total + received[ready], closed + 1
            _answer(ready, received.pop(ready))
    return {"connections": closed, "bytes": total + sum(received.values())}


def _receive(connection: socket.socket) -> bytes:
    """What there is to read; nothing if the other side has ended, in whichever way."""
    try:
        return connection.recv(1 << 18)
    except ConnectionError:
        return b""


def _answer(connection: socket.socket, count: int) -> None:
    try:
        connection.sendall(b"%d\n" % count)
    except OSError:
        pass  # the other side did not wait for it
    connection.close()


def raise_open_files() -> None:
    """Many connections are many open files."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def tcp_clients(options: argparse.Namespace) -> Dict:
    """Open `count` connections, `rate` per second, whether earlier ones are answered or not. Each asks one question."""
    raise_open_files()
    selector = selectors.DefaultSelector()
    selector.register(ended, selectors.EVENT_READ, ended)
    start = time.monotonic()
    opened = answered = failed = 0
    while answered + failed < options.count:
        due = start + opened / options.rate if opened < options.count and options.rate else start
        if opened < options.count and due <= time.monotonic():
            client = _socket(options.address, socket.SOCK_STREAM)
            client.setblocking(False)
            client.connect_ex((options.address, options.port))
            selector.register(client, selectors.EVENT_WRITE, client)
            opened += 1
            continue
        for key, event in selector.select(due - time.monotonic() if opened < options.count else None):
            if key.data is ended:
                return {"opened": opened, "answered": answered, "failed": opened - answered}
            done = _go_on(selector, key.data, event)
            if done and not answered:
                print("ready", flush=True)
            answered, failed = answered + (done is True), failed + (done is False)
    return {"opened": opened, "answered": answered, "failed": failed}


def _go_on(selector: selectors.BaseSelector, client: socket.socket, event: int) -> Optional[bool]:
    """A client's next step: ask when connected (returns None), then whether it was answered."""
    try:
        if event & selectors.EVENT_WRITE:
            client.send(b"?" * 100)
            client.shutdown(socket.SHUT_WR)
            selector.modify(client, selectors.EVENT_READ, client)
            return None
        answered = bool(client.recv(64))
    except OSError:
        answered = False
    selector.unregister(client)
    client.close()
    return answered


def tcp_send(options: argparse.Namespace) -> Dict:
    """Send bytes over one connection and wait for the server's count."""
    start = time.monotonic()
    sender = _socket(options.address, socket.SOCK_STREAM)
    if options.source_port:
        sender.bind(("", options.source_port))
    sender.connect((options.address, options.port))
    source_port = sender.getsockname()[1]
    sender.setblocking(False)
    chunk = b"x" * (1 << 16)
    sent = 0
    while sent < options.bytes:
        ahead = start + sent / options.rate - time.monotonic() if options.rate else 0
        if select.select([ended], [], [], ahead)[0] if ahead > 0 else ended in select.select([ended], [sender], [])[0]:
            break
        try:
            sent += sender.send(chunk[:options.bytes - sent])
        except BlockingIOError:
            pass
    sender.shutdown(socket.SHUT_WR)
    answer = sender.recv(64) if sender in select.select([sender, ended], [], [])[0] else b""
    seconds = time.monotonic() - start
    return {"bytes": sent, "received": int(answer or 0), "seconds": round(seconds, 6),
            "mbit_per_s": round(sent * 8e-6 / seconds, 1), "source_port": source_port}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for work in (udp_serve, udp_send, tcp_serve, tcp_send, tcp_clients):
        name = work.__name__.replace("_", "-")
        command = commands.add_parser(name, help=(work.__doc__ or "").partition(".")[0])
        command.set_defaults(work=work)
        command.add_argument("address", metavar="ADDRESS")
        command.add_argument("port", metavar="PORT", type=int)
        if name.endswith("-serve"):
            command.add_argument("--count", type=int, help="end after so many datagrams or connections")
            command.add_argument("--buffer", type=int, default=64 << 20, help="receive buffer in bytes (UDP)")
        else:
            command.add_argument("--source-port", type=int, default=0)
            command.add_argument("--rate", type=float, default=0, help="datagrams, bytes or connections per second")
    udp = commands.choices["udp-send"]
    udp.add_argument("--count", type=int, default=1)
    commands.choices["tcp-clients"].add_argument("--count", type=int, default=1)
    udp.add_argument("--size", type=int, default=64, help="payload in bytes, at least 4")
    commands.choices["tcp-send"].add_argument("--bytes", type=int, default=1000000)
    return parser


def main() -> Optional[str]:
    """Run one command and print its result."""
    parser = _parser()
    options = parser.parse_args()
    if options.command is None:
        parser.error("name a COMMAND")
    _end.setblocking(False)
    signal.set_wakeup_fd(_end.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    try:
        print(json.dumps(options.work(options)), flush=True)
    except OSError as error:
        return "error: %s %s port %d: %s" % (options.command, options.address, options.port, error)
    return None


if __name__ == "__main__":
    sys.exit(main())
