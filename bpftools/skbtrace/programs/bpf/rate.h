/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The rate limit: a token bucket that all CPUs share, as one number, the time up to which the tokens
 * that were taken are used up. Full, it holds those of RATE_BURST_NS; one comes every token_ns, which
 * user space sets, and sets anew while captures share the limit.
 *
 * CPUs that look at the same moment may all take the last token: the limit is exceeded by one for
 * each CPU at most. And of those that find the bucket full at once, only one pays. Both are cheaper
 * than a lock, and what is let through or not is counted all the same.
 */
BPF_ARRAY(used_up, u64, 1);
BPF_ARRAY(token_ns, u64, 1);

static __always_inline int is_within_rate(u64 now)
{
    int zero = 0;
    u64 *until = used_up.lookup(&zero), *token = token_ns.lookup(&zero);
    u64 used, price;

    if (!until || !token)
        return 0;
    price = *(volatile u64 *)token;
    used = *(volatile u64 *)until;
    if (used > now + RATE_BURST_NS - price)
        return 0;
    if (used < now)
        *(volatile u64 *)until = now + price; /* the common case, without an atomic operation */
    else
        lock_xadd(until, price);
    return 1;
}
