#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Traffic that passes every point of the datapath where this machine has it; prints as JSON what was done.

    a0 10.99.1.1  --- ra0 10.99.1.2 |        | 10.99.2.2 rb0 --- b0 10.99.2.1       routed; IPv6: fd99:1::, fd99:2::
    a1 10.99.3.1  --- ra1 ----------| router |---------- rb1 --- b1 10.99.3.3       bridged, by br9 10.99.3.2
    vx9 10.99.4.1 --- vx9 10.99.4.2 |        |                                      VXLAN over a0; Geneve: gnv9, 10.99.5
    a2 10.99.6.1  --- p-a2 --- sw9 10.99.6.2 --- p-b2 --- b2 10.99.6.3              Open vSwitch, if it is there

  scene.py up     make that, and print what cannot be had here: {traffic: why}
  scene.py run    send, and print {traffic: {what is known of it}}
  scene.py down   remove it
"""
import contextlib
import ctypes
import errno
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time

A, ROUTER, B = NAMES = ("end-a", "router", "end-b")
COUNT, SIZE = 3, 100         # datagrams of each traffic, and their payload in bytes
SPORT = 40000                # where everything comes from that goes to a port
PLAIN = 253                  # the IP protocol of what nobody has a socket for
TRAFFIC = {                  # name: (from, its address, to, its address, port)
    "routed": (A, "10.99.1.1", B, "10.99.2.1", 5001),
    "local": (A, "10.99.1.1", ROUTER, "10.99.1.2", 5002),
    "routed6": (A, "fd99:1::1", B, "fd99:2::1", 5003),
    "bridged": (A, "10.99.3.1", B, "10.99.3.3", 5004),
    "to_bridge": (A, "10.99.3.1", ROUTER, "10.99.3.2", 5005),
    "vxlan": (A, "10.99.4.1", ROUTER, "10.99.4.2", 5006),
    "geneve": (A, "10.99.5.1", ROUTER, "10.99.5.2", 5007),
    "translated": (A, "10.99.1.1", ROUTER, "10.99.1.2", 5008),
    "closed": (A, "10.99.1.1", ROUTER, "10.99.1.2", 5009),
    "full": (A, "10.99.1.1", ROUTER, "10.99.1.2", 5010),
    "stream": (A, "10.99.1.1", ROUTER, "10.99.1.2", 5011),
    "eaten": (A, "10.99.1.1", ROUTER, "10.99.1.2", 5012),
    "switched": (A, "10.99.6.1", B, "10.99.6.3", 5013),
    "tracked": (A, "10.99.6.1", B, "10.99.6.3", 5014),
    "refused": (A, "10.99.6.1", B, "10.99.6.3", 5015),
    "to_switch": (A, "10.99.6.1", "", "10.99.6.2", 5016),
    "from_switch": ("", "10.99.6.2", A, "10.99.6.1", 5017),
}
FRAMES = {                   # name: the address that frames of no socket go to
    "shaped": "10.99.9.1", "tapped": "10.99.9.2", "joined": "10.99.9.3", "in_pages": "10.99.9.4"}
TRANSLATED_TO, ECHO = 5018, 5019   # a port; the id of the router's pings to end-a
PROCESS = "conformance"      # the name of this process while it sends
FLOWING = 500_000          # bytes of the stream
SHAPED = 4                   # frames to a bucket with room for one, and for two that wait
ROOM, RING = 7, 9            # connections that wait for the server of the stream; frames that a tap's ring takes
MACS = {"a0": "02:00:00:99:00:01", "ra0": "02:00:00:99:00:02", "made": "02:00:00:99:00:03"}
RULES = """
table ip conformance {
  chain translate { type nat hook prerouting priority -100; udp dport %d dnat to 10.99.1.2:%d; }
  chain track { type filter hook input priority 0; ct state new counter; }
  chain eat { type filter hook prerouting priority 0; tcp dport %d tcp flags & psh == psh drop; }
}
""" % (TRAFFIC["translated"][-1], TRANSLATED_TO, TRAFFIC["eaten"][-1])
_LIBC = ctypes.CDLL(None, use_errno=True)
_TAP, _NO_HEADER, _NAPI, _NAPI_FRAGS, _SET = 0x0002, 0x1000, 0x0010, 0x0020, 0x400454CA


def run(words, where="", text=""):
    """Run a command, in a namespace; returns its output, raises OSError with what it said."""
    prefix = ["ip", "netns", "exec", where] if where else []
    done = subprocess.run(prefix + words.split(" "), input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    if done.returncode:
        raise OSError(done.returncode, "%s: %s" % (words, done.stdout.strip()))
    return done.stdout


def up():
    """Make it all; returns what cannot be had: traffic -> why."""
    for name in NAMES:
        run("ip netns add " + name)
        run("ip -n %s link set lo up" % name)
        # nothing is sent that was not asked for
        run("sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 "
            "net.ipv6.conf.default.router_solicitations=0", name)
    _link(A, "a0", ROUTER, "ra0", "10.99.1.1", "10.99.1.2", "fd99:1::1", "fd99:1::2")
    _link(B, "b0", ROUTER, "rb0", "10.99.2.1", "10.99.2.2", "fd99:2::1", "fd99:2::2")
    run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1", ROUTER)
    run("sysctl -qw net.ipv4.ping_group_range=0\t0", ROUTER)
    for name, net in ((A, 1), (B, 2)):
        run("ip -n %s route add default via 10.99.%d.2" % (name, net))
        run("ip -n %s -6 route add default via fd99:%d::2" % (name, net))
    run("ip -n router link add br9 type bridge mcast_snooping 0")
    run("ip -n router addr add 10.99.3.2/24 dev br9")
    run("ip -n router link set br9 up")
    for name, port, near, address in ((A, "ra1", "a1", "10.99.3.1"), (B, "rb1", "b1", "10.99.3.3")):
        _link(name, near, ROUTER, port, address)
        run("ip -n router link set %s master br9" % port)
    for number in (8, 9):
        run("ip -n router tuntap add tap%d mode tap" % number)
        run("sysctl -qw net.ipv6.conf.tap%d.disable_ipv6=1" % number, ROUTER)
        run("ip -n router link set tap%d txqueuelen %d up" % (number, RING))
    run("nft -f -", ROUTER, RULES)
    _link(A, "q9", A, "q8")
    run("tc -n end-a qdisc add dev q9 root tbf rate 8bit burst 200 limit 400")
    missing = {}
    for name, make in (("vxlan", _vxlan), ("geneve", _geneve), ("switched", _switch), ("iptables", _iptables)):
        try:
            make()
        except OSError as error:
            missing[name] = error.strerror
    return missing


def _link(here, near, there, far, *addresses):
    """Two namespaces on one wire; addresses: near, far, and both again."""
    run("ip -n %s link add %s type veth peer name %s netns %s" % (here, near, far, there))
    for place, (name, device) in enumerate(((here, near), (there, far))):
        if not any(":" in address for address in addresses):
            run("sysctl -qw net.ipv6.conf.%s.disable_ipv6=1" % device, name)
        if device in MACS:
            run("ip -n %s link set %s address %s" % (name, device, MACS[device]))
        for address in addresses[place::2]:
            run("ip -n %s addr add %s/%d dev %s" % (name, address, 64 if ":" in address else 24, device))
        run("ip -n %s link set %s up" % (name, device))


def _tunnel(device, kind, net):
    for name, own, other in ((A, 1, 2), (ROUTER, 2, 1)):
        run("ip -n %s link add %s type %s" % (name, device, kind % ("10.99.1.%d" % other)))
        run("ip -n %s addr add 10.99.%d.%d/24 dev %s" % (name, net, own, device))
        run("ip -n %s link set %s up" % (name, device))


def _vxlan():
    _tunnel("vx9", "vxlan id 77 dstport 4789 remote %s", 4)


def _geneve():
    _tunnel("gnv9", "geneve id 78 remote %s", 5)


def _switch():
    if not shutil.which("ovs-vsctl"):
        raise OSError(errno.ENOENT, "Open vSwitch is not installed")
    run("ovs-vsctl --timeout=10 add-br sw9")
    for name, near, address in ((A, "a2", "10.99.6.1"), (B, "b2", "10.99.6.3")):
        run("ip link add p-%s type veth peer name %s netns %s" % (near, near, name))
        run("ip link set p-%s up" % near)
        run("ip -n %s addr add %s/24 dev %s" % (name, address, near))
        run("ip -n %s link set %s up" % (name, near))
        run("ovs-vsctl add-port sw9 p-" + near)
    run("ip addr add 10.99.6.2/24 dev sw9")
    run("ip link set sw9 up")
    run("ovs-ofctl add-flow sw9 priority=10,udp,tp_dst=%d,actions=ct(commit),normal" % TRAFFIC["tracked"][-1])
    run("ovs-ofctl add-flow sw9 priority=10,udp,tp_dst=%d,actions=drop" % TRAFFIC["refused"][-1])


def _iptables():
    """To ask for a table of iptables makes the kernel have it."""
    with inside(ROUTER), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as asking:
        name, size = ctypes.create_string_buffer(b"filter", 84), ctypes.c_uint(84)
        if _LIBC.getsockopt(asking.fileno(), socket.IPPROTO_IP, 64, name, ctypes.byref(size)):  # IPT_SO_GET_INFO
            raise OSError(ctypes.get_errno(), "the kernel has no iptables: " + os.strerror(ctypes.get_errno()))


def down():
    """Remove it all."""
    if shutil.which("ovs-vsctl"):
        subprocess.run(["ovs-vsctl", "--timeout=10", "--if-exists", "del-br", "sw9"], check=False)
    for name in NAMES:
        run("ip netns del " + name)


@contextlib.contextmanager
def inside(name):
    """This process is in a namespace while the block runs; "" is where it began."""
    with open("/proc/self/ns/net") as home, open("/run/netns/" + name if name else "/proc/self/ns/net") as there:
        _enter(there)
        try:
            yield
        finally:
            _enter(home)


def _enter(namespace):
    if _LIBC.setns(namespace.fileno(), 0x40000000):
        raise OSError(ctypes.get_errno(), "setns")


def _socket(name, kind, address, port, protocol=0):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with inside(name):
        made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.settimeout(20)
    made.bind((address, port))
    return made


def datagrams(name, port=None):
    """Send datagrams, each after the one before has come; port: where the receiver is, if that is another one."""
    source, source_address, target, address, sent_to = TRAFFIC[name]
    with _socket(target, socket.SOCK_DGRAM, address, port or sent_to) as receiver, \
            _socket(source, socket.SOCK_DGRAM, source_address, SPORT) as sender:
        for number in range(COUNT):
            sender.sendto(bytes([number]) * SIZE, (address, sent_to))
            assert receiver.recv(2 * SIZE) == bytes([number]) * SIZE


def to_nobody(name):
    """Send datagrams that nobody gets."""
    source, source_address, _target, address, port = TRAFFIC[name]
    with _socket(source, socket.SOCK_DGRAM, source_address, SPORT) as sender:
        for _number in range(COUNT):
            sender.sendto(bytes(SIZE), (address, port))


def to_a_full_socket():
    """Send to a socket of UDP more than its buffer takes; returns its size."""
    source, source_address, target, address, port = TRAFFIC["full"]
    with _socket(target, socket.SOCK_DGRAM, address, port) as receiver, \
            _socket(source, socket.SOCK_DGRAM, source_address, SPORT) as sender:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for _number in range(10):
            sender.sendto(bytes(SIZE), (address, port))
        return {"full": {"limit": receiver.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)}}


def pinged():
    """Ping end-a from a socket whose buffer does not take all answers; returns its size."""
    _source, answering, target, address, _port = TRAFFIC["local"]
    with _socket(target, socket.SOCK_DGRAM, address, ECHO, socket.IPPROTO_ICMP) as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for number in range(10):
            asking.sendto(struct.pack("!BBHHH", 8, 0, 0, 0, number) + bytes(SIZE), (answering, 0))
        return {"pinged": {"limit": asking.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)}}


def stream():
    """Send a stream that is larger than what the sender's buffer takes: answers find its socket busy."""
    source, source_address, target, address, port = TRAFFIC["stream"]
    with _socket(target, socket.SOCK_STREAM, address, port) as server:
        server.listen(ROOM)
        with _socket(source, socket.SOCK_STREAM, source_address, SPORT) as client:
            client.connect((address, port))
            accepted, _peer = server.accept()
            child = os.fork()
            if not child:
                client.sendall(bytes(FLOWING))
                os._exit(0)
            left = FLOWING
            while left:
                left -= len(accepted.recv(1 << 20))
            os.waitpid(child, 0)
            accepted.close()


