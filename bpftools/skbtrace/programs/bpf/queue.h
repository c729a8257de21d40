/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * How full the queue is that an skb meets. The numbers and plain fields of the kinds, QUEUE_... and
 * PLAIN_QUEUES, are from the table (queues.py); HAVE_QUEUE_... says which ones this kernel lets be read.
 */
#define QUEUE_NONE 0
#define TCP_LISTEN 10
#define PER_CPU_COUNTS 0x20 /* TCQ_F_CPUSTATS: the qdisc counts on each CPU for itself */
#define KIND_TUN 0x006e7574 /* "tun" */
#define ID_BFIFO 0x6f66696662ull /* "bfifo" */
#define ID_GRED 0x64657267ull    /* "gred" */

#ifdef CPUS
/* what a per-CPU pointer lacks to an address on each of them */
struct cpu_offsets {
    u64 of[CPUS];
};

BPF_ARRAY(cpu_offsets, struct cpu_offsets, 1);
#endif

/* what fills returns 0 if there is no such queue */

#ifdef HAVE_QUEUE_QDISC
#ifndef DEVICE_QUEUE_SIZE
#define DEVICE_QUEUE_SIZE sizeof(struct netdev_queue)
#endif

static __always_inline u64 qdisc_of(u64 device, u16 mapping)
{
    if (!device || mapping >= READ_FIELD(struct net_device, num_tx_queues, device))
        return 0;
    return (u64)READ_FIELD(struct netdev_queue, qdisc,
                           (u64)READ_FIELD(struct net_device, _tx, device) + mapping * DEVICE_QUEUE_SIZE);
}

/* whether a qdisc's limit is one of bytes: nothing but its name tells */
static __always_inline int has_room_for_bytes(u64 qdisc)
{
    u64 operations = (u64)READ_FIELD(struct Qdisc, ops, qdisc), id = 0;

    read_memory(&id, sizeof(id), operations + __builtin_offsetof(struct Qdisc_ops, id));
    return id == ID_BFIFO || id == ID_GRED;
}

/* what one CPU has put in may be taken out by another one: only the sums mean something */
static __always_inline int sum_qdisc(struct record *r, u64 qdisc)
{
#if defined(SUM_CPUS) && defined(HAVE_LARGE_PROGRAMS)
    u64 counts = (u64)READ_FIELD(struct Qdisc, cpu_qstats, qdisc);
    u32 length = 0, backlog = 0, zero = 0;
    struct cpu_offsets *offsets = cpu_offsets.lookup(&zero);
    struct gnet_stats_queue one;

    if (!offsets)
        return 0;
    LOOP
    for (u32 cpu = 0; cpu < CPUS; cpu++) {
        __builtin_memset(&one, 0, sizeof(one));
        read_memory(&one, sizeof(one), counts + offsets->of[cpu]);
        length += one.qlen;
        backlog += one.backlog;
    }
    r->queue_limit = READ_FIELD(struct Qdisc, limit, qdisc);
    r->queue_len = length;
    r->queue_backlog = backlog;
    return 1;
#else
    return 0;
#endif
}

static __always_inline int fill_qdisc(struct record *r, u64 qdisc)
{
    if (!qdisc || !READ_FIELD(struct Qdisc, enqueue, qdisc)) /* noqueue */
        return 0;
    if (READ_FIELD(struct Qdisc, flags, qdisc) & PER_CPU_COUNTS)
        return sum_qdisc(r, qdisc);
    r->queue_limit = READ_FIELD(struct Qdisc, limit, qdisc);
    r->queue_len = READ_FIELD(struct Qdisc, q.qlen, qdisc);
    r->queue_backlog = READ_FIELD(struct Qdisc, qstats.backlog, qdisc);
    return 1;
}
#endif

#ifdef HAVE_QUEUE_TAP
/* the operations that taps have, once one was seen: they are compared, so that their name need not be read each time */
BPF_ARRAY(tap_operations, u64, 1);

static __always_inline int is_tap(u64 device)
{
    u64 operations = device ? READ_FIELD(struct net_device, rtnl_link_ops, device) : 0;
    u32 kind = 0, zero = 0;
    u64 *known = tap_operations.lookup(&zero);

    if (!operations || !known)
        return 0;
    if (operations == *known)
        return 1;
    read_memory(&kind, sizeof(kind), READ_FIELD(struct rtnl_link_ops, kind, operations));
    if (kind != KIND_TUN)
        return 0;
    *known = operations;
    return 1;
}

static __always_inline u64 ring_of(u64 device, u16 mapping)
{
    u64 file = 0;

    if (!is_tap(device))
        return 0;
    device += DEVICE_PRIVATE;
    if (mapping >= READ_FIELD(struct tun_struct, numqueues, device))
        return 0;
    read_memory(&file, sizeof(file), device + __builtin_offsetof(struct tun_struct, tfiles) + mapping * sizeof(file));
    return file ? file + __builtin_offsetof(struct tun_file, tx_ring) : 0;
}

#define ring_field(ring, field) \
    (*(typeof(((struct ptr_ring *)0)->field) *)((void *)(ring) + __builtin_offsetof(struct ptr_ring, field)))

