/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Sampling: of the packets that match, one in N is taken, and every place on every host takes the
 * same ones. So the choice is a hash of what does not change on the way, of the innermost packet:
 * it is the same inside a tunnel and outside. VLAN tags, TTL, checksums, and what NAT changes
 * (addresses, ports, the id of an echo) do not count. What does:
 *
 * - TCP's bytes, in blocks of 64 KiB of its sequence numbers: GSO, TSO and GRO cut and join as they
 *   like, and a packet is taken if it has a byte of a block that is. So whoever has the block's
 *   bytes has them from everywhere, with all that was sent again; what a packet has of other blocks
 *   is left aside when captures are merged. A SYN, FIN or RST without data goes with its block.
 * - A segment without a byte: its sequence number and what it acknowledges. All that the receiver
 *   of a file says has one sequence number.
 * - IPv4: the IP id, where there is one, so that a datagram is taken with all its fragments and
 *   equal packets are not taken together. IPv6: the id of a fragment.
 * - Else the number of an ICMP echo, and of all others the payload's first bytes. Packets that are
 *   alike in these are all taken or none: it shows when what was taken is far from one in N.
 *
 * A UDP packet that will be cut has the ids and payloads of many: it is always taken, and so is what
 * cannot be read. The salt differs between runs, so that each sees others. Drops are taken whatever
 * their packets are, unless SAMPLE_DROPS. What rewrites sequence numbers or IP ids between two hosts
 * breaks the journeys, as it does where every packet is taken.
 */
#ifdef SAMPLE_BELOW
#define SAMPLE_BLOCK 16   /* bits of a sequence number */
#define SAMPLE_BYTES 32   /* of a payload */
#define TCP_FIN_SYN_RST 7

/* kinds of numbers, so that one is not taken for the other */
#define SAMPLE_TCP_BLOCK 1ull
#define SAMPLE_TCP_ACK 2ull
#define SAMPLE_IP_ID 3ull
#define SAMPLE_OTHER 4ull

/* the finalizer of splitmix64, which fleetmerge/packet/sample.py has, too */
static __always_inline u64 scramble(u64 number)
{
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9ull;
    number = (number ^ number >> 27) * 0x94d049bb133111ebull;
    return number ^ number >> 31;
}

/* 1 or 0 */
static __always_inline u64 falls_in(u64 kind, u64 number)
{
    return is_less(scramble(scramble(number + (kind << 56)) ^ SAMPLE_SALT) >> 32, SAMPLE_BELOW);
}

static __always_inline u64 bytes_fall_in(u32 seq, u64 length)
{
    u32 last = seq + (u32)length - is_less(0, length);

    return falls_in(SAMPLE_TCP_BLOCK, seq >> SAMPLE_BLOCK) | falls_in(SAMPLE_TCP_BLOCK, last >> SAMPLE_BLOCK) |
           is_less(1 << SAMPLE_BLOCK, length);
}

/* bytes of the IP packet behind `offset`; a packet that is too long for its header to say has 0 there */
static __always_inline u64 length_behind(const struct packet *p, const struct first_look *first, u64 address, u32 offset)
{
    u64 length = be16(p->network.v4.total_length);

    if (p->ethertype == ETHERTYPE_IPV6) {
        length = be16(p->network.v6.payload_length);
        length += (1 - is_zero(length)) * sizeof(struct ipv6_header);
    }
    if (!length)
        length = READ_FIELD(struct sk_buff, len, address) + (u32)(first->data - first->head) - p->l3;
    length += p->l3;
    return (1 - is_less(length, offset)) * (length - offset);
}

static __always_inline u64 tcp_falls_in(const struct packet *p, const struct first_look *first, u64 address)
{
    u32 words[4] = {}; /* ports, sequence number, acknowledgement, length and flags */
    u64 length;
    u8 *flags = (u8 *)(words + 3);

    if (p->l4 + sizeof(words) > p->end)
        return 1;
    read_memory(words, sizeof(words), p->base + p->l4);
    length = length_behind(p, first, address, p->l4 + (flags[0] >> 4) * 4);
    if (length || flags[1] & TCP_FIN_SYN_RST)
        return bytes_fall_in(be32(words[1]), length);
    return falls_in(SAMPLE_TCP_ACK, (u64)be32(words[1]) << 32 ^ be32(words[2]));
}

