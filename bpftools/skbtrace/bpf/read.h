/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Reading kernel memory. Every access is explicit: bcc's rewriting of `a->b` does not reach
 * through arguments of inline functions.
 */
#ifdef HAVE_PROBE_READ_KERNEL
#define read_memory(to, size, from) bpf_probe_read_kernel(to, size, (void *)(from))
#else
#define read_memory(to, size, from) bpf_probe_read(to, size, (void *)(from))
#endif

/* value of base->field, 0 where it cannot be read; `base` is an address */
#define READ_FIELD(type, field, base)                                                                    \
    ({                                                                                             \
        typeof(((type *)0)->field) value_ = 0;                                                     \
        read_memory(&value_, sizeof(value_), (u64)(base) + __builtin_offsetof(type, field));       \
        value_;                                                                                    \
    })

/* keeps the compiler from deriving a bound from another register than the one the verifier has seen */
#define opaque(value) asm volatile("" : "+r"(value))

#define be16(value) __builtin_bswap16(value)
#define be32(value) __builtin_bswap32(value)
