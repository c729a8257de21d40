/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Finding the headers of a packet. Offsets count from skb->head, wherever the bytes are read from.
 * The Ethernet header, where there is one, is believed rather than skb->protocol: a VLAN tag may be
 * in the frame itself, and kernels disagree on whether network_header then points before or behind it.
 */
#define ETHERNET_LENGTH 14
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8
#define ETHERTYPE_IPV6 0x86dd
#define IP_ICMP 1
#define IP_TCP 6
#define IP_UDP 17
#define IP_HOP_BY_HOP 0
#define IP_ROUTING 43
#define IP_FRAGMENT 44
#define IP_AUTHENTICATION 51
#define IP_DESTINATION 60
#define MOST_EXTENSIONS 6 /* RFC 8200 foresees every kind once, and destination options twice */
#define IP_ICMPV6 58
#define IP_SCTP 132

struct ipv4_header {
    u8 version_length;
    u8 tos;
    u16 total_length;
    u16 id;
    u16 fragment;
    u8 ttl;
    u8 protocol;
    u16 checksum;
    u32 src;
    u32 dst;
};

struct ipv6_header {
    u32 version_class_flow;
    u16 payload_length;
    u8 next_header;
    u8 hop_limit;
    u32 src[4];
    u32 dst[4];
};

/* ARP for IPv4 over Ethernet; in 16-bit parts, because the addresses lie on odd halves */
struct arp_packet {
    u16 hardware, protocol;
    u8 hardware_length, protocol_length;
    u16 operation;
    u16 sender_mac[3], sender_ip[2];
    u16 target_mac[3], target_ip[2];
};

/* the ethertype, the network header and, where nothing stands between, the ports: all come with one read */
struct network_bytes {
    u16 align; /* puts the addresses on 4 bytes: the verifier wants stack accesses aligned */
    u16 ethertype;
    union {
        struct {
            struct ipv4_header v4;
            u16 ports_v4[2];
        };
        struct {
            struct ipv6_header v6;
            u16 ports_v6[2];
        };
        struct arp_packet arp;
        u16 vlan[2]; /* tag, next ethertype */
    };
};

/* of eight bytes each that are read at once: IPv4 and ARP need fewer, and a filter for them reads no more */
#if FILTER_FAMILY == 4
#define NETWORK_WORDS 4
#else
#define NETWORK_WORDS 6
#endif

#define NOT_READ 0xffffffff

/* what of an skb says where its headers are: all that is read of it for most packets */
struct first_look {
    u64 head;
    u64 data;
    u32 tail;
    u32 data_len; /* or NOT_READ: it lies apart from the others */
    u16 protocol;
    u16 network_header;
    u16 mac_header;
};

struct packet {
    union {
        struct network_bytes network;
        u64 words[NETWORK_WORDS];
    };
    u64 base;      /* address to which all offsets are added: skb->head, or that of a copy */
    u32 start;     /* first header byte */
    u32 l3;        /* network header */
    u32 l4;        /* transport header, 0: there is none */
    u32 end;       /* of the bytes that can be read: where the linear part ends, or the copy */
    u32 inner;     /* what a tunnel carries begins here, 0: it is none */
    u16 ethertype; /* host order, behind all tags */
    u16 vlan;      /* outermost tag in the frame itself, 0xffff: none */
    u16 inner_vlan; /* the same of the frame that a tunnel carries */
    u16 carried;   /* ethertype of what a tunnel carries */
    u8 layer;      /* 2 or 3: what stands at `start` */
    u8 protocol;   /* IP protocol, behind extension headers */
    u8 later_fragment; /* not the first fragment: no ports in it */
    u8 inner_fits; /* what a tunnel carries fits the filter, its VLAN tag too */
    u8 cut;        /* its headers go on where they could not be read */
};