/* whether a UDP packet will be cut into several, or was joined from them */
static __always_inline u64 is_joined(const struct packet *p, const struct first_look *first, u64 address)
{
    u64 shared_info;

    if (p->protocol != IP_UDP)
        return 0;
    shared_info = first->head + READ_FIELD(struct sk_buff, end, address);
    return READ_FIELD(struct skb_shared_info, gso_size, shared_info) != 0;
}

/* the number of an ICMP message, network order: NAT leaves it alone, other than the id before it */
static __always_inline u16 icmp_number(const struct packet *p)
{
    u16 number = 0;

    if (p->l4 && (p->protocol == IP_ICMP || p->protocol == IP_ICMPV6))
        read_memory(&number, sizeof(number), p->base + p->l4 + 6);
    return number;
}

/* where the bytes begin that stay as they are: behind ports, checksums, and the id of an echo */
static __always_inline u32 unchanged(const struct packet *p)
{
    if (!p->l4)
        return p->l3;
    if (p->later_fragment)
        return p->l4;
    if (p->protocol == IP_SCTP)
        return p->l4 + 12;
    return p->l4 + (p->protocol == IP_UDP || p->protocol == IP_ICMP || p->protocol == IP_ICMPV6) * 8;
}

static __always_inline u64 payload_falls_in(const struct packet *p, const struct first_look *first, u64 address)
{
    u64 words[SAMPLE_BYTES / 8] = {}, number = icmp_number(p), length, whole;
    u32 at = unchanged(p);

    length = (1 - is_less(p->end, at)) * (p->end - at);
    if (p->l4) { /* what follows the packet is the padding of a short frame */
        whole = length_behind(p, first, address, at);
        length = whole < length ? whole : length;
    }
    opaque(length);
    if (length > SAMPLE_BYTES)
        length = SAMPLE_BYTES;
    read_memory(words, length, p->base + at);
    for (int i = 0; i < SAMPLE_BYTES / 8; i++)
        number = scramble(number ^ words[i]);
    return falls_in(SAMPLE_OTHER, number >> 8);
}

static __always_inline u64 is_in_sample(const struct packet *p, const struct first_look *first, u64 address)
{
    int tcp = p->l4 && p->protocol == IP_TCP && !p->later_fragment;
    u32 id = 0;

    if (p->ethertype == ETHERTYPE_IPV4) {
        id = be16(p->network.v4.id);
        tcp = tcp && !(be16(p->network.v4.fragment) & 0x3fff);
    } else if (p->ethertype == ETHERTYPE_IPV6 && p->network.v6.next_header == IP_FRAGMENT) {
        read_memory(&id, sizeof(id), p->base + p->l3 + sizeof(struct ipv6_header) + 4);
        id = be32(id);
        tcp = 0;
    }
    if (tcp)
        return tcp_falls_in(p, first, address);
    if (is_joined(p, first, address))
        return 1;
    return id ? falls_in(SAMPLE_IP_ID, id) : payload_falls_in(p, first, address);
}

#ifdef HAVE_MADE_UP
/* TCP's own packet, which has no headers yet */
static __always_inline u64 made_up_falls_in(u64 address, u64 sk)
{
    u64 control = address + __builtin_offsetof(struct sk_buff, cb);
    u32 seq = READ_FIELD(struct tcp_skb_cb, seq, control), length = READ_FIELD(struct sk_buff, len, address);

#ifdef HAVE_TCP_TYPES
    if (!length && !(READ_FIELD(struct tcp_skb_cb, tcp_flags, control) & TCP_FIN_SYN_RST))
        return falls_in(SAMPLE_TCP_ACK, (u64)seq << 32 ^ READ_FIELD(struct tcp_sock, rcv_nxt, sk));
#endif
    return bytes_fall_in(seq, length);
}
#endif
#endif
