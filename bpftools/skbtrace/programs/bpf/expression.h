/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* From a packet to the frame that an expression sees, and to what it says. */

#ifdef FILTER_EXPRESSION
/* the accelerated VLAN tag as it stands in a frame, 0: there is none */
static __always_inline u32 tag_beside(u64 address, int *level)
{
    u16 tag[2] = {}; /* in every kernel vlan_tci stands behind vlan_proto */

    read_memory(tag, sizeof(tag), address + __builtin_offsetof(struct sk_buff, vlan_proto));
#ifndef HAVE_sk_buff_vlan_all
    if (!tag[0])
        return 0;
    /* a tag that was taken away may have left its protocol behind */
    if (*level == NO_SCRATCH)
        *level = read_skb(address);
    struct scratch *scratch = scratches.lookup(level);

    if (!scratch || !vlan_present(&scratch->skb))
        return 0;
    tag[1] = vlan_tag(&scratch->skb);
#endif
    return (u32)be16(tag[0]) << 16 | tag[1];
}
#endif

#if defined(FILTER_EXPRESSION) || defined(FILTER_INNER_EXPRESSION)
/* offset of the packet's end, whatever can be read of it */
static __always_inline s64 packet_end(const struct first_look *first, u64 address)
{
    return (first->data - first->head) + READ_FIELD(struct sk_buff, len, address);
}

/* a load behind the packet's end is "no"; one of bytes that are there, and cannot be read, is not */
static __always_inline int settle(int verdict, const struct frame *frame, const struct first_look *first,
                                  u64 address)
{
    int settled = verdict;

    if (verdict == NO_MATCH)
        return NO_MATCH;
    if (verdict == UNPARSED && frame->beyond && frame->others + (s64)frame->beyond > packet_end(first, address))
        return NO_MATCH;
    /* a number that the verifier does not know: it would go on once for every way that leads here */
    read_memory(&settled, sizeof(settled), &verdict);
    return settled;
}
#endif

#ifdef HAVE_MADE_UP
/* what the expression says of a packet that has no headers yet, of those that it will get */
static __always_inline int judge_made_up(const struct packet *p, u64 address, int *level)
{
#ifdef FILTER_EXPRESSION
    /* version, fragment, protocol, addresses, ports; version, next header, addresses, ports */
    u64 known = p->ethertype == ETHERTYPE_IPV4 ? 0xfff2c1 : 0xfffffffff41;
    struct scratch *scratch;
    struct frame frame;
    u64 bytes;

    *level = read_skb(address);
    scratch = scratches.lookup(level);
    if (!scratch)
        return UNPARSED;
    __builtin_memcpy(scratch->bytes, &p->network.v4, sizeof(struct ipv6_header) + 4);
    *(volatile u64 *)&scratch->base = (u64)scratch->bytes;
    bytes = *(volatile u64 *)&scratch->base;
    lay_out(&frame, bytes, 0, 0, 0, p->l4 + 4, 0, p->ethertype);
    frame.known = known;
    return judge_frame(&frame);
#elif defined(FILTER_INNER_EXPRESSION)
    return NO_MATCH;
#else
    return MATCH;
#endif
}
#endif

/* what the expression says of the packet as it is */
static __always_inline int judge_outer(const struct first_look *first, const struct packet *p, u64 recipe, u64 address,
                                       int *level)
{
#ifdef FILTER_EXPRESSION
    u32 l3 = network_offset(first, bits(recipe, PULLED, 1)), start = first_offset(first, l3);
    u16 ethertype = be16(first->protocol);
    struct frame frame;
    u8 version = 0;

    if (!ethertype && bits(recipe, IP, 1)) {
        read_memory(&version, sizeof(version), p->base + l3);
        ethertype = ethertype_of(version);
    }
    if (start == l3 && !ethertype)
        return NO_MATCH; /* no packet */
    lay_out(&frame, p->base, 1 - is_zero(start ^ l3), start, l3, p->end, tag_beside(address, level), ethertype);
    return settle(judge_frame(&frame), &frame, first, address);
#elif defined(FILTER_INNER_EXPRESSION)
    return NO_MATCH;
#else
    return MATCH;
#endif
}

/* what the other expression says of what a tunnel carries */
static __always_inline int judge_inner(const struct first_look *first, const struct packet *p, u64 address)
{
#ifdef FILTER_INNER_EXPRESSION
    struct frame frame;

    if (!p->inner)
        return p->cut && p->end < packet_end(first, address) ? UNPARSED : NO_MATCH;
    lay_out(&frame, p->base, is_zero(p->carried ^ ETHERTYPE_BRIDGED), p->inner, p->inner, p->end, 0, p->carried);
    return settle(judge_inner_frame(&frame), &frame, first, address);
#else
    return NO_MATCH;
#endif
}
