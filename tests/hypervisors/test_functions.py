# SPDX-License-Identifier: Apache-2.0
"""Any function that takes a packet as a point, with a stack and fields by name, on real distribution kernels."""

from emulated.machine import Machine
from emulated.tracing import tracing, trial, workload

PASSED, OPEN = 20, 5000
FIELDS = ["sk_buff.dev->mtu", "sk_buff.mark", "sk_buff.sk->sk_state", "net_device.ifindex"]
BRIDGE = {"func:br_handle_frame": "br.rx", "func:br_handle_frame_finish": "br.lookup",
          "func:__br_forward@2": "br.forward", "func:br_dev_queue_push_xmit@skb": "br.tx"}  # fmt: skip
OTHERS = {"func:ip_rcv": "ip.rx", "func:__udp_enqueue_schedule_skb": "udp.queue"}


def test_a_function_by_its_name_is_the_point_of_the_table(machine: Machine) -> None:
    """Each datagram is seen at the function as it is at the table's own point there."""
    both = {**BRIDGE, **OTHERS}
    words = [word for pair in both.items() for name in pair for word in ("--require-point", name)]
    words += [word for name in FIELDS for word in ("--field", name)]
    with tracing(machine, "datapath_tracing", "--protocol", "udp", "--dst-port", OPEN, "--point", "dev.rx", *words,
                 "--stack", "func:ip_rcv") as run:  # fmt: skip
        assert workload(machine, "udp", "bridge", OPEN, PASSED)["arrived"] == PASSED
        run.stop("INT")
    assert "lost 0" in run.log
    for function, point in both.items():
        one, two = ([(record["packet"]["id"], record["device"], record["skb"]) for record in run.records
                     if record["point"] == name] for name in (function, point))  # fmt: skip
        assert len(one) == PASSED, function
        assert sorted(one) == sorted(two), function
    for record in run.records:
        fields = record["fields"]
        assert fields["sk_buff.mark"] == 0
        if record["point"] == "func:ip_rcv":
            assert fields["sk_buff.dev->mtu"] == 1500
        assert ("stack" in record) == (record["point"] == "func:ip_rcv")
        if "stack" in record:
            assert any(frame.startswith(caller(machine)) for frame in record["stack"]), record["stack"]


def caller(machine: Machine) -> str:
    """How the frame of who calls ip_rcv begins; where a kprobe comes before it is on the stack, that is said."""
    hidden = machine.distribution == "bookworm-arm64"
    return "(its caller is not on the stack)" if hidden else "__netif_receive_skb_one_core+"


def test_what_is_no_point_says_why(machine: Machine) -> None:
    reasons = {
        "func:vfs_read": "function vfs_read takes no struct sk_buff *: its arguments are file, buf, count, pos",
        "func:ip_rcv@dev": "argument dev of ip_rcv is no struct sk_buff *; skb is",
        "func:netif_receive_skbb": "no function netif_receive_skbb: it was inlined, or its module is not loaded; the "
        "nearest are netif_receive_skb",
    }  # fmt: skip
    found = trial(machine, "datapath_tracing", "--point", "dev.rx", *(f"--point={name}" for name in reasons))
    assert list(found["attached"]) == ["dev.rx"]
    for name, reason in reasons.items():
        assert found["skipped"][name].startswith(reason), found["skipped"][name]