/* slots are taken from the consumer's tail to the producer; where these meet, the slot itself tells */
static __always_inline int fill_ring(struct record *r, u64 address, u64 *ring)
{
    u32 next, size;
    u64 slot = 0;

    if (!address || read_memory(ring, RING_READ, address))
        return 0;
    size = ring_field(ring, size);
    next = ring_field(ring, producer);
    r->queue_limit = size;
    r->queue_len = next - ring_field(ring, consumer_tail);
    if ((s32)r->queue_len < 0)
        r->queue_len += size;
    if (!r->queue_len)
        read_memory(&slot, sizeof(slot), (u64)ring_field(ring, queue) + next * sizeof(slot));
    if (slot)
        r->queue_len = size;
    return 1;
}
#endif

#if defined(HAVE_QUEUE_SOFTNET) || defined(HAVE_QUEUE_GRO_CELL)
/* from a per-CPU pointer to this CPU's memory */
static __always_inline u64 on_this_cpu(u64 pointer)
{
    u64 cpu = bpf_get_smp_processor_id();
    u32 zero = 0;
    struct cpu_offsets *offsets = cpu_offsets.lookup(&zero);

    opaque(cpu); /* else what is compared may be a copy, from which the verifier of 6.1 learns nothing */
    return offsets && cpu < CPUS ? pointer + offsets->of[cpu] : 0;
}
#endif

#ifdef HAVE_QUEUE_SOFTNET
static __always_inline int fill_softnet(struct record *r)
{
    u64 softnet = on_this_cpu(SOFTNET_DATA);

    r->queue_limit = BACKLOG_LIMIT;
    r->queue_len = READ_FIELD(struct softnet_data, input_pkt_queue.qlen, softnet);
    return softnet != 0;
}
#endif

#ifdef HAVE_QUEUE_GRO_CELL
static __always_inline int fill_cell(struct record *r, u64 cells)
{
    u64 cell = on_this_cpu(READ_FIELD(struct gro_cells, cells, cells));

    r->queue_limit = BACKLOG_LIMIT;
    r->queue_len = READ_FIELD(struct gro_cell, napi_skbs.qlen, cell);
    return cell != 0;
}
#endif

#ifdef HAVE_QUEUE_SEND
static __always_inline int fill_send(struct record *r, u64 sk)
{
    u32 length = READ_FIELD(struct sock, sk_wmem_alloc.refs.counter, sk);

    r->queue_len = length ? length - 1 : 0; /* it begins at 1, lest it be the last reference */
    r->queue_limit = READ_FIELD(struct sock, sk_sndbuf, sk);
    r->queue_backlog = READ_FIELD(struct sock, sk_wmem_queued, sk);
    return sk != 0;
}
#endif

#define FILL_LENGTH(number, type, length, limit)                                                   \
    if (kind == number) {                                                                          \
        r->queue_len = READ_FIELD(struct type, length, queue);                                     \
        r->queue_limit = READ_FIELD(struct type, limit, queue);                                    \
        return queue != 0;                                                                         \
    }
#define FILL_BACKLOG(number, type, backlog)                                                        \
    if (kind == number)                                                                            \
        r->queue_backlog = READ_FIELD(struct type, backlog, queue);

static __always_inline int fill_kind(struct record *r, u8 kind, u64 queue, u64 device,
                                     struct scratch *scratch)
{
#ifdef HAVE_QUEUE_QDISC
    if (kind == QUEUE_QDISC)
        return fill_qdisc(r, queue);
#endif
#ifdef HAVE_QUEUE_TAP
    if (kind == QUEUE_TAP)
        return fill_ring(r, ring_of(device, r->queue_mapping), scratch->ring);
#endif
#ifdef HAVE_QUEUE_SOFTNET
    if (kind == QUEUE_SOFTNET)
        return fill_softnet(r);
#endif
#ifdef HAVE_QUEUE_GRO_CELL
    if (kind == QUEUE_GRO_CELL)
        return fill_cell(r, queue);
#endif
#ifdef HAVE_QUEUE_SEND
    if (kind == QUEUE_SEND)
        return fill_send(r, queue);
#endif
    PLAIN_QUEUES(FILL_LENGTH, FILL_BACKLOG)
    return 0;
}

/* which queue a drop is of: its reason says so, or the socket at which it ends */
static __always_inline u8 kind_of_drop(u32 reason, u64 sk)
{
    u8 kind = QUEUE_OF_REASON(reason);

#ifdef HAVE_QUEUE_ACCEPT
    if (sk && READ_FIELD(struct sock, __sk_common.skc_state, sk) == TCP_LISTEN)
        return QUEUE_ACCEPT;
#endif
    return kind;
}

static __always_inline void fill_queue(struct record *r, void *ctx, u64 recipe, u64 device,
                                       struct scratch *scratch)
{
    u64 queue = argument(ctx, recipe, QUEUE);
    u8 kind = bits(recipe, QUEUE_KIND, 15);

    r->queue_len = 0;
    r->queue_limit = 0;
    r->queue_backlog = 0;
    if (kind == QUEUE_ANY) {
        queue = argument(ctx, recipe, SOCK);
        kind = kind_of_drop(r->reason, queue);
    }
#ifdef HAVE_QUEUE_QDISC
    if (kind == QUEUE_QDISC && bits(recipe, QUEUE, 15) == NO_ARGUMENT)
        queue = qdisc_of(device, r->queue_mapping);
#ifdef HAVE_QUEUE_QDISC_BYTES
    if (kind == QUEUE_QDISC && has_room_for_bytes(queue))
        kind = QUEUE_QDISC_BYTES;
#endif
#endif
    r->queue_kind = kind && fill_kind(r, kind, queue, device, scratch) ? kind : QUEUE_NONE;
}
