/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * One skb at one point: filter, window, record.
 *
 * What a point knows beyond the skb itself, its recipe tells: bits(recipe, PULLED, 1) and the like.
 * To the verifier that is a constant, so that a copy of the program has only the branches that its
 * point takes; and the hook's other arguments are asked for where they are needed, not carried along.
 */

/* In one struct, so that the compiler lays it out once: the stack of a BPF program is 512 bytes. */
struct look {
    struct first_look first;
    struct packet packet;
    struct place place;
    struct trail trail;
};

/* the fields of a first look lie together in every kernel, in this order */
#define FIRST_BEGIN (__builtin_offsetof(struct sk_buff, protocol) & ~7)
#define FIRST_END (__builtin_offsetof(struct sk_buff, data) + 8)
#define take_field(first, raw, field)                                                               \
    (first)->field = *(typeof((first)->field) *)((void *)(raw) + __builtin_offsetof(struct sk_buff, field) - FIRST_BEGIN)

/* one field of an skb that the verifier knows as such */
#define load_field(first, from, size, field)                                                       \
    do {                                                                                           \
        u64 value_;                                                                                \
        load_as(size, value_, from, __builtin_offsetof(struct sk_buff, field));                    \
        (first)->field = (typeof((first)->field))value_;                                           \
    } while (0)

static __always_inline void load_first(struct first_look *first, u64 from)
{
    load_field(first, from, u16, protocol);
    load_field(first, from, u16, network_header);
    load_field(first, from, u16, mac_header);
    load_field(first, from, u32, tail);
    load_field(first, from, u32, data_len);
    load_field(first, from, u64, head);
    load_field(first, from, u64, data);
}

/* Returns 0 if it worked. */
static __always_inline int read_first(struct first_look *first, u64 address, u8 typed)
{
    u64 raw[(FIRST_END - FIRST_BEGIN) / 8] = {};
    int failed;

    if (typed) {
        load_first(first, address);
        return 0;
    }
#ifdef HAVE_CAST
    load_first(first, cast(address, CAST_sk_buff));
    return 0;
#endif
    failed = read_memory(raw, sizeof(raw), address + FIRST_BEGIN);
    first->data_len = NOT_READ;
    take_field(first, raw, protocol);
    take_field(first, raw, network_header);
    take_field(first, raw, mac_header);
    take_field(first, raw, tail);
    take_field(first, raw, head);
    take_field(first, raw, data);
    return failed;
}

/* Find where a packet's first bytes can be read: in a scratch where its headers are not all in the linear part. */
static __always_inline void find_bytes(struct look *look, u64 recipe, u64 address, int *level)
{
    struct packet *p = &look->packet;

    p->base = look->first.head;
    p->end = look->first.tail;
#ifdef HAVE_LARGE_PROGRAMS
    u32 l3 = network_offset(&look->first, bits(recipe, PULLED, 1));

    if (may_be_cut(&look->first, l3, address)) {
        struct scratch *scratch;

        *level = read_skb(address);
        scratch = scratches.lookup(level);
        if (scratch) {
            gather(scratch, first_offset(&look->first, l3));
            p->base = *(volatile u64 *)&scratch->base;
            p->end = *(volatile u64 *)&scratch->end;
        }
    }
#endif
}

/* Returns 0 if there are none. */
static __always_inline int find_headers(struct look *look, u64 recipe)
{
    struct packet *p = &look->packet;
    int found = find_network(&look->first, p, bits(recipe, PULLED, 1), bits(recipe, IP, 1));

    if (found)
        find_transport(p);
    return found;
}

/*
 * What the filter says of the packet's bytes, as far as p->base and p->end let them be read. A flow
 * is followed into a tunnel; where the tunnel itself is the flow, the inner headers are recorded too.
 */
static __always_inline int judge_bytes(struct packet *p, int found)
{
    int verdict = match_packet(p, found), inner;

    if (found && enter_tunnel(p)) {
        find_transport(p);
        if (match_inner_vlan(p)) {
            inner = match_packet(p, 1);
            p->inner_fits = inner == MATCH;
            if (verdict == NO_MATCH)
                verdict = inner;
        }
    }
    return verdict == NO_MATCH && p->cut ? UNPARSED : verdict;
}

