/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Where kernels differ in an skb's fields. HAVE_... comes from the types of the running kernel. */
#define OFFSET_UNSET 0xffff
/* inode numbers of namespaces: the first ones made at boot lie just below PROC_DYNAMIC_FIRST, all others above */
#define NETNS_FIRST 0xeffffff0

static __always_inline u8 vlan_present(const struct sk_buff *skb)
{
#if defined(HAVE_sk_buff_vlan_all)
    return skb->vlan_all != 0;
#elif defined(HAVE_sk_buff_vlan_present)
    return skb->vlan_present;
#else
    return (skb->vlan_tci & 0x1000) != 0;
#endif
}

static __always_inline u16 vlan_tag(const struct sk_buff *skb)
{
#if defined(HAVE_sk_buff_vlan_all) || defined(HAVE_sk_buff_vlan_present)
    return skb->vlan_tci;
#else
    return skb->vlan_tci & ~0x1000; /* the kernel keeps "present" in the CFI bit */
#endif
}

/* the device and the namespace in which an skb was seen */
struct place {
    u64 device;  /* 0: it has none (any more) */
    u32 ifindex; /* of the device, or of the one where it came in; 0: neither */
    u32 netns;   /* 0: unknown */
};

static __always_inline u32 inode_of(u64 net)
{
    u32 inode = net ? READ_KNOWN(net, ns.inum, net) : 0;

    return inode >= NETNS_FIRST ? inode : 0;
}

/* the namespace of a device; 0: there is none, for it is no device */
static __always_inline u32 netns_of(u64 device)
{
    return inode_of((u64)READ_KNOWN(net_device, nd_net.net, device));
}

/*
 * skb->dev shares its memory with other fields while a socket owns the skb (dev_scratch, rbnode):
 * it is a device only if it leads to a namespace with a namespace's inode number. Without a device
 * the socket knows the namespace: `sock`, if the hook names one, or the skb's own.
 */
static __always_inline struct place place_of(const struct sk_buff *skb, u64 device, u64 sock)
{
    struct place place = {};

    if (device)
        place.netns = netns_of(device);
    if (place.netns) {
        place.device = device;
        place.ifindex = READ_KNOWN(net_device, ifindex, device);
        return place;
    }
    place.ifindex = skb->skb_iif;
    if (!sock)
        sock = (u64)skb->sk;
    if (sock)
        place.netns = inode_of((u64)READ_FIELD(struct sock, __sk_common.skc_net.net, sock));
    return place;
}
