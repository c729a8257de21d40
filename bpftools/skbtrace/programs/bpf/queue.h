/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* How full the queue is that an skb meets. */
#define QUEUE_NONE 0
#define QUEUE_QDISC 1
#define QUEUE_SOCKET 2

static __always_inline void fill_qdisc(struct record *r, u64 qdisc)
{
    r->queue_len = READ_FIELD(struct Qdisc, q.qlen, qdisc);
    r->queue_limit = READ_FIELD(struct Qdisc, limit, qdisc);
    r->queue_backlog = READ_FIELD(struct Qdisc, qstats.backlog, qdisc);
}

static __always_inline void fill_socket(struct record *r, u64 sk)
{
    r->queue_len = READ_FIELD(struct sock, sk_backlog.rmem_alloc.counter, sk);
    r->queue_limit = READ_FIELD(struct sock, sk_rcvbuf, sk);
    r->queue_backlog = READ_FIELD(struct sock, sk_backlog.len, sk);
}

static __always_inline void fill_queue(struct record *r, u8 kind, u64 queue)
{
    r->queue_kind = queue ? kind : QUEUE_NONE;
    r->queue_len = 0;
    r->queue_limit = 0;
    r->queue_backlog = 0;
    if (r->queue_kind == QUEUE_QDISC)
        fill_qdisc(r, queue);
    else if (r->queue_kind == QUEUE_SOCKET)
        fill_socket(r, queue);
}
