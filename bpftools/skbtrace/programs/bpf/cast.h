/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Plain loads from any address. Kernels from 6.2 on have bpf_rdonly_cast(), which makes of an
 * address a pointer to a type of theirs; from that the verifier lets a program load, and a load
 * where nothing is gives 0. The cast is no instruction, where bpf_probe_read_kernel() is a call. The
 * compiler knows helpers only: cast.py makes the call of CAST_MARK, and tells the types.
 */
#ifdef HAVE_CAST
static u64 (*cast)(u64 address, u64 type) = (void *)CAST_MARK;

#define load_sized(value, from, size, offset)                                                      \
    do {                                                                                           \
        if ((size) == 8)                                                                           \
            load_as(u64, value, from, offset);                                                     \
        else if ((size) == 4)                                                                      \
            load_as(u32, value, from, offset);                                                     \
        else                                                                                       \
            load_as(u16, value, from, offset);                                                     \
        _Static_assert((size) >= 2, "a byte is not loaded");                                       \
    } while (0)

/* as READ_FIELD, of the structs whose types are told */
#define READ_KNOWN(type, field, base)                                                              \
    ({                                                                                             \
        u64 from_ = cast((u64)(base), CAST_##type), value_;                                        \
        load_sized(value_, from_, sizeof(((struct type *)0)->field),                               \
                   __builtin_offsetof(struct type, field));                                        \
        (typeof(((struct type *)0)->field))value_;                                                 \
    })
#else
#define READ_KNOWN(type, field, base) READ_FIELD(struct type, field, base)
#endif