static __always_inline int judge_packet(struct look *look, void *ctx, u64 recipe, u64 address, int *level)
{
    struct packet *p = &look->packet;
    int outer, verdict;

#ifdef HAVE_MADE_UP
    if (bits(recipe, MADE_UP, 1)) {
        if (!make_up_packet(p, argument(ctx, recipe, SOCK)))
            return NO_MATCH;
        return both(match_packet(p, 1), judge_made_up(p, address, level));
    }
#endif
    find_bytes(look, recipe, address, level);
    outer = judge_outer(&look->first, p, recipe, address, level);
#ifndef FILTER_INNER_EXPRESSION
    if (outer == NO_MATCH && !is_known(&look->trail))
        return NO_MATCH;
#endif
    verdict = judge_bytes(p, find_headers(look, recipe));
    return both(verdict, either(outer, judge_inner(&look->first, p, address)));
}

/* what else the filter says, of the skb in scratch */
static __always_inline int judge_place(int verdict, struct look *look, void *ctx, u64 recipe,
                                       u64 address, struct scratch *scratch)
{
    const struct sk_buff *skb = &scratch->skb;
    u64 device = argument(ctx, recipe, DEVICE);
    int here;

    if (!match_vlan(skb, &look->packet))
        verdict = NO_MATCH;
    look->place = place_of(skb, device ? device : (u64)skb->dev, argument(ctx, recipe, SOCK));
    if (!skb->protocol && !look->place.ifindex && !bits(recipe, IP, 1) && !bits(recipe, MADE_UP, 1))
        return NO_MATCH; /* what unix and netlink sockets send is in skbs, too, but is no packet */
    verdict = follow(verdict, &look->trail, &scratch->sight, &look->first, &look->packet, address,
                     here_of(recipe, &look->place), recipe);
    if (verdict == NO_MATCH)
        return NO_MATCH;
    here = match_place(&look->place);
    return here == MATCH || (here == NO_DEVICE && verdict != MATCH) ? verdict : here;
}

#ifdef SAMPLE_BELOW
/*
 * Whether the packet is among those that are taken. To the verifier, what is known of the packet by
 * now, and what comes out, are numbers from memory: it goes on once, not for each way that leads here.
 */
static __always_inline u64 is_taken(struct look *look, void *ctx, u64 recipe, u64 address)
{
    u64 taken, known = 1;

#ifndef SAMPLE_DROPS
    if (bits(recipe, STACK, 1)) /* of drops */
        return 1;
#endif
    read_memory(&look->packet, sizeof(look->packet), &look->packet);
#ifdef HAVE_MADE_UP
    if (bits(recipe, MADE_UP, 1))
        taken = made_up_falls_in(address, argument(ctx, recipe, SOCK));
    else
#endif
        taken = is_in_sample(&look->packet, &look->first, address);
    read_memory(&known, sizeof(known), &taken);
    return known;
}
#else
#define is_taken(look, ctx, recipe, address) 1
#endif

/* whether a record is to be made of the skb; counts why not */
static __always_inline int is_wanted(int verdict, u64 now, struct counters *count)
{
    if (!is_inside_window(now)) {
        if (verdict == MATCH)
            count->outside_window++;
        return 0;
    }
    if (verdict == MATCH)
        count->matched++;
    else if (verdict == UNPARSED)
        count->unparsed++;
    else if (verdict == UNDECIDED)
        count->undecided++;
    else
        count->no_device++;
    return verdict == MATCH;
}

/* Count a packet that is not taken at once, where the filter asks nothing that its skb would have to be read for. */
static __always_inline int leave_out(const struct look *look, int level, struct counters *count)
{
#if defined(FILTER_NETNS) || defined(FILTER_INTERFACES) || defined(FILTER_VLAN)
    return 0;
#else
    if (level != NO_SCRATCH || !look->first.protocol)
        return 0;
    if (is_wanted(MATCH, bpf_ktime_get_ns(), count))
        count->sampled_out++;
    return 1;
#endif
}

#ifdef HAVE_STACKS
/*
 * Two stacks may fall into one bucket of the table, and the first one keeps it. Without its
 * innermost frame, which is the tracer's own, the second one is as good, and falls elsewhere.
 */
static __always_inline s32 take_stack(void *ctx, struct counters *count)
{
    s32 id = stacks.get_stackid(ctx, 0);

    if (id < 0)
        id = stacks.get_stackid(ctx, 1);
    if (id < 0)
        count->stacks_lost++;
    return id;
}
#endif

