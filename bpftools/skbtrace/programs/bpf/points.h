/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The programs: one for every kind of hook. */

/* whether an Open vSwitch flow does anything with its packets: an empty list of actions is a drop */
static __always_inline int has_actions(u64 actions)
{
    u32 length = 0;

    read_memory(&length, sizeof(length), actions + FLOW_ACTIONS_LENGTH);
    return length != 0;
}

/*
 * From an argument to the skb. Where it is not known which of the two it is, what it points to
 * tells: an skb that is received is on no list, and begins with an empty pointer to the next.
 */
static __always_inline u64 resolve(u64 argument, u64 recipe)
{
    u64 pointed = 0;

    if (!bits(recipe, INDIRECT, 1) && !bits(recipe, UNSURE, 1))
        return argument;
    read_memory(&pointed, sizeof(pointed), argument);
    return bits(recipe, UNSURE, 1) && !pointed ? argument : pointed;
}

/* the packets of a list, of which the hook shows the first and how many they are: each one passes the point */
static __always_inline void observe_all(void *ctx, u64 skb, u64 recipe)
{
    u32 point = bits(recipe, POINT, 1023), looked_at = 0, number;
    struct counters *count;

#ifdef HAVE_LISTS
    LOOP
    while (skb && looked_at < MOST_WALKED) {
        u64 here = recipe;

        opaque(here); /* else all that it says is worked out before the loop, and kept on the stack: 128 bytes */
        observe(ctx, skb, here);
        looked_at++;
        if (!bits(recipe, WALK, 1))
            break;
        skb = (u64)READ_FIELD(struct sk_buff, next, skb);
    }
#else
    observe(ctx, skb, recipe);
    looked_at++;
#endif
    /* a queue that gives nothing, for it must wait, tells of a packet as well */
    if (!looked_at || bits(recipe, COUNT, 15) == NO_ARGUMENT)
        return;
    number = argument(ctx, recipe, COUNT);
    count = counters.lookup(&point);
    if (count && number > looked_at)
        count->missed += number - looked_at;
}

static __always_inline int run(void *ctx, u64 recipe)
{
    if (bits(recipe, ACTIONS, 15) != NO_ARGUMENT && has_actions(argument(ctx, recipe, ACTIONS)))
        return 0;
    observe_all(ctx, resolve(argument(ctx, recipe, SKB), recipe), recipe);
    return 0;
}

/* raw tracepoints, with types or without, and fentry: arguments are an array of u64 */
int point_raw(struct bpf_raw_tracepoint_args *ctx)
{
    u64 recipe;

    take_recipe(recipe);
    return run(ctx, recipe);
}

#ifdef HAVE_KPROBES
int point_kprobe(struct pt_regs *ctx)
{
    u64 recipe;

    take_recipe(recipe);
    return run(ctx, recipe);
}
#endif
