/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Finding the headers of a packet. Offsets count from skb->head. The Ethernet header, where there
 * is one, is believed rather than skb->protocol: a VLAN tag may be in the frame itself, and
 * kernels disagree on whether network_header then points before or behind it.
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
#define IP_FRAGMENT 44
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

/* bytes from the ethertype on that are read at once: IPv4 and ARP need fewer, and a filter for them reads no more */
#if FILTER_FAMILY == 4
#define NETWORK_READ (2 + sizeof(struct arp_packet))
#else
#define NETWORK_READ (sizeof(struct network_bytes) - 2)
#endif

struct packet {
    struct network_bytes network;
    u32 start;     /* first header byte */
    u32 l3;        /* network header */
    u32 l4;        /* transport header, 0: not looked for */
    u32 linear;    /* end of the bytes that lie in the linear part */
    u16 ethertype; /* host order, behind all tags */
    u16 vlan;      /* tag in the frame itself, 0xffff: none */
    u8 layer;      /* 2 or 3: what stands at `start` */
    u8 protocol;   /* IP protocol, behind extension headers */
    u8 later_fragment; /* not the first fragment: no ports in it */
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

static __always_inline void skip_vlan_tag(struct packet *p, u64 head)
{
    if (p->ethertype != ETHERTYPE_VLAN && p->ethertype != ETHERTYPE_QINQ)
        return;
    p->vlan = be16(p->network.vlan[0]);
    p->l3 += 4;
    read_memory(&p->network.ethertype, NETWORK_READ, head + p->l3 - 2);
    p->ethertype = be16(p->network.ethertype);
}

/*
 * Find the network header. `pulled`: the point sees packets whose data begins at the network
 * header while network_header is not set yet (receive). Returns 0 if the headers are not all in
 * the linear part of an skb.
 */
static __always_inline int find_network(const struct sk_buff *skb, struct packet *p, int pulled)
{
    u64 head = (u64)skb->head;
    u32 mac = skb->mac_header;

    p->linear = skb->tail;
    p->vlan = OFFSET_UNSET;
    __builtin_memset(&p->network, 0, sizeof(p->network)); /* old verifiers refuse bytes that were never written */
    p->l4 = 0;
    p->protocol = 0;
    p->later_fragment = 0;
    p->l3 = pulled ? (u32)((u64)skb->data - head) : skb->network_header;
    if (mac != OFFSET_UNSET && mac + ETHERNET_LENGTH <= p->l3) {
        p->layer = 2;
        p->start = mac;
        p->l3 = mac + ETHERNET_LENGTH;
        read_memory(&p->network.ethertype, NETWORK_READ, head + p->l3 - 2);
        p->ethertype = be16(p->network.ethertype);
        skip_vlan_tag(p, head);
        skip_vlan_tag(p, head);
    } else {
        p->layer = 3;
        p->start = p->l3;
        p->ethertype = be16(skb->protocol);
        read_memory(&p->network.v4, NETWORK_READ - 2, head + p->l3);
    }
    return p->l3 + network_length(p->ethertype) <= p->linear;
}

static __always_inline void find_transport_v4(struct packet *p)
{
    p->protocol = p->network.v4.protocol;
    p->later_fragment = (be16(p->network.v4.fragment) & 0x1fff) != 0;
    p->l4 = p->l3 + (p->network.v4.version_length & 0x0f) * 4;
}

/* one extension header: 1 if there was one to step over */
static __always_inline int skip_extension(struct packet *p, u64 head)
{
    u8 bytes[4] = {};

    if (p->later_fragment)
        return 0;
    /* hop-by-hop, routing, fragment, destination options */
    if (p->protocol != 0 && p->protocol != 43 && p->protocol != IP_FRAGMENT && p->protocol != 60)
        return 0;
    read_memory(bytes, sizeof(bytes), head + p->l4);
    if (p->protocol == IP_FRAGMENT) {
        p->later_fragment = bytes[2] != 0 || (bytes[3] & 0xf8) != 0;
        p->l4 += 8;
    } else {
        p->l4 += (bytes[1] + 1) * 8;
    }
    p->protocol = bytes[0];
    return 1;
}

static __always_inline void find_transport_v6(struct packet *p, u64 head)
{
    p->protocol = p->network.v6.next_header;
    p->l4 = p->l3 + sizeof(struct ipv6_header);
    /* four in a row are more than anybody sends */
    if (skip_extension(p, head) && skip_extension(p, head) && skip_extension(p, head))
        skip_extension(p, head);
}

static __always_inline void find_transport(struct packet *p, u64 head)
{
    if (p->l4)
        return;
    if (p->ethertype == ETHERTYPE_IPV4)
        find_transport_v4(p);
    else if (p->ethertype == ETHERTYPE_IPV6)
        find_transport_v6(p, head);
}

/* how many bytes an ICMP message's headers have: errors quote the headers of the packet they are about */
static __always_inline u32 icmp_length(const struct packet *p, u64 head)
{
    u8 type = 0;

    read_memory(&type, 1, head + p->l4);
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
static __always_inline u32 find_payload(struct packet *p, u64 head)
{
    u8 words = 0;

    find_transport(p, head);
    if (!p->l4)
        return p->l3 + network_length(p->ethertype);
    if (p->later_fragment)
        return p->l4;
    switch (p->protocol) {
    case IP_TCP:
        read_memory(&words, 1, head + p->l4 + 12);
        return p->l4 + (words >> 4) * 4;
    case IP_UDP:
        return p->l4 + 8;
    case IP_SCTP:
        return p->l4 + 12;
    case IP_ICMP:
    case IP_ICMPV6:
        return p->l4 + icmp_length(p, head);
    }
    return p->l4;
}
