/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * TCP's own skbs have no headers yet where TCP looks at them: the addresses and ports are those of
 * the socket, the sequence number is in the skb's control block. From these the headers are made up
 * that the packet will get, as far as they are known: what is not (IP id, window, options) is 0.
 */
#ifdef HAVE_MADE_UP
#define FAMILY_IPV4 2
#define FAMILY_IPV6 10
#define TCP_LENGTH 20

#ifndef HAVE_TCP_TYPES
/* as every kernel from 4.18 to 6.18 has it, for those that do not tell */
struct tcp_skb_cb {
    u32 seq;
    u32 end_seq;
    u32 other;
    u8 tcp_flags;
};
#endif

struct tcp_header {
    u16 ports[2];
    u32 seq;
    u32 ack;
    u8 data_offset;
    u8 flags;
    u16 window;
    u16 checksum;
    u16 urgent;
};

static __always_inline void make_up_v4(struct packet *p, u64 sk)
{
    p->ethertype = ETHERTYPE_IPV4;
    p->l4 = sizeof(struct ipv4_header);
    p->network.v4.version_length = 0x45;
    p->network.v4.protocol = IP_TCP;
    p->network.v4.src = READ_FIELD(struct sock, __sk_common.skc_rcv_saddr, sk);
    p->network.v4.dst = READ_FIELD(struct sock, __sk_common.skc_daddr, sk);
    p->network.ports_v4[0] = be16(READ_FIELD(struct sock, __sk_common.skc_num, sk));
    p->network.ports_v4[1] = READ_FIELD(struct sock, __sk_common.skc_dport, sk);
}

static __always_inline void make_up_v6(struct packet *p, u64 sk)
{
#ifdef HAVE_sock___sk_common_skc_v6_daddr
    p->ethertype = ETHERTYPE_IPV6;
    p->l4 = sizeof(struct ipv6_header);
    p->network.v6.version_class_flow = be32(6u << 28);
    p->network.v6.next_header = IP_TCP;
    read_memory(p->network.v6.src, 16, sk + __builtin_offsetof(struct sock, __sk_common.skc_v6_rcv_saddr));
    p->network.ports_v6[0] = be16(READ_FIELD(struct sock, __sk_common.skc_num, sk));
    p->network.ports_v6[1] = READ_FIELD(struct sock, __sk_common.skc_dport, sk);
#endif
}

/* Set `p` to the packet that a TCP socket sends; returns 0 if it is no such socket. */
static __always_inline int make_up_packet(struct packet *p, u64 sk)
{
    u16 family = READ_FIELD(struct sock, __sk_common.skc_family, sk);
    u32 last = 0;

    __builtin_memset(p, 0, sizeof(*p));
    p->layer = 3;
    p->protocol = IP_TCP;
    p->vlan = OFFSET_UNSET;
#ifdef HAVE_sock___sk_common_skc_v6_daddr
    if (family == FAMILY_IPV6) {
        read_memory(p->network.v6.dst, 16, sk + __builtin_offsetof(struct sock, __sk_common.skc_v6_daddr));
        if (!p->network.v6.dst[0] && !p->network.v6.dst[1] && p->network.v6.dst[2] == be32(0xffff)) {
            /* IPv4 through an IPv6 socket */
            __builtin_memset(&p->network, 0, sizeof(p->network));
            family = FAMILY_IPV4;
        }
    }
#endif
    if (family == FAMILY_IPV4)
        make_up_v4(p, sk);
    else if (family == FAMILY_IPV6)
        make_up_v6(p, sk);
    p->end = p->l4 + TCP_LENGTH;
    return p->l4 != 0;
}

static __always_inline void fill_tcp(struct tcp_header *tcp, const u16 *ports, u64 control, u64 sk)
{
    tcp->ports[0] = ports[0];
    tcp->ports[1] = ports[1];
    tcp->seq = be32(READ_FIELD(struct tcp_skb_cb, seq, control));
#ifdef HAVE_TCP_TYPES
    tcp->ack = be32(READ_FIELD(struct tcp_sock, rcv_nxt, sk));
#endif
    tcp->data_offset = TCP_LENGTH / 4 << 4;
    tcp->flags = READ_FIELD(struct tcp_skb_cb, tcp_flags, control);
}

/* the headers of record `r`, once it is known that it is wanted */
static __always_inline void fill_made_up(struct record *r, const struct sk_buff *skb, struct packet *p, u64 address,
                                         u64 sk)
{
    u64 control = address + __builtin_offsetof(struct sk_buff, cb);
    u32 length = p->end + skb->len;

    r->packet_layer = 3;
    r->packet_len = p->end;
    r->protocol = p->ethertype;
    r->payload_hash = 0;
    __builtin_memset(r->packet, 0, PACKET_MAX);
    if (p->ethertype == ETHERTYPE_IPV4) {
        p->network.v4.total_length = be16(length < 0xffff ? length : 0xffff);
        __builtin_memcpy(r->packet, &p->network.v4, sizeof(struct ipv4_header));
        fill_tcp((void *)r->packet + sizeof(struct ipv4_header), p->network.ports_v4, control, sk);
    } else {
        length -= sizeof(struct ipv6_header);
        p->network.v6.payload_length = be16(length < 0xffff ? length : 0xffff);
        __builtin_memcpy(r->packet, &p->network.v6, sizeof(struct ipv6_header));
        fill_tcp((void *)r->packet + sizeof(struct ipv6_header), p->network.ports_v6, control, sk);
    }
}
#endif
