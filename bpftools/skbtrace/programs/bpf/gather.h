/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Headers that do not all lie in the linear part go on in its first page fragment, or in the skb
 * that hangs on this one. Then the first bytes of both are copied in a row, and `base` is moved so
 * that every offset leads into the copy. It is rare: packets that a guest hands over in pages.
 */

#define MAY_BE_NEEDED PACKET_MAX /* bytes, from the network header on */

/*
 * Whether headers may go on outside of the linear part: of most packets they do not, and this must
 * cost nothing. Those of TCP are in the linear part, and of a large segment little else is.
 */
static __always_inline int may_be_cut(const struct first_look *first, u32 l3, u64 address)
{
    u8 ip[10] = {};
    u32 linear = first->tail - l3;

    if (!first->data_len || linear >= MAY_BE_NEEDED)
        return 0;
    if (first->data_len == NOT_READ && !READ_FIELD(struct sk_buff, data_len, address))
        return 0;
    read_memory(ip, sizeof(ip), first->head + l3);
    if (ip[0] >> 4 == 4)
        return ip[9] != IP_TCP || linear < sizeof(struct ipv4_header) + 20;
    return ip[0] >> 4 != 6 || ip[6] != IP_TCP || linear < sizeof(struct ipv6_header) + 20;
}

/* the first fragment; struct bio_vec, struct skb_frag and its netmem have been three names for these fields */
struct fragment {
    u64 page;
    u32 length;
    u32 offset;
};

static __always_inline u64 first_fragment(u64 shared_info, u32 *length)
{
#ifdef DIRECT_MAP
    struct fragment fragment = {};

    read_memory(&fragment, sizeof(fragment), shared_info + __builtin_offsetof(struct skb_shared_info, frags));
    if (!fragment.page || (fragment.page & 1)) /* memory of a device, which the CPU cannot read */
        return 0;
    *length = fragment.length;
    return DIRECT_MAP + (fragment.page - PAGE_STRUCTS) / PAGE_STRUCT_SIZE * PAGE_BYTES + fragment.offset;
#else
    return 0;
#endif
}

static __always_inline u64 hanging_skb(u64 address, u32 *length)
{
    *length = READ_FIELD(struct sk_buff, len, address) - READ_FIELD(struct sk_buff, data_len, address);
    return (u64)READ_FIELD(struct sk_buff, data, address);
}

/*
 * Set scratch->base and scratch->end to a copy of the packet's first bytes that goes further than
 * the linear part, if there is more. By way of memory, so that to the verifier they are numbers.
 */
static __always_inline void gather(struct scratch *scratch, u32 start)
{
    const struct sk_buff *skb = &scratch->skb;
    u64 shared_info = (u64)skb->head + skb->end;
    u64 have = skb->tail - start, more;
    u32 length = 0;
    u64 from = 0;

    *(volatile u64 *)&scratch->base = (u64)skb->head;
    *(volatile u64 *)&scratch->end = skb->tail;
    opaque(have);
    if (have >= GATHERED)
        return;
    if (READ_FIELD(struct skb_shared_info, nr_frags, shared_info))
        from = first_fragment(shared_info, &length);
    else if (READ_FIELD(struct skb_shared_info, frag_list, shared_info))
        from = hanging_skb((u64)READ_FIELD(struct skb_shared_info, frag_list, shared_info), &length);
    more = length;
    opaque(more);
    if (!from)
        return;
    if (more >= GATHERED)
        more = GATHERED - 1;
    bound(have, GATHERED - 1);
    read_memory(scratch->bytes, have, (u64)skb->head + start);
    bound(have, GATHERED - 1);
    bound(more, GATHERED - 1);
    if (read_memory(scratch->bytes + have, more, from))
        return;
    *(volatile u64 *)&scratch->base = (u64)scratch->bytes;
    *(volatile u64 *)&scratch->base -= start;
    *(volatile u64 *)&scratch->end = start + have + more;
}
