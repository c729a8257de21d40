/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The rate limit: a token bucket that all CPUs share, as one number, the time up to which the tokens
 * that were taken are used up. Full, it holds those of RATE_BURST_NS; one comes every RATE_TOKEN_NS.
 *
 * CPUs that look at the same moment may all take the last token: the limit is exceeded by one for
 * each CPU at most. And of those that find the bucket full at once, only one pays. Both are cheaper
 * than a lock, and what is let through or not is counted all the same.
 */
BPF_ARRAY(used_up, u64, 1);

static __always_inline int is_within_rate(u64 now)
{
    int zero = 0;
    u64 *until = used_up.lookup(&zero);
    u64 used;

    if (!until)
        return 0;
    used = *(volatile u64 *)until;
    if (used > now + RATE_BURST_NS - RATE_TOKEN_NS)
        return 0;
    if (used < now)
        *(volatile u64 *)until = now + RATE_TOKEN_NS; /* the common case, without an atomic operation */
    else
        lock_xadd(until, RATE_TOKEN_NS);
    return 1;
}
