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

/* one value, from a pointer that the verifier lets a program load from; in asm, or bcc would make a call of it */
#define load_as(size, value, from, offset)                                                         \
    asm volatile("%0 = *(" #size " *)(%1 + %2)" : "=r"(value) : "r"(from), "i"(offset))

/*
 * What it points to stays in memory, as if a function had been called with it. Else the compiler takes the struct apart,
 * and the verifier goes on once for every way in which its parts can be combined.
 */
#define in_memory(pointer) asm volatile("" : : "r"(pointer) : "memory")

/*
 * Comparisons of numbers below 2^63, by arithmetic: 1 or 0. A comparison is a branch else, and the
 * verifier goes every way in which branches can be combined.
 */
static __always_inline u64 is_less(u64 one, u64 other)
{
    opaque(one);
    return (one - other) >> 63;
}

static __always_inline u64 is_zero(u64 number)
{
    return is_less(number, 1);
}

/* kernels without loops have them unrolled */
#ifdef HAVE_LARGE_PROGRAMS
#define LOOP _Pragma("clang loop unroll(disable)")
#else
#define LOOP _Pragma("unroll")
#endif

/* a bound that the verifier sees right where the value is used: before 5.12 it forgets those of values that were spilled */
#define bound(value, mask) asm volatile("%0 &= %1" : "+r"(value) : "i"(mask))

#define be16(value) __builtin_bswap16(value)
#define be32(value) __builtin_bswap32(value)
