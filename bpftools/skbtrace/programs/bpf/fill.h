/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Filling a record; nothing here runs for a packet that the filter rejects. */
static __always_inline void fill_metadata(struct record *r, const struct sk_buff *skb)
{
    r->head = (u64)skb->head;
    r->rx_ifindex = skb->skb_iif;
    r->len = skb->len;
    r->data_len = skb->data_len;
    r->mark = skb->mark;
    r->hash = skb->hash;
    r->priority = skb->priority;
    r->protocol = be16(skb->protocol);
    r->vlan_present = vlan_present(skb);
    r->vlan_tci = r->vlan_present ? vlan_tag(skb) : 0;
    r->mac_offset = skb->mac_header;
    r->network_offset = skb->network_header;
    r->transport_offset = skb->transport_header;
    r->data_offset = (u64)skb->data - (u64)skb->head;
    r->queue_mapping = skb->queue_mapping;
    r->pkt_type = skb->pkt_type;
    r->ip_summed = skb->ip_summed;
    r->cloned = skb->cloned;
    r->users = skb->users.refs.counter > 255 ? 255 : skb->users.refs.counter;
}

static __always_inline void fill_shared_info(struct record *r, struct scratch *scratch)
{
    struct skb_shared_info *shared = (void *)scratch->shared_info;

    read_memory(shared, sizeof(scratch->shared_info), (u64)scratch->skb.head + scratch->skb.end);
    r->nr_frags = shared->nr_frags;
    r->frag_list = shared->frag_list != 0;
    r->gso_size = shared->gso_size;
    r->gso_segs = shared->gso_segs;
    r->gso_type = shared->gso_type;
}

/* multiply and fold; the odd constant is 2^64 divided by the golden ratio */
static __always_inline u64 hash_payload(u64 *words, u64 address, u64 length)
{
    u64 hash = 1;

    opaque(length);
    if (length > PAYLOAD_HASHED)
        length = PAYLOAD_HASHED;
    __builtin_memset(words, 0, PAYLOAD_HASHED);
    read_memory(words, length, address);
    for (int i = 0; i < PAYLOAD_HASHED / 8; i++)
        hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ull;
    return hash | 1;
}

/* the headers, and nothing of the payload */
static __always_inline void fill_packet(struct record *r, const struct packet *p, u64 payload, struct scratch *scratch)
{
    u64 length = (payload < p->end ? payload : p->end) - p->start;

    r->packet_layer = p->layer;
    __builtin_memset(r->packet, 0, PACKET_MAX);
    opaque(length);
    if (length > PACKET_MAX)
        length = PACKET_MAX;
    r->packet_len = length;
    read_memory(r->packet, length, p->base + p->start);
    r->payload_hash = payload < p->end ? hash_payload(scratch->hashed, p->base + payload, p->end - payload) : 0;
}
