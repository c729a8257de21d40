/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The filter, compiled in: each FILTER_... is a constant from the command line, and what was not
 * asked for is not compiled. Addresses are in network byte order, one word for IPv4, four for IPv6.
 */
static __always_inline u64 same_v4(u32 address, u32 wanted, u32 mask)
{
    return is_zero((address & mask) ^ wanted);
}

static __always_inline u64 same_v6(const u32 *address, u32 w0, u32 w1, u32 w2, u32 w3, u32 m0, u32 m1, u32 m2, u32 m3)
{
    return is_zero(((address[0] & m0) ^ w0) | ((address[1] & m1) ^ w1) | ((address[2] & m2) ^ w2) |
                   ((address[3] & m3) ^ w3));
}

static __always_inline u64 is_between(u64 number, u64 low, u64 high)
{
    return 1 - (is_less(number, low) | is_less(high, number));
}

#ifndef FILTER_SRC
#define is_src(family, address) 1
#else
#define is_src(family, address) same_##family(address, FILTER_SRC, FILTER_SRC_MASK)
#endif
#ifndef FILTER_DST
#define is_dst(family, address) 1
#else
#define is_dst(family, address) same_##family(address, FILTER_DST, FILTER_DST_MASK)
#endif
#ifndef FILTER_SRC_PORT_LOW
#define is_src_port(port) 1
#else
#define is_src_port(port) is_between(port, FILTER_SRC_PORT_LOW, FILTER_SRC_PORT_HIGH)
#endif
#ifndef FILTER_DST_PORT_LOW
#define is_dst_port(port) 1
#else
#define is_dst_port(port) is_between(port, FILTER_DST_PORT_LOW, FILTER_DST_PORT_HIGH)
#endif

#define FORWARD 1
#define BACKWARD 2

/* in which directions the addresses fit; with two given and both directions asked for, src and dst change places */
static __always_inline u64 match_addresses(const struct packet *p)
{
    u64 directions = 0;
#if FILTER_FAMILY == 4
    u32 src = p->network.v4.src, dst = p->network.v4.dst;

    if (p->ethertype == ETHERTYPE_ARP) {
        src = p->network.arp.sender_ip[0] | (u32)p->network.arp.sender_ip[1] << 16;
        dst = p->network.arp.target_ip[0] | (u32)p->network.arp.target_ip[1] << 16;
    } else if (p->ethertype != ETHERTYPE_IPV4) {
        return 0;
    }
    directions = (is_src(v4, src) & is_dst(v4, dst)) * FORWARD;
#ifdef FILTER_BOTH
    directions |= (is_src(v4, dst) & is_dst(v4, src)) * BACKWARD;
#endif
#elif FILTER_FAMILY == 6
    if (p->ethertype != ETHERTYPE_IPV6)
        return 0;
    directions = (is_src(v6, p->network.v6.src) & is_dst(v6, p->network.v6.dst)) * FORWARD;
#ifdef FILTER_BOTH
    directions |= (is_src(v6, p->network.v6.dst) & is_dst(v6, p->network.v6.src)) * BACKWARD;
#endif
#else
    directions = FORWARD;
#ifdef FILTER_BOTH
    directions |= BACKWARD;
#endif
#endif
    return directions;
}

static __always_inline u64 match_ports(const struct packet *p, u64 directions)
{
    u16 ports[2] = {};
    u16 src, dst;

    if (p->ethertype == ETHERTYPE_IPV4 && p->l4 == p->l3 + sizeof(struct ipv4_header))
        __builtin_memcpy(ports, p->network.ports_v4, sizeof(ports));
    else if (p->ethertype == ETHERTYPE_IPV6 && p->l4 == p->l3 + sizeof(struct ipv6_header))
        __builtin_memcpy(ports, p->network.ports_v6, sizeof(ports));
    else
        read_memory(ports, sizeof(ports), p->base + p->l4);
    src = be16(ports[0]);
    dst = be16(ports[1]);
    return (directions & FORWARD & (is_src_port(src) & is_dst_port(dst)) * FORWARD) |
           (directions & BACKWARD & (is_src_port(dst) & is_dst_port(src)) * BACKWARD);
}

/* the outermost tag, which may be beside the packet; what a tunnel carries has tags of its own */
static __always_inline int match_vlan(const struct sk_buff *skb, const struct packet *p)
{
#ifdef FILTER_VLAN
    if (p->inner_fits)
        return 1;
    if (vlan_present(skb))
        return (vlan_tag(skb) & 0x0fff) == FILTER_VLAN;
    return p->vlan != OFFSET_UNSET && (p->vlan & 0x0fff) == FILTER_VLAN;
#else
    return 1;
#endif
}

static __always_inline int match_inner_vlan(const struct packet *p)
{
#ifdef FILTER_VLAN
    return p->inner_vlan != OFFSET_UNSET && (p->inner_vlan & 0x0fff) == FILTER_VLAN;
#else
    return 1;
#endif
}

#define MATCH 1
#define NO_MATCH 0
#define UNPARSED 2  /* its headers could not be read */
#define UNDECIDED 3 /* a later fragment: it fits, but the ports are in the first one only */
#define NO_DEVICE 4 /* it fits, but where it is cannot be told */

/* devices come and go: their names are what the user means */
static __always_inline int match_place(const struct place *place)
{
#ifdef FILTER_NETNS
    if (place->netns && place->netns != FILTER_NETNS)
        return NO_MATCH;
#endif
#ifdef FILTER_INTERFACES
    if (place->device) {
        u64 name[2] = {};

        read_memory(name, sizeof(name), place->device + __builtin_offsetof(struct net_device, name));
        if (!FILTER_INTERFACES(name))
            return NO_MATCH;
    } else if (place->ifindex) {
        u32 index = place->ifindex;

        if (!interfaces.lookup(&index))
            return NO_MATCH;
    } else {
        return NO_DEVICE;
    }
#endif
#ifdef FILTER_NETNS
    if (!place->netns)
        return NO_DEVICE;
#endif
    return MATCH;
}

/* Whether plain loads tell, by its device, that the packet is in another namespace than the filter's. */
static __always_inline int is_elsewhere(u64 address, u64 device)
{
#if defined(FILTER_NETNS) && defined(HAVE_CAST)
    u32 netns = netns_of(device ? device : (u64)READ_KNOWN(sk_buff, dev, address));

    return netns && netns != FILTER_NETNS;
#else
    return 0;
#endif
}

/* what of the filter is answered by a packet's bytes, its VLAN tag aside */
static __always_inline int match_packet(const struct packet *p, int found)
{
    u64 directions;

#if defined(FILTER_FAMILY) || defined(FILTER_PROTOCOL) || defined(FILTER_ARP)
    if (!found)
        return UNPARSED;
#endif
    directions = match_addresses(p);
    if (!directions)
        return NO_MATCH;
#ifdef FILTER_ARP
    if (p->ethertype != ETHERTYPE_ARP)
        return NO_MATCH;
#endif
#ifdef FILTER_PROTOCOL
    if (p->ethertype != ETHERTYPE_IPV4 && p->ethertype != ETHERTYPE_IPV6)
        return NO_MATCH;
    if (p->protocol != FILTER_PROTOCOL)
        return NO_MATCH; /* or a header behind an extension that cannot be read: then p->cut is set */
#endif
#if defined(FILTER_SRC_PORT_LOW) || defined(FILTER_DST_PORT_LOW)
    if (p->later_fragment)
        return UNDECIDED;
    if (p->l4 + 4 > p->end)
        return UNPARSED;
    return match_ports(p, directions) ? MATCH : NO_MATCH;
#endif
    return MATCH;
}
