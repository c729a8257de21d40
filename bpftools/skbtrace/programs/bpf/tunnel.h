/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Stepping into the packet that a tunnel carries: VXLAN, Geneve, GRE. Formats: RFC 7348, RFC 8926, RFC 2784 and 2890. */
#define IP_GRE 47
#define PORT_VXLAN 4789
#define PORT_VXLAN_LINUX 8472 /* the kernel's default from before there was a standard */
#define PORT_GENEVE 6081
#define ETHERTYPE_BRIDGED 0x6558 /* an Ethernet frame follows */

static __always_inline int is_tunnel_port(u16 port)
{
    return port == PORT_VXLAN || port == PORT_VXLAN_LINUX || port == PORT_GENEVE;
}

/* whether it may be a tunnel's, from what is read already: most packets are not, and must cost nothing more */
static __always_inline int may_be_tunnel(struct packet *p)
{
    if (p->later_fragment || !p->l4)
        return 0;
    if (p->protocol == IP_GRE)
        return 1;
    if (p->protocol != IP_UDP)
        return 0;
    if (p->ethertype == ETHERTYPE_IPV4 && p->l4 == p->l3 + sizeof(struct ipv4_header) && p->l4 + 4 <= p->end)
        return is_tunnel_port(be16(p->network.ports_v4[1]));
    return 1;
}

/* the flags of VXLAN, of its group policy extension, and of GPE with an Ethernet frame: other UDP is no tunnel */
static __always_inline int is_vxlan(u32 flags)
{
    return (flags & ~0x8048ffffu) == 0x08000000 || flags == 0x0c000003;
}

static __always_inline int is_carried(u16 ethertype)
{
    return ethertype == ETHERTYPE_BRIDGED || ethertype == ETHERTYPE_IPV4 || ethertype == ETHERTYPE_IPV6;
}

/*
 * Where the inner packet begins, 0 if there is none; *ethertype says what it begins with. The
 * tunnel's header has to be one, down to its reserved bits: what follows it is recorded as a header,
 * and payload that just has a tunnel's port must not be.
 */
static __always_inline u32 find_inner(const struct packet *p, u16 *ethertype)
{
    u16 words[8] = {}; /* UDP header and the tunnel's, or GRE header */
    u16 flags, port;

    read_memory(words, sizeof(words), p->base + p->l4);
    flags = be16(words[0]);
    if (p->protocol == IP_UDP) {
        port = be16(words[1]);
        *ethertype = ETHERTYPE_BRIDGED;
        if (be16(words[7]) & 0xff) /* reserved, behind the network's number */
            return 0;
        if (port != PORT_GENEVE)
            return is_tunnel_port(port) && is_vxlan((u32)be16(words[4]) << 16 | be16(words[5])) ? p->l4 + 16 : 0;
        *ethertype = be16(words[5]);
        flags = be16(words[4]);
        if ((flags & 0xc03f) || !is_carried(*ethertype)) /* version and reserved bits */
            return 0;
        return p->l4 + 16 + (flags >> 8) * 4; /* options are counted in words of four bytes */
    }
    *ethertype = be16(words[1]);
    if ((flags & 0x4fff) || !is_carried(*ethertype)) /* version, and bits that only the oldest form has */
        return 0;
    /* checksum, key and sequence number are there or not, four bytes each */
    return p->l4 + 4 + (flags >> 15) * 4 + (flags >> 13 & 1) * 4 + (flags >> 12 & 1) * 4;
}

/*
 * Make `p` describe the inner packet; its `start` stays, so that the outer headers are recorded
 * with it. Returns 0 if there is none, with `p` as it was; or if its headers cannot be read, with
 * p->cut set, and `p` the inner packet as far as it can be read.
 */
static __always_inline int enter_tunnel(struct packet *p)
{
    u16 ethertype;
    u32 inner;

    if (!may_be_tunnel(p))
        return 0;
    if (p->l4 + 16 > p->end) { /* no inner packet is so short */
        p->cut = 1;
        return 0;
    }
    inner = find_inner(p, &ethertype);
    if (!inner)
        return 0;
    p->inner = inner;
    p->carried = ethertype;
    p->l3 = ethertype == ETHERTYPE_BRIDGED ? inner + ETHERNET_LENGTH : inner;
    p->l4 = 0;
    p->protocol = 0;
    p->inner_vlan = OFFSET_UNSET;
    if (p->l3 > p->end) {
        p->cut = 1;
        return 0;
    }
    if (ethertype == ETHERTYPE_BRIDGED) {
        read_ethertype(p, &p->inner_vlan);
    } else {
        p->ethertype = ethertype;
        read_network(p, p->l3);
    }
    return has_network(p);
}
