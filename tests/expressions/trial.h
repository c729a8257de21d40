/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A packet as bytes becomes an skb, and goes the way that it goes at a point. */
#define HEADROOM 64
#define MOST_BYTES 2048

struct given {
    const u8 *bytes;   /* what is in memory: without an accelerated tag, from the network header on if there is no MAC */
    u32 length;
    u32 linear;        /* bytes of it in the linear part, the others are in a page */
    u32 tag;           /* accelerated VLAN tag: TPID and TCI, 0: none */
    u16 ethertype;     /* skb->protocol, host order */
    u8 has_mac;
    u8 pulled;         /* skb->data is at the network header already, as on receive */
};

static u8 head[HEADROOM + MOST_BYTES + 512], page[MOST_BYTES + 512];

static void make_skb(const struct given *given, struct sk_buff *skb)
{
    struct skb_shared_info *shared = (void *)(head + HEADROOM + MOST_BYTES);
    u32 network = HEADROOM + (given->has_mac ? 14 : 0);
    u32 more = given->length - given->linear;

    memset(skb, 0, sizeof(*skb));
    memset(head, 0xaa, sizeof(head));
    memset(page, 0xaa, sizeof(page));
    memset(shared, 0, sizeof(*shared));
    memcpy(head + HEADROOM, given->bytes, given->linear);
    memcpy(page, given->bytes + given->linear, more);
    skb->head = (u64)head;
    skb->mac_header = given->has_mac ? HEADROOM : 0xffff;
    skb->network_header = network;
    skb->data = skb->head + (given->pulled || !given->has_mac ? network : HEADROOM);
    skb->tail = HEADROOM + given->linear;
    skb->end = HEADROOM + MOST_BYTES;
    skb->len = HEADROOM + given->length - (skb->data - skb->head);
    skb->data_len = more;
    skb->protocol = __builtin_bswap16(given->ethertype);
    skb->vlan_proto = __builtin_bswap16(given->tag >> 16);
    skb->vlan_tci = given->tag;
    if (more) {
        struct fragment fragment = {(u64)page, more, 0};

        shared->nr_frags = 1;
        memcpy(shared->frags, &fragment, sizeof(fragment));
    }
}

static int never(struct frame *frame) { return NO_MATCH; }

static int judge(const struct given *given)
{
    u64 recipe = (u64)(given->pulled || !given->has_mac) << RECIPE_PULLED_SHIFT;
    int level = NO_SCRATCH, verdict;
    struct sk_buff skb;
    struct look look;

    make_skb(given, &skb);
    read_first(&look.first, (u64)&skb, 0);
    verdict = judge_packet(&look, 0, recipe, (u64)&skb, &level);
    if (level != NO_SCRATCH)
        give_back(scratches.lookup(&level));
    return verdict;
}

static int (*const expressions[])(struct frame *);

/* the verdicts of expression `which` on each packet, or, with `inner`, on what it carries */
void judge_all(u32 which, u32 inner, const struct given *given, u32 count, u8 *verdicts)
{
    chosen = inner ? never : expressions[which];
    chosen_inner = inner ? expressions[which] : never;
    for (u32 i = 0; i < count; i++)
        verdicts[i] = judge(given + i);
}

struct shown {
    const u8 *bytes;
    u32 length;
};

struct packet_header { /* struct pcap_pkthdr */
    u64 seconds, microseconds;
    u32 captured, length;
};

/* what libpcap says of each frame */
void ask_libpcap(int (*offline)(const void *, const struct packet_header *, const u8 *), const void *program,
                 const struct shown *shown, u32 count, u8 *verdicts)
{
    for (u32 i = 0; i < count; i++) {
        struct packet_header header = {0, 0, shown[i].length, shown[i].length};

        verdicts[i] = offline(program, &header, shown[i].bytes) != 0;
    }
}