static __always_inline void fill(struct record *r, void *ctx, u64 address, u64 now, struct look *look,
                                 u64 recipe, struct counters *count, struct scratch *scratch)
{
    const struct sk_buff *skb = &scratch->skb;

    r->time_ns = now;
    r->skb = address;
    r->point = bits(recipe, POINT, 1023);
    r->location = argument(ctx, recipe, LOCATION);
    r->reason = argument(ctx, recipe, REASON);
    r->cpu = bpf_get_smp_processor_id();
    r->pid = bpf_get_current_pid_tgid();
    bpf_get_current_comm(r->comm, sizeof(r->comm));
    r->netns = look->place.netns;
    r->ifindex = look->place.ifindex;
    r->followed = is_followed(scratch);
    r->stack_id = -1;
#ifdef HAVE_STACKS
    if (bits(recipe, STACK, 1))
        r->stack_id = take_stack(ctx, count);
#endif
    fill_metadata(r, skb);
    fill_shared_info(r, scratch);
#ifdef HAVE_MADE_UP
    if (bits(recipe, MADE_UP, 1))
        fill_made_up(r, skb, &look->packet, address, argument(ctx, recipe, SOCK));
    else
#endif
        fill_packet(r, &look->packet, find_payload(&look->packet), scratch);
    if (bits(recipe, IP, 1) && !r->protocol)
        r->protocol = ethertype_of(r->packet[0]);
    fill_queue(r, ctx, recipe, look->place.device, scratch);
    fill_fields(r, address, skb, look->place.device, argument(ctx, recipe, SOCK));
}

static __always_inline void make_record(void *ctx, u64 address, u64 now, struct look *look,
                                        u64 recipe, struct counters *count, struct scratch *scratch)
{
#ifdef USE_RING_BUFFER
    struct record *r = events.ringbuf_reserve(sizeof(struct record));

    if (!r) {
        count->lost++;
        return;
    }
    fill(r, ctx, address, now, look, recipe, count, scratch);
    events.ringbuf_submit(r, BPF_RB_NO_WAKEUP); /* user space comes by itself: a wake-up costs more than the record */
#else
    fill(&scratch->record, ctx, address, now, look, recipe, count, scratch);
    if (events.perf_submit(ctx, &scratch->header, sizeof(u64) + sizeof(struct record)))
        count->lost++;
#endif
}

/* Over the rate limit, what costs is left out: nor is the packet followed from here on. */
static __always_inline int shed(struct counters *count)
{
    count->shed++;
    return NO_MATCH;
}

static __always_inline int observe(void *ctx, u64 address, u64 recipe)
{
    u32 point = bits(recipe, POINT, 1023);
    struct counters *count = counters.lookup(&point);
    int verdict, level = NO_SCRATCH;
    struct scratch *scratch;
    struct look look;
    u64 now = 0, taken;

    if (!count || !address)
        return 0;
    count->seen++;
    if (read_first(&look.first, address, bits(recipe, TYPED, 1)))
        return 0;
    begin_trail(&look.trail, &look.first, address, count);
    if (!is_known(&look.trail) && is_elsewhere(address, argument(ctx, recipe, DEVICE)))
        return 0;
    verdict = judge_packet(&look, ctx, recipe, address, &level);
    if (verdict == NO_MATCH && level == NO_SCRATCH && !is_known(&look.trail))
        return 0;
    taken = verdict != MATCH || is_taken(&look, ctx, recipe, address);
    if (!taken && leave_out(&look, level, count))
        return 0;
    if (level == NO_SCRATCH)
        level = read_skb(address);
    scratch = scratches.lookup(&level);
    if (!scratch) {
        count->lost++;
        return 0;
    }
    if (verdict != NO_MATCH || is_known(&look.trail))
        verdict = judge_place(verdict, &look, ctx, recipe, address, scratch);
    if (verdict != NO_MATCH || is_known(&look.trail))
        now = bpf_ktime_get_ns();
    if (verdict != NO_MATCH && is_recorded_here(scratch, recipe)) {
        if (is_wanted(verdict, now, count)) {
            count->followed += is_followed(scratch);
            if (!taken)
                count->sampled_out++;
            else if (is_within_rate(now))
                make_record(ctx, address, now, &look, recipe, count, scratch);
            else
                verdict = shed(count);
        }
    }
    end_trail(verdict, &scratch->sight, &look.first, &look.packet, here_of(recipe, &look.place), now, recipe,
              count);
    give_back(scratch);
    return 0;
}