def sent_again():
    """Send what the router eats, until TCP has sent it again."""
    source, source_address, target, address, port = TRAFFIC["eaten"]
    with _socket(target, socket.SOCK_STREAM, address, port) as server:
        server.listen(1)
        with _socket(source, socket.SOCK_STREAM, source_address, SPORT) as client:
            client.connect((address, port))
            client.send(bytes(SIZE))
            end = time.monotonic() + 20
            while not struct.unpack_from("I", client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 100)[0]:
                assert time.monotonic() < end, "TCP has sent nothing again"
                time.sleep(0.01)


def frame(target, number, size=200):
    """Return a frame of an IP packet whose id is the number, for nobody's socket."""
    header = bytearray(struct.pack("!BBHHHBBH4s4s", 0x45, 0, size - 14, number, 0, 64, PLAIN, 0,
                                   socket.inet_aton("10.99.9.9"), socket.inet_aton(target)))
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    header[10:12] = struct.pack("!H", 0xFFFF ^ (total + (total >> 16)) & 0xFFFF)
    macs = bytes.fromhex((MACS["made"] + MACS["a0"]).replace(":", ""))
    return macs + b"\x08\x00" + bytes(header) + bytes(size - 34)


def _link_to(name, device):
    with inside(name):
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    made.bind((device, 0))
    return made