/* bytes that a network header of this ethertype has at least */
static __always_inline u32 network_length(u16 ethertype)
{
    if (ethertype == ETHERTYPE_IPV4)
        return sizeof(struct ipv4_header);
    if (ethertype == ETHERTYPE_IPV6)
        return sizeof(struct ipv6_header);
    if (ethertype == ETHERTYPE_ARP)
        return sizeof(struct arp_packet);
    return 0;
}

/* read the network header at an offset, and the ethertype before it, if there is one */
static __always_inline void read_network(struct packet *p, u32 l3)
{
#ifdef HAVE_CAST
    u64 from = cast(p->base + l3 - 4, CAST_WORDS);

    load_as(u64, p->words[0], from, 0);
    load_as(u64, p->words[1], from, 8);
    load_as(u64, p->words[2], from, 16);
    load_as(u64, p->words[3], from, 24);
#if NETWORK_WORDS > 4
    load_as(u64, p->words[4], from, 32);
    load_as(u64, p->words[5], from, 40);
#endif
    in_memory(&p->network);
#else
    read_memory(&p->network.ethertype, 8 * NETWORK_WORDS - 2, p->base + l3 - 2);
#endif
}

static __always_inline int is_vlan(u16 ethertype)
{
    return ethertype == ETHERTYPE_VLAN || ethertype == ETHERTYPE_QINQ;
}

static __always_inline void skip_vlan_tag(struct packet *p, u16 *outermost)
{
    if (!is_vlan(p->ethertype))
        return;
    if (*outermost == OFFSET_UNSET)
        *outermost = be16(p->network.vlan[0]);
    p->l3 += 4;
    read_network(p, p->l3);
    p->ethertype = be16(p->network.ethertype);
}

/* read the network header that an ethertype announces, behind up to two VLAN tags */
static __always_inline void read_ethertype(struct packet *p, u16 *outermost)
{
    *outermost = OFFSET_UNSET;
    read_network(p, p->l3);
    p->ethertype = be16(p->network.ethertype);
    skip_vlan_tag(p, outermost);
    skip_vlan_tag(p, outermost);
}

/* whether the network header is all there */
static __always_inline int has_network(struct packet *p)
{
    p->cut = p->l3 + network_length(p->ethertype) > p->end || is_vlan(p->ethertype);
    return !p->cut;
}

/* what an IP packet begins with tells its version */
static __always_inline u16 ethertype_of(u8 first)
{
    if (first >> 4 == 4)
        return ETHERTYPE_IPV4;
    return first >> 4 == 6 ? ETHERTYPE_IPV6 : 0;
}

static __always_inline u32 network_offset(const struct first_look *skb, int pulled)
{
    return pulled ? (u32)(skb->data - skb->head) : skb->network_header;
}

/* where the Ethernet header is, if there is one, or else the network header, `l3` */
static __always_inline u32 first_offset(const struct first_look *skb, u32 l3)
{
    return skb->mac_header != OFFSET_UNSET && skb->mac_header + ETHERNET_LENGTH <= l3 ? skb->mac_header : l3;
}

/*
 * Find the network header; `base` and `end` are set. `pulled`: the point sees packets whose data
 * begins at the network header while network_header is not set yet (receive); `ip`: it sees IP
 * packets of which skb->protocol does not know yet. Returns 0 if the header cannot be read.
 */
static __always_inline int find_network(const struct first_look *skb, struct packet *p, int pulled, int ip)
{
    p->vlan = OFFSET_UNSET;
    __builtin_memset(&p->network, 0, sizeof(p->network)); /* old verifiers refuse bytes that were never written */
    p->l4 = 0;
    p->protocol = 0;
    p->later_fragment = 0;
    p->inner_fits = 0;
    p->inner = 0;
    p->l3 = network_offset(skb, pulled);
    p->start = first_offset(skb, p->l3);
    if (p->start != p->l3) {
        p->layer = 2;
        p->l3 = p->start + ETHERNET_LENGTH;
        read_ethertype(p, &p->vlan);
    } else {
        p->layer = 3;
        read_network(p, p->l3);
        p->ethertype = ip && !skb->protocol ? ethertype_of(p->network.v4.version_length) : be16(skb->protocol);
    }
    return has_network(p);
}

