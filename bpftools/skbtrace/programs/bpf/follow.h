/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Following: a packet that has matched is known again where it does not match any more, after its
 * addresses were translated, inside a tunnel, or as a clone.
 *
 * It is found by the address of its skb, which stays when the memory of its bytes is another one, or
 * by skb->head, which its clones share. Both come back within microseconds for the next packet, and
 * not every free can be seen. So what is found is believed only if its bytes still say what nothing
 * on the way changes: length, IP id, sequence numbers, the first bytes of payload. Where that is all
 * that tells packets apart (not TCP, whose numbers are as good as random), one end has to be the
 * same besides, and every end of a packet has to be seen. One that begins its way again, or was not
 * seen for long, is another one. A packet that is not followed is a pity, a stranger's is forbidden.
 *
 * CPUs may write the same entry at once: what is mixed from two packets has the bytes of neither.
 */

#ifdef FOLLOW
#define ENTRY_BITS 14
#define MARK_BITS 14
#define IP_OTHER 255
#define FOLLOWED_NS 1000000000ull /* it may wait so long in a queue */

BPF_ARRAY(followed, struct followed, 1 << ENTRY_BITS);
/* Where an address is remembered: 16 of its bits, and the number of the entry. Neighbours lie together. */
BPF_ARRAY(marks, u32, 1 << MARK_BITS);

#define ADDRESS_SHIFT 8 /* neither skbs nor heads are smaller */
#define mark_index(address) ((u32)((address) >> ADDRESS_SHIFT) & ((1 << MARK_BITS) - 1))
#define mark_of(address, entry) ((u32)((address) >> (ADDRESS_SHIFT + MARK_BITS) << 16) | (entry))
#define entry_of(address) (((u32)((address) >> ADDRESS_SHIFT) & ((1 << ENTRY_BITS) - 1)) + 1)

/* what a look knows of the packet's past: the entries of its skb and of its bytes; 0, or more than 0xffff: none */
struct trail {
    u32 own;
    u32 shared;
};

#define is_entry(number) ((number) - 1 < 0xffff)
#define is_known(trail) (is_entry((trail)->own) || is_entry((trail)->shared))
#define is_followed(scratch) ((scratch)->sight.followed)
#define here_of(recipe, place) (bits(recipe, POINT, 1023) << 32 | (place)->ifindex)
/* where another tracer records what matches */
#define is_recorded_here(scratch, recipe) (!bits(recipe, ONLY_FOLLOWED, 1) || is_followed(scratch))

/* an address by way of memory: to the verifier it is a number then, with which one can count */
#define as_number(memory, address)                                                                 \
    ({                                                                                             \
        *(volatile u64 *)(memory) = (u64)(address);                                                \
        *(volatile u64 *)(memory);                                                                 \
    })

/* All that is done for most packets: no more than two words are read. */
static __always_inline void begin_trail(struct trail *trail, const struct first_look *first, u64 address,
                                        struct counters *count)
{
    u64 skb = as_number(&count->skb, address), head = as_number(&count->skb, first->head);
    u32 by_skb = mark_index(skb), by_head = mark_index(head);
    u32 *own = marks.lookup(&by_skb), *shared = marks.lookup(&by_head);

    trail->own = own ? *own ^ mark_of(skb, 0) : 0;
    trail->shared = shared ? *shared ^ mark_of(head, 0) : 0;
}

static __always_inline u64 mix(u64 hash, u64 word)
{
    return ((hash ^ hash >> 29) + word) * 0x9e3779b97f4a7c15ull;
}

static __always_inline u64 mix_address(u64 hash, const u32 *words)
{
    return mix(mix(hash, (u64)words[0] << 32 | words[1]), (u64)words[2] << 32 | words[3]);
}

static __always_inline u64 mix_l4(u64 hash, const u32 *l4, u8 protocol)
{
    if (protocol == IP_TCP) /* sequence and acknowledgement number */
        return mix(hash, (u64)l4[1] << 32 | l4[2]);
    if (protocol == IP_UDP) /* length, and not the checksum */
        hash = mix(hash, (u64)(l4[1] & 0xffff) << 32 | l4[2]);
    else if (protocol == IP_ICMP || protocol == IP_ICMPV6) /* type, code and number: the id may be translated */
        hash = mix(mix(hash, l4[0] & 0xffff), (u64)(l4[1] >> 16) << 32 | l4[2]);
    return mix(mix(hash, (u64)l4[3] << 32 | l4[4]), l4[5]);
}

