/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* One skb at one point: filter, window, record. */

/* what a point knows beyond the skb itself */
struct sight {
    u64 location;   /* who freed it */
    u32 reason;
    u64 device;     /* where the skb goes, if that is not skb->dev; 0: skb->dev */
    u64 queue;      /* address of a Qdisc or a sock, by queue_kind */
    u8 queue_kind;
    u8 pulled;      /* the packet's data begins at its network header */
    u8 stack;       /* take the call stack */
    u8 typed;       /* the skb's address may be read by plain loads */
};

/*
 * Kernel addresses of what is read on the way to a record. In one struct, so that the compiler
 * lays them out once: the stack of a BPF program is 512 bytes.
 */
struct look {
    struct sk_buff skb;
    struct packet packet;
    struct place place;
};

#ifdef FILTER_VLAN
#define FIRST_OFFSET 0
#define FIRST_SIZE sizeof(struct sk_buff)
#else
#define FIRST_OFFSET SKB_HEADERS_OFFSET
#define FIRST_SIZE SKB_HEADERS_SIZE
#endif

/* one field of an skb that the verifier knows as such; in asm, or bcc would make a call of it */
#define load_field(skb, address, size, field)                                                      \
    do {                                                                                           \
        u64 value_;                                                                                \
        asm volatile("%0 = *(" #size " *)(%1 + %2)"                                                \
                     : "=r"(value_)                                                                \
                     : "r"(address), "i"(__builtin_offsetof(struct sk_buff, field)));              \
        (skb)->field = (typeof((skb)->field))value_;                                               \
    } while (0)

/* most packets are not the filter's: for them only what it needs is read, the part that says where the headers are */
static __always_inline int read_first(struct look *look, u64 address, u8 typed)
{
#ifndef FILTER_VLAN
    if (typed) {
        load_field(&look->skb, address, u16, protocol);
        load_field(&look->skb, address, u16, network_header);
        load_field(&look->skb, address, u16, mac_header);
        load_field(&look->skb, address, u32, tail);
        load_field(&look->skb, address, u64, head);
        load_field(&look->skb, address, u64, data);
        return 0;
    }
#endif
    return read_memory((void *)&look->skb + FIRST_OFFSET, FIRST_SIZE, address + FIRST_OFFSET);
}

static __always_inline int is_match(struct look *look, const struct sight *sight, u64 address, struct counters *count)
{
    int found = find_network(&look->skb, &look->packet, sight->pulled);
    int verdict = match_packet(&look->skb, &look->packet, found);

    /* a flow is followed into tunnels; and where the tunnel itself is the flow, the inner headers are recorded too */
    if (found) {
        find_transport(&look->packet, (u64)look->skb.head);
        if (enter_tunnel(&look->packet, (u64)look->skb.head) && verdict == NO_MATCH)
            verdict = match_packet(&look->skb, &look->packet, 1);
    }
    if (verdict == NO_MATCH)
        return 0;
    read_memory(&look->skb, sizeof(look->skb), address);
    look->place = place_of(&look->skb, sight->device ? sight->device : (u64)look->skb.dev);
    if (!look->skb.protocol && !look->place.ifindex)
        return 0; /* what unix and netlink sockets send is in skbs, too, but is no packet */
    if (!match_place(&look->place))
        return 0;
    if (verdict == UNPARSED)
        count->unparsed++;
    if (verdict == UNDECIDED)
        count->undecided++;
    return verdict == MATCH;
}

static __always_inline int is_inside_window(u64 now, struct counters *count)
{
    int zero = 0;
    struct window *bounds = window.lookup(&zero);

    if (bounds && now >= bounds->start_ns && now < bounds->end_ns)
        return 1;
    count->outside_window++;
    return 0;
}

static __always_inline void fill(struct record *r, void *ctx, u64 address, u32 point, u64 now, struct look *look,
                                 const struct sight *sight, struct counters *count)
{
    r->time_ns = now;
    r->skb = address;
    r->point = point;
    r->location = sight->location;
    r->reason = sight->reason;
    r->cpu = bpf_get_smp_processor_id();
    r->pid = bpf_get_current_pid_tgid();
    bpf_get_current_comm(r->comm, sizeof(r->comm));
    r->netns = look->place.netns;
    r->ifindex = look->place.ifindex;
    r->stack_id = -1;
#ifdef HAVE_STACKS
    if (sight->stack) {
        r->stack_id = stacks.get_stackid(ctx, 0);
        if (r->stack_id < 0)
            count->stacks_lost++;
    }
#endif
    fill_metadata(r, &look->skb);
    fill_shared_info(r, &look->skb);
    fill_packet(r, &look->skb, &look->packet);
    fill_queue(r, sight->queue_kind, sight->queue);
}

static __always_inline int observe(void *ctx, u64 address, u32 point, const struct sight *sight)
{
    struct counters *count = counters.lookup(&point);
    struct look look;
    u64 now;

    if (!count || !address)
        return 0;
    count->seen++;
    if (read_first(&look, address, sight->typed) || !is_match(&look, sight, address, count))
        return 0;
    now = bpf_ktime_get_ns();
    if (!is_inside_window(now, count))
        return 0;
    count->matched++;
#ifdef USE_RING_BUFFER
    struct record *r = events.ringbuf_reserve(sizeof(struct record));
    if (!r) {
        count->lost++;
        return 0;
    }
    fill(r, ctx, address, point, now, &look, sight, count);
    events.ringbuf_submit(r, BPF_RB_NO_WAKEUP); /* user space comes by itself: a wake-up costs more than the record */
#else
    int zero = 0;
    struct slot *slot = scratch.lookup(&zero);
    if (!slot)
        return 0;
    fill(&slot->record, ctx, address, point, now, &look, sight, count);
    if (events.perf_submit(ctx, slot, sizeof(*slot)))
        count->lost++;
#endif
    return 0;
}