static __always_inline void find_transport_v4(struct packet *p)
{
    p->protocol = p->network.v4.protocol;
    p->later_fragment = (be16(p->network.v4.fragment) & 0x1fff) != 0;
    p->l4 = p->l3 + (p->network.v4.version_length & 0x0f) * 4;
}

static __always_inline u64 is_extension(u8 protocol)
{
    u64 kinds = 1ull << IP_HOP_BY_HOP | 1ull << IP_ROUTING | 1ull << IP_FRAGMENT | 1ull << IP_AUTHENTICATION |
                1ull << IP_DESTINATION;

    return kinds >> (protocol & 63) & is_zero(protocol >> 6);
}

/* one extension header: 1 if there was one to step over; p->cut is set if there is one that cannot be read */
static __always_inline u64 skip_extension(struct packet *p)
{
    u64 extension = is_extension(p->protocol) & is_zero(p->later_fragment);
    u64 fragment = is_zero(p->protocol ^ IP_FRAGMENT), authentication = is_zero(p->protocol ^ IP_AUTHENTICATION);
    u8 bytes[4] = {};

    if (!extension)
        return 0;
    p->cut |= is_less(p->end, p->l4 + 8);
    read_memory(bytes, sizeof(bytes), p->base + p->l4);
    p->later_fragment = fragment & !is_zero(bytes[2] | (bytes[3] & 0xf8));
    /* RFC 8200 and 4302: in units of eight bytes that the first is not counted in, of four in an authentication header */
    p->l4 += 8 + (1 - fragment) * (u64)bytes[1] * (8 >> authentication);
    p->protocol = bytes[0];
    return 1;
}

static __always_inline void find_transport_v6(struct packet *p)
{
    p->protocol = p->network.v6.next_header;
    p->l4 = p->l3 + sizeof(struct ipv6_header);
    LOOP
    for (int i = 0; i < MOST_EXTENSIONS; i++)
        if (!skip_extension(p))
            return;
    p->cut |= is_extension(p->protocol) & is_zero(p->later_fragment);
}

static __always_inline void find_transport(struct packet *p)
{
    if (p->ethertype == ETHERTYPE_IPV4)
        find_transport_v4(p);
    else if (p->ethertype == ETHERTYPE_IPV6)
        find_transport_v6(p);
}

/* how many bytes an ICMP message's headers have: errors quote the headers of the packet they are about */
static __always_inline u32 icmp_length(const struct packet *p)
{
    u8 type = 0;

    read_memory(&type, 1, p->base + p->l4);
    if (p->protocol == IP_ICMPV6) {
        if (type < 128)
            return 8 + sizeof(struct ipv6_header) + 8;
        return type == 135 || type == 136 ? 24 : 8; /* neighbour discovery: the target's address */
    }
    if (type == 3 || type == 5 || type == 11 || type == 12)
        return 8 + sizeof(struct ipv4_header) + 8;
    return 8;
}

/* the first byte behind the headers: from here on it is payload */
static __always_inline u32 find_payload(const struct packet *p)
{
    u8 words = 0;

    if (!p->l4)
        return p->l3 + network_length(p->ethertype);
    if (p->later_fragment)
        return p->l4;
    switch (p->protocol) {
    case IP_TCP:
        read_memory(&words, 1, p->base + p->l4 + 12);
        return p->l4 + (words >> 4) * 4;
    case IP_UDP:
        return p->l4 + 8;
    case IP_SCTP:
        return p->l4 + 12;
    case IP_ICMP:
    case IP_ICMPV6:
        return p->l4 + icmp_length(p);
    }
    return p->l4;
}
