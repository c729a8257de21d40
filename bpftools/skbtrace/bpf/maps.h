/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the programs share with the tracer in user space. */

/* records count while start_ns <= now < end_ns; user space keeps it closed with start_ns = ~0 */
struct window {
    u64 start_ns;
    u64 end_ns;
};

/* per point and CPU; counters.py reads these lines, so keep to one "u64 name;" a line */
struct counters {
    u64 seen;           /* skbs that passed the point */
    u64 matched;        /* of these, let through by the filter, inside the window */
    u64 lost;           /* of these, without room in the buffer */
    u64 outside_window; /* let through by the filter, but before or after the window */
    u64 unparsed;       /* headers not in the linear part: the filter could not tell */
    u64 undecided;      /* later fragments, whose ports the filter could not tell */
    u64 stacks_lost;    /* recorded, but without room for the call stack */
};

BPF_ARRAY(window, struct window, 1);
BPF_PERCPU_ARRAY(counters, struct counters, POINT_COUNT);
#ifdef HAVE_STACKS
BPF_STACK_TRACE(stacks, STACK_ENTRIES);
#endif
#ifdef USE_RING_BUFFER
BPF_RINGBUF_OUTPUT(events, RING_PAGES);
#else
/* with the eight bytes that a ring buffer would put before the record: one spool format for both */
struct slot {
    u64 header;
    struct record record;
};
BPF_PERF_OUTPUT(events);
BPF_PERCPU_ARRAY(scratch, struct slot, 1);
#endif
