/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The fields that were asked for by name. fields.py writes EACH_FIELD(keep), which says for each
 * where it is in this kernel:
 * keep(number, address of its struct, offset, bytes to read, bits below it, its width in bits, form)
 */
#define FORM_SIGNED 1
#define FORM_BIG_ENDIAN 2

/* the address that a pointer holds, 0 where it cannot be read; `flags` of its bits are none of it */
static __always_inline u64 pointer_at(u64 base, u64 offset, u64 flags)
{
    u64 pointer = 0;

    if (base)
        read_memory(&pointer, sizeof(pointer), base + offset);
    return pointer & ~flags;
}

static __always_inline u64 shape_number(u64 value, u8 size, u8 shift, u8 width, u8 form)
{
    if (form & FORM_BIG_ENDIAN)
        value = __builtin_bswap64(value) >> (64 - 8 * size);
    value <<= 64 - shift - width;
    return form & FORM_SIGNED ? (u64)((s64)value >> (64 - width)) : value >> (64 - width);
}

/* a field that is not there, as behind an empty pointer, is 0, and its bit in the last slot, too */
#define KEEP_FIELD(number, base, offset, size, shift, width, form)                                 \
    {                                                                                              \
        u64 from_ = (base), value_ = 0;                                                            \
                                                                                                   \
        if (from_ && !read_memory(&value_, size, from_ + (offset)))                                \
            known |= 1ull << (number);                                                             \
        r->fields[number] = shape_number(value_, size, shift, width, form);                        \
    }

#ifdef EACH_FIELD
static __always_inline void fill_fields(struct record *r, u64 sk_buff, const struct sk_buff *skb, u64 net_device,
                                        u64 sock)
{
    u64 skb_shared_info = (u64)skb->head + skb->end, known = 0;

    if (!sock)
        sock = (u64)skb->sk;
    EACH_FIELD(KEEP_FIELD)
    r->fields[FIELD_SLOTS - 1] = known;
}
#else
#define fill_fields(r, sk_buff, skb, net_device, sock)
#endif
