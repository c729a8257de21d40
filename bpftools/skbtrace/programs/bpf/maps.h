/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the programs share with the tracer in user space. */

/* records count while start_ns <= now < end_ns; user space keeps it closed with start_ns = ~0 */
struct window {
    u64 start_ns;
    u64 end_ns;
};

/* per point and CPU; tracer.py has these names in COUNTERS */
struct counters {
    u64 seen;           /* skbs that passed the point */
    u64 matched;        /* of these, let through by the filter, inside the window */
    u64 followed;       /* of these, which the filter lets through only because it did before */
    u64 lost;           /* of these, without room in the buffer */
    u64 shed;           /* of these, over the rate limit */
    u64 sampled_out;    /* of these, not among those that are taken */
    u64 outside_window; /* let through by the filter, but before or after the window */
    /* inside the window, and not recorded because the filter could not tell: */
    u64 unparsed;       /* headers that could not be read */
    u64 undecided;      /* later fragments, whose ports are in the first one */
    u64 no_device;      /* packets that would match, without the device or the namespace that the filter names */
    u64 stacks_lost;    /* recorded, but without room for the call stack */
    u64 forgotten;      /* inside the window, packets that others took the place of: they are not followed any more */
    u64 missed;         /* not looked at: in a list that is longer than is walked */
    u64 skb;            /* no counter: an address on its way through memory, see follow.h */
};

BPF_ARRAY(window, struct window, 1);
BPF_PERCPU_ARRAY(counters, struct counters, POINT_COUNT);
#ifdef FILTER_INTERFACES
/* numbers of the devices of these names, for packets that have no device any more, only the number where they came in */
BPF_HASH(interfaces, u32, u8, 256);
#endif
#ifdef HAVE_STACKS
BPF_STACK_TRACE(stacks, STACK_ENTRIES);
#endif
#ifdef USE_RING_BUFFER
BPF_RINGBUF_OUTPUT(events, RING_PAGES);
#else
BPF_PERF_OUTPUT(events);
#endif

static __always_inline int is_inside_window(u64 now)
{
    int zero = 0;
    struct window *bounds = window.lookup(&zero);

    return bounds && now >= bounds->start_ns && now < bounds->end_ns;
}

#define PAYLOAD_HASHED 32 /* bytes */

/* as much of the shared info as is read, the last field of that being gso_type on every kernel; in whole words */
#define SHARED_INFO_READ ((__builtin_offsetof(struct skb_shared_info, gso_type) + sizeof(u32) + 7) / 8 * 8)

#ifdef HAVE_QUEUE_TAP
/* as much of a ptr_ring as is read: its queue is the last field of that on every kernel; in whole words */
#define RING_READ ((__builtin_offsetof(struct ptr_ring, queue) + 2 * sizeof(u64) - 1) / 8 * 8)
#endif

#define NESTING 4 /* a task, a softirq, a hard interrupt and an NMI may each be in a program on one CPU */
#define GATHERED 256

/* what is remembered of a packet that is followed, see follow.h */
struct followed {
    u64 skb;      /* 0: nobody */
    u64 head;
    u64 time_ns;  /* when it was seen last */
    u64 begin;    /* point and device where it was seen first */
    u64 witness;  /* of its bytes, of what nobody changes */
    u32 src, dst; /* its ends: address, and port of UDP */
    u32 l3;       /* the innermost IP header, from head */
    u32 rest;     /* bytes from there to skb->tail: they stay where the head is another one */
    u16 l4;       /* from l3 */
    u8 protocol;  /* of what stands there; IP_OTHER in a later fragment */
    u8 read;      /* so many bytes from l4 on are in the witness */
};

#define WITNESS_READ 24

struct sight {
    struct followed now;
    u32 l4[WITNESS_READ / 4]; /* the bytes from l4 on */
    u32 followed;             /* it does not match here, and is wanted all the same */
};

/* memory for what is too large for the stack; nothing is done with it for a packet that the filter rejects */
struct scratch {
    u64 busy;                /* the program that took it has not finished: it was interrupted by the one that asks */
    u64 level;               /* its own number */
    struct sk_buff skb;
    u64 shared_info[SHARED_INFO_READ / 8];
    u64 hashed[PAYLOAD_HASHED / 8];
#ifdef HAVE_QUEUE_TAP
    u64 ring[RING_READ / 8]; /* of the tap that the packet goes to */
#endif
#ifdef FOLLOW
    struct sight sight;      /* what is to be remembered of the packet */
#endif
    u64 base;                /* what a packet's offsets are added to: skb.head, or the copy in bytes[] */
    u64 end;                 /* offset of the end of what can be read there */
    u8 bytes[2 * GATHERED];  /* the packet's first bytes, from the linear part and from what follows it */
#ifndef USE_RING_BUFFER
    u64 header;              /* the eight bytes that a ring buffer puts before the record: one spool format for both */
    struct record record;
#endif
};

BPF_PERCPU_ARRAY(scratches, struct scratch, NESTING);

/* Whoever comes between the look and the taking has given it back before the one that he interrupted goes on. */
static __always_inline struct scratch *take_if_free(int level)
{
    struct scratch *scratch = scratches.lookup(&level);

    if (!scratch || *(volatile u64 *)&scratch->busy)
        return 0;
    *(volatile u64 *)&scratch->busy = 1;
    *(volatile u64 *)&scratch->level = level;
    return scratch;
}

#define NO_SCRATCH (-1)

/*
 * Take the first free scratch of this CPU and read the skb into it; returns its level, or
 * NO_SCRATCH. A number from memory and no pointer: to the verifier, what follows would be another
 * program for each level.
 */
static __always_inline int read_skb(u64 address)
{
    struct scratch *scratch = 0;

    LOOP
    for (int level = 0; level < NESTING && !scratch; level++)
        scratch = take_if_free(level);
    if (!scratch)
        return NO_SCRATCH;
    read_memory(&scratch->skb, sizeof(struct sk_buff), address);
    return *(volatile u64 *)&scratch->level;
}

static __always_inline void give_back(struct scratch *scratch)
{
    *(volatile u64 *)&scratch->busy = 0;
}
