/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The programs. Each is compiled once; every point loads a copy of its own, in which the one
 * 64-bit immediate RECIPE is replaced by the point's recipe (recipe.py). The verifier then knows
 * the recipe as a constant and drops the branches that are not this point's, so a copy costs a
 * point nothing, where compiling it again would cost a tenth of a second each.
 */

/* bits of a recipe; recipe.py reads these lines */
#define RECIPE_POINT_SHIFT 0        /* 10 bits: the point's id */
#define RECIPE_SKB_SHIFT 10         /* 4 bits each: which argument, NO_ARGUMENT for none */
#define RECIPE_LOCATION_SHIFT 14
#define RECIPE_REASON_SHIFT 18
#define RECIPE_DEVICE_SHIFT 22
#define RECIPE_QUEUE_SHIFT 26
#define RECIPE_QUEUE_KIND_SHIFT 30  /* 3 bits */
#define RECIPE_PULLED_SHIFT 33      /* one bit each from here */
#define RECIPE_STACK_SHIFT 34
#define RECIPE_INDIRECT_SHIFT 35    /* the argument is the address of a pointer to the skb */
#define RECIPE_TYPED_SHIFT 36       /* the verifier knows the argument as an skb: plain loads will do */
#define RECIPE_ACTIONS_SHIFT 37     /* 4 bits: which argument is the flow's list of actions */
#define NO_ARGUMENT 15

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
    return value;
}

/* whether an Open vSwitch flow does anything with its packets: an empty list of actions is a drop */
static __always_inline int has_actions(u64 actions)
{
    u32 length = 0;

    read_memory(&length, sizeof(length), actions + FLOW_ACTIONS_LENGTH);
    return length != 0;
}

/* raw tracepoints, with types or without, and fentry: arguments are an array of u64 */
int point_raw(struct bpf_raw_tracepoint_args *ctx)
{
    struct sight sight;
    u64 recipe, skb;

    take_recipe(recipe);
    skb = raw_argument(ctx, bits(recipe, SKB, 15));
    sight.location = raw_argument(ctx, bits(recipe, LOCATION, 15));
    sight.reason = raw_argument(ctx, bits(recipe, REASON, 15));
    sight.device = raw_argument(ctx, bits(recipe, DEVICE, 15));
    sight.queue = raw_argument(ctx, bits(recipe, QUEUE, 15));
    sight.queue_kind = bits(recipe, QUEUE_KIND, 7);
    sight.pulled = bits(recipe, PULLED, 1);
    sight.stack = bits(recipe, STACK, 1);
    sight.typed = bits(recipe, TYPED, 1);
    if (bits(recipe, ACTIONS, 15) != NO_ARGUMENT && has_actions(raw_argument(ctx, bits(recipe, ACTIONS, 15))))
        return 0;
    if (bits(recipe, INDIRECT, 1))
        read_memory(&skb, sizeof(skb), skb);
    return observe(ctx, skb, bits(recipe, POINT, 1023), &sight);
}

#ifdef HAVE_KPROBES
static __always_inline u64 register_argument(struct pt_regs *ctx, u64 which)
{
    u64 value = 0;

    if (which == 0)
        load_argument(value, ctx->di);
    else if (which == 1)
        load_argument(value, ctx->si);
    else if (which == 2)
        load_argument(value, ctx->dx);
    else if (which == 3)
        load_argument(value, ctx->cx);
    else if (which == 4)
        load_argument(value, ctx->r8);
    else if (which == 5)
        load_argument(value, ctx->r9);
    return value;
}

/* kprobes: arguments are in the registers of x86-64's calling convention; functions show the skb alone */
int point_kprobe(struct pt_regs *ctx)
{
    struct sight sight = {};
    u64 recipe, skb;

    take_recipe(recipe);
    skb = register_argument(ctx, bits(recipe, SKB, 15));
    sight.pulled = bits(recipe, PULLED, 1);
    sight.stack = bits(recipe, STACK, 1);
    if (bits(recipe, ACTIONS, 15) != NO_ARGUMENT && has_actions(register_argument(ctx, bits(recipe, ACTIONS, 15))))
        return 0;
    if (bits(recipe, INDIRECT, 1))
        read_memory(&skb, sizeof(skb), skb);
    return observe(ctx, skb, bits(recipe, POINT, 1023), &sight);
}
#endif