def shaped():
    """Send frames to a token bucket: one passes, two wait, the last one is dropped."""
    with _link_to(A, "q9") as link:
        for number in range(SHAPED):
            with contextlib.suppress(OSError):
                link.send(frame(FRAMES["shaped"], number))
    (counted,) = json.loads(run("tc -n end-a -s -j qdisc show dev q9"))
    return {"shaped": {name: counted[name] for name in ("qlen", "backlog", "drops")}}


def tap(device, flags):
    """Return an end of one of the router's taps."""
    with inside(ROUTER):
        end = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(end, _SET, struct.pack("16sH22x", device.encode(), _TAP | _NO_HEADER | flags))
    return end


def taps():
    """Send frames out of a tap, and read them there; write some into taps whose frames go through GRO."""
    end = tap("tap9", 0)
    while " qdisc noop " in run("ip -n router link show tap9"):  # it throws away what is sent before it knows of us
        time.sleep(0.01)
    with _link_to(ROUTER, "tap9") as link:
        for number in range(COUNT):
            link.send(frame(FRAMES["tapped"], number))
    wanted = COUNT
    while wanted:
        wanted -= os.read(end, 2000)[30:34] == socket.inet_aton(FRAMES["tapped"])
    os.close(end)
    for name, flags in (("joined", _NAPI), ("in_pages", _NAPI | _NAPI_FRAGS)):
        end = tap("tap8", flags)
        for number in range(COUNT):
            os.write(end, frame(FRAMES[name], number))
        os.close(end)


