/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The programs are compiled once; every point loads a copy of its own, in which the one 64-bit
 * immediate RECIPE is replaced by the point's recipe (recipe.py). The verifier then knows the recipe
 * as a constant and drops the branches that are not this point's, so a copy costs a point nothing,
 * where compiling it again would cost a tenth of a second each.
 */

/* bits of a recipe; recipe.py reads these lines */
#define RECIPE_POINT_SHIFT 0        /* 10 bits: the point's id */
#define RECIPE_SKB_SHIFT 10         /* 4 bits each: which argument, NO_ARGUMENT for none */
#define RECIPE_LOCATION_SHIFT 14
#define RECIPE_REASON_SHIFT 18
#define RECIPE_DEVICE_SHIFT 22
#define RECIPE_QUEUE_SHIFT 26
#define RECIPE_PULLED_SHIFT 33      /* one bit each from here */
#define RECIPE_STACK_SHIFT 34
#define RECIPE_INDIRECT_SHIFT 35    /* the argument is the address of a pointer to the skb */
#define RECIPE_TYPED_SHIFT 36       /* the verifier knows the argument as an skb: plain loads will do */
#define RECIPE_ACTIONS_SHIFT 37     /* 4 bits: which argument is the flow's list of actions */
#define RECIPE_SOCK_SHIFT 41        /* 4 bits: which argument is the socket */
#define RECIPE_IP_SHIFT 45          /* one bit each from here: an IP packet, whatever skb->protocol says */
#define RECIPE_MADE_UP_SHIFT 46     /* it has no headers yet: they are those of the socket */
#define RECIPE_UNSURE_SHIFT 47      /* the argument may be the skb, or the address of a pointer to it */
#define RECIPE_WALK_SHIFT 48        /* the skb is the first of a list: look at each */
#define RECIPE_KPROBE_SHIFT 53      /* the hook is a kprobe */
#define RECIPE_COUNT_SHIFT 49       /* 4 bits: which argument says how many are in the list */
#define RECIPE_QUEUE_KIND_SHIFT 54  /* 4 bits: what kind of queue it meets (queues.py) */
#define RECIPE_END_SHIFT 62         /* one bit each from here: the packet is freed */
#define RECIPE_ONLY_FOLLOWED_SHIFT 63 /* another tracer records what matches here */
#define NO_ARGUMENT 15
#define MOST_WALKED 9 /* skbs of a list: the verifier goes through every one; more are seldom taken from a qdisc at once */

#define bits(recipe, what, mask) (((recipe) >> RECIPE_##what##_SHIFT) & (mask))

/* the volatile asm keeps the immediate in one piece and out of the compiler's reasoning */
#define take_recipe(value) asm volatile("%0 = " RECIPE " ll" : "=r"(value))

/* one load per branch: a context must be read at constant offsets, and opaque() keeps the loads apart */
#define load_argument(value, source)                                                               \
    do {                                                                                           \
        value = (u64)(source);                                                                     \
        opaque(value);                                                                             \
    } while (0)

static __always_inline u64 raw_argument(struct bpf_raw_tracepoint_args *ctx, u64 which)
{
    u64 value = 0;

    if (which == 0)
        load_argument(value, ctx->args[0]);
    else if (which == 1)
        load_argument(value, ctx->args[1]);
    else if (which == 2)
        load_argument(value, ctx->args[2]);
    else if (which == 3)
        load_argument(value, ctx->args[3]);
    else if (which == 4)
        load_argument(value, ctx->args[4]);
    else if (which == 5)
        load_argument(value, ctx->args[5]);
    return value;
}

#ifdef HAVE_KPROBES
/* kprobes: arguments are in registers, by the calling convention of AArch64 or of x86-64 */
#ifdef MACHINE_aarch64
#define REGISTER(ctx, number, name) (((u64 *)(ctx)->regs)[number])
#else
#define REGISTER(ctx, number, name) ((ctx)->name)
#endif

static __always_inline u64 register_argument(struct pt_regs *ctx, u64 which)
{
    u64 value = 0;

    if (which == 0)
        load_argument(value, REGISTER(ctx, 0, di));
    else if (which == 1)
        load_argument(value, REGISTER(ctx, 1, si));
    else if (which == 2)
        load_argument(value, REGISTER(ctx, 2, dx));
    else if (which == 3)
        load_argument(value, REGISTER(ctx, 3, cx));
    else if (which == 4)
        load_argument(value, REGISTER(ctx, 4, r8));
    else if (which == 5)
        load_argument(value, REGISTER(ctx, 5, r9));
    return value;
}
#endif

static __always_inline u64 argument_at(void *ctx, u64 recipe, u64 which)
{
#ifdef HAVE_KPROBES
    if (bits(recipe, KPROBE, 1))
        return register_argument(ctx, which);
#endif
    return raw_argument(ctx, which);
}

/* what the hook says of the skb, 0 if it does not say it */
#define argument(ctx, recipe, what) argument_at(ctx, recipe, bits(recipe, what, 15))