/* Fill in witness and ends, from the IP header and from what is at `l4_address`; returns 0 if that cannot be read. */
static __always_inline int read_witness(struct sight *one, const struct network_bytes *ip, u64 l4_address)
{
    struct followed *now = &one->now;
    u64 hash, ports, length = now->read;

    opaque(length);
    if (length > WITNESS_READ)
        length = WITNESS_READ;
    __builtin_memset(one->l4, 0, WITNESS_READ);
    if (read_memory(one->l4, length, l4_address))
        return 0;
    ports = now->protocol == IP_UDP ? one->l4[0] : 0;
    if (ip->v4.version_length >> 4 == 4) {
        hash = (u64)ip->v4.total_length << 48 | (u64)ip->v4.id << 32 | (u64)ip->v4.fragment << 16 | ip->v4.protocol;
        now->src = mix(ports & 0xffff, ip->v4.src) >> 32;
        now->dst = mix(ports >> 16, ip->v4.dst) >> 32;
    } else {
        hash = (u64)(ip->v6.version_class_flow & be32(0xf00fffff)) << 32 | (u64)ip->v6.payload_length << 16 |
               ip->v6.next_header;
        now->src = mix_address(ports & 0xffff, ip->v6.src) >> 32;
        now->dst = mix_address(ports >> 16, ip->v6.dst) >> 32;
    }
    now->witness = mix_l4(mix(1, hash), one->l4, now->protocol);
    return 1;
}

/* bytes from the transport header on that are there, and are the packet's, no padding */
static __always_inline u32 transport_bytes(const struct packet *p)
{
    u32 length = p->ethertype == ETHERTYPE_IPV4 ? be16(p->network.v4.total_length)
                                                : be16(p->network.v6.payload_length) + sizeof(struct ipv6_header);
    u32 end = length && p->l3 + length < p->end ? p->l3 + length : p->end;

    return p->l4 < end ? end - p->l4 : 0;
}

/* What is to be remembered of a packet that matches; returns 0 if it cannot be told from others. */
static __always_inline int describe(struct sight *one, const struct packet *p)
{
    struct followed *now = &one->now;
    u32 have = transport_bytes(p);

    if (!p->l4)
        return 0;
    now->protocol = p->later_fragment ? IP_OTHER : p->protocol;
    if (have < (now->protocol == IP_TCP ? 12 : 8))
        return 0;
    now->l3 = p->l3;
    now->l4 = p->l4 - p->l3;
    now->read = have < WITNESS_READ ? have : WITNESS_READ;
    return read_witness(one, &p->network, p->base + p->l4);
}

/* Whether a packet is the one that `known` remembers; then `one` is what is to be remembered of it now. */
static __always_inline int is_same(struct sight *one, const struct followed *known, const struct first_look *first,
                                   struct packet *p)
{
    struct followed *now = &one->now;

    now->l3 = known->head == now->head ? known->l3 : first->tail - known->rest;
    now->l4 = known->l4;
    now->protocol = known->protocol;
    now->read = known->read;
    if (now->l3 > p->end || now->l3 + now->l4 + now->read > p->end)
        return 0;
    if (now->l3 != p->l3)
        read_network(p, now->l3);
    if (!read_witness(one, &p->network, p->base + now->l3 + now->l4) || now->witness != known->witness)
        return 0;
#ifdef HAVE_ENDS
    if (now->src == known->src || now->dst == known->dst)
        return 1;
#endif
    return now->protocol == IP_TCP;
}

static __always_inline void clear_mark(u64 address, u32 entry)
{
    u32 index = mark_index(address);
    u32 *mark = marks.lookup(&index);

    if (mark && *mark == mark_of(address, entry))
        *mark = 0;
}

static __always_inline void forget(struct followed *one, u32 entry)
{
    clear_mark(one->skb, entry);
    clear_mark(one->head, entry);
    one->skb = 0;
}