def listened():
    """Send datagrams while a packet socket listens, and read its copies."""
    with inside(ROUTER):
        listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    listener.settimeout(20)
    listener.bind(("ra0", 0x0800))
    with listener:
        datagrams("local")
        for _number in range(COUNT):
            while listener.recv(2000)[36:38] != struct.pack("!H", TRAFFIC["local"][-1]):
                pass


def send_all(missing):
    """Send everything that can be sent; returns what is known of it."""
    known = {}
    _LIBC.prctl(15, PROCESS.encode())  # PR_SET_NAME
    for name in ("routed", "routed6", "bridged", "to_bridge", "vxlan", "geneve", "switched", "tracked", "to_switch",
                 "from_switch"):
        if ("switched" if "switch" in name or name == "tracked" else name) not in missing:
            datagrams(name)
    if "switched" not in missing:
        to_nobody("refused")
    listened()
    datagrams("translated", TRANSLATED_TO)
    to_nobody("closed")
    for made in (to_a_full_socket(), pinged(), shaped()):
        known.update(made)
    stream()
    sent_again()
    taps()
    return known


if __name__ == "__main__":
    actions = {"up": up, "run": lambda: send_all(json.loads(sys.argv[2])), "down": down}
    print(json.dumps(actions[sys.argv[1]]()))
