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
static __always_inline int may_be_tunnel(const struct packet *p)
{
    if (p->later_fragment || !p->l4)
        return 0;
    if (p->protocol == IP_GRE)
        return 1;
    if (p->protocol != IP_UDP)
        return 0;
    if (p->ethertype == ETHERTYPE_IPV4 && p->l4 == p->l3 + sizeof(struct ipv4_header))
        return is_tunnel_port(be16(p->network.ports_v4[1]));
    return 1;
}

/* where the inner packet begins, 0 if there is none; *ethertype says what it begins with */
static __always_inline u32 find_inner(const struct packet *p, u64 head, u16 *ethertype)
{
    u16 words[6] = {}; /* UDP header and the first four bytes behind it, or GRE header */
    u16 flags;

    read_memory(words, sizeof(words), head + p->l4);
    *ethertype = ETHERTYPE_BRIDGED;
    if (p->protocol == IP_UDP) {
        if (be16(words[1]) != PORT_GENEVE)
            return is_tunnel_port(be16(words[1])) ? p->l4 + 8 + 8 : 0;
        *ethertype = be16(words[5]);
        return p->l4 + 8 + 8 + ((words[4] & 0x3f) * 4); /* options are counted in words of four bytes */
    }
    flags = be16(words[0]);
    *ethertype = be16(words[1]);
    /* checksum, key and sequence number are there or not, four bytes each */
    return p->l4 + 4 + (flags >> 15) * 4 + (flags >> 13 & 1) * 4 + (flags >> 12 & 1) * 4;
}

/*
 * Make `p` describe the inner packet; its `start` stays, so that the outer headers are recorded
 * with it. Returns 0, with `p` as it was, if there is no inner packet whose headers can be read.
 */
static __always_inline int enter_tunnel(struct packet *p, u64 head)
{
    u16 ethertype;
    u32 inner;

    if (!may_be_tunnel(p))
        return 0;
    inner = find_inner(p, head, &ethertype);
    if (!inner)
        return 0;
    if (ethertype == ETHERTYPE_BRIDGED) {
        if (inner + ETHERNET_LENGTH + sizeof(struct ipv4_header) > p->linear)
            return 0;
        p->l3 = inner + ETHERNET_LENGTH;
        read_memory(&p->network.ethertype, NETWORK_READ, head + p->l3 - 2);
        p->ethertype = be16(p->network.ethertype);
        skip_vlan_tag(p, head);
    } else {
        if (inner + sizeof(struct ipv4_header) > p->linear)
            return 0;
        p->l3 = inner;
        p->ethertype = ethertype;
        read_memory(&p->network.v4, NETWORK_READ - 2, head + p->l3);
    }
    p->l4 = 0;
    p->protocol = 0;
    return p->l3 + network_length(p->ethertype) <= p->linear;
}