/* The entry that remembers the packet: of one with its skb and one with its bytes the newer, for the other one is stale. */
static __always_inline struct followed *find_followed(const struct trail *trail, const struct followed *now, u32 *entry)
{
    u32 own = trail->own - 1, shared = trail->shared - 1;
    struct followed *one = followed.lookup(&own), *other = followed.lookup(&shared);

    *entry = own + 1;
    if (other && other->skb && other->head == now->head && (!one || one->time_ns < other->time_ns)) {
        *entry = shared + 1;
        return other;
    }
    return one && one->skb == now->skb ? one : 0;
}

/* What a verdict becomes by what is remembered: MATCH, if it is a packet that has matched before. */
static __always_inline int follow(int verdict, const struct trail *trail, struct sight *one, const struct first_look *first,
                                  struct packet *p, u64 address, u64 here, u64 recipe)
{
    struct followed *known;
    u32 entry;

    as_number(&one->now.skb, address);
    as_number(&one->now.head, first->head);
    one->followed = 0;
    if (verdict == MATCH || !is_known(trail) || bits(recipe, MADE_UP, 1))
        return verdict;
    known = find_followed(trail, &one->now, &entry);
    if (!known)
        return verdict;
    one->followed = known->begin != here && bpf_ktime_get_ns() - known->time_ns < FOLLOWED_NS &&
                      is_same(one, known, first, p);
    if (one->followed)
        return MATCH;
    forget(known, entry); /* the address is another packet's now */
    return verdict;
}

/* Whether an entry remembers somebody who may still be on his way, and would be recorded there. */
static __always_inline int is_missed(const struct followed *one, u64 now)
{
    return one->skb && now - one->time_ns < FOLLOWED_NS && is_inside_window(now);
}

/* Let an address lead to the entry of the packet that is seen now. */
static __always_inline void set_mark(u64 address, u32 entry, u64 now, struct counters *count)
{
    u32 index = mark_index(address), wanted = mark_of(address, entry), number, old;
    u32 *mark = marks.lookup(&index);
    struct followed *other;

    if (!mark)
        return;
    old = *mark;
    *mark = wanted;
    if (!old || !((old ^ wanted) >> 16))
        return;
    number = (old & 0xffff) - 1;
    other = followed.lookup(&number);
    if (other)
        count->forgotten += is_missed(other, now);
}

static __always_inline void remember(struct sight *one, const struct first_look *first,
                                     const struct packet *p, u64 here, u64 time_ns, struct counters *count)
{
    struct followed *now = &one->now, *old;
    u32 entry = entry_of(now->skb), number = entry - 1;

    old = followed.lookup(&number);
    if (!old || (!one->followed && !describe(one, p)))
        return;
    now->time_ns = time_ns;
    now->rest = first->tail - now->l3;
    now->begin = old->skb == now->skb && old->witness == now->witness ? old->begin : here;
    if (old->skb != now->skb)
        count->forgotten += is_missed(old, time_ns);
    if (old->skb && (old->skb != now->skb || old->head != now->head))
        forget(old, entry);
    *old = *now;
    set_mark(now->skb, entry, time_ns, count);
    set_mark(now->head, entry, time_ns, count);
}

static __always_inline void forget_skb(const struct followed *now)
{
    u32 entry = entry_of(now->skb), number = entry - 1;
    struct followed *one = followed.lookup(&number);

    if (one && one->skb == now->skb)
        forget(one, entry);
}

static __always_inline void end_trail(int verdict, struct sight *one, const struct first_look *first,
                                      const struct packet *p, u64 here, u64 time_ns, u64 recipe,
                                      struct counters *count)
{
    if (bits(recipe, END, 1))
        forget_skb(&one->now);
    else if (verdict == MATCH && !bits(recipe, MADE_UP, 1))
        remember(one, first, p, here, time_ns, count);
}
#else
struct trail {
    u32 nothing;
};

#define is_known(trail) 0
#define is_followed(scratch) 0
#define here_of(recipe, place) 0
#define is_recorded_here(scratch, recipe) 1
#define begin_trail(trail, first, address, count)
#define follow(verdict, trail, one, first, p, address, here, recipe) (verdict)
#define end_trail(verdict, one, first, p, here, time_ns, recipe, count)
#endif
