/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * One skb seen at one point. This file is the only place that says what a record is made of:
 * record.py reads these lines and puts the layout into every manifest, so keep to
 * one "type name;" or "type name[count];" a line, naturally aligned, largest first.
 */
#define PACKET_MAX 128
#ifndef FIELD_SLOTS
#define FIELD_SLOTS 0
#endif

struct record {
    u64 time_ns;          /* CLOCK_MONOTONIC */
    u64 skb;              /* address of the sk_buff */
    u64 head;             /* skb->head: stays the same for clones */
    u64 location;         /* the instruction that freed the skb; 0 elsewhere */
    u64 payload_hash;     /* of the first payload bytes; 0: no payload, or it could not be read */
    u64 queue_backlog;    /* bytes */
    u32 netns;            /* inode of the network namespace; 0: unknown */
    u32 ifindex;          /* device of the skb; 0: none */
    u32 rx_ifindex;       /* device that received the skb (skb_iif); 0: none */
    u32 pid;              /* thread that was on the CPU */
    s32 stack_id;         /* < 0: no stack was taken */
    u32 reason;           /* drop reason, in the numbers of this kernel */
    u32 len;              /* bytes */
    u32 data_len;         /* bytes outside the linear part */
    u32 mark;
    u32 hash;
    u32 priority;
    u32 gso_type;
    u32 queue_len;        /* in the unit of its kind */
    u32 queue_limit;      /* in the same unit; 0: it has none, or it is not known */
    u16 cpu;
    u16 point;            /* index into the manifest's attached points */
    u16 protocol;         /* skb->protocol, host order */
    u16 vlan_tci;         /* the accelerated tag, if vlan_present */
    u16 mac_offset;       /* bytes from head; 0xffff: unset */
    u16 network_offset;   /* bytes from head */
    u16 transport_offset; /* bytes from head; 0xffff: unset */
    u16 data_offset;      /* bytes from head */
    u16 queue_mapping;
    u16 gso_size;         /* bytes */
    u16 gso_segs;
    u8 vlan_present;
    u8 pkt_type;
    u8 ip_summed;
    u8 cloned;
    u8 nr_frags;
    u8 frag_list;         /* 1: a list of skbs hangs on this one */
    u8 users;             /* 255: 255 or more */
    u8 queue_kind;        /* of the queue that the skb meets, as queues.py numbers them; 0: none */
    u8 packet_layer;      /* 2: packet[] begins with the Ethernet header, 3: with the network header */
    u8 packet_len;        /* bytes of packet[] that are headers; the rest is zero */
    u8 followed;          /* 1: it does not match here, but did before, on this host */
    char comm[16];
    u8 packet[128];
    u64 fields[FIELD_SLOTS]; /* those asked for by name, then a bit for each that was there; none if none was asked for */
};
