/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Filter expressions in libpcap's language. FILTER_EXPRESSION and FILTER_INNER_EXPRESSION are the
 * statements that classic.py makes of libpcap's program: it goes over an Ethernet frame, with the
 * meaning that the classic machine gives it (a load behind the frame's end is "no").
 *
 * The frame is as tcpdump would show it at the same place, whatever the kernel keeps elsewhere: an
 * accelerated VLAN tag is back between addresses and ethertype. Where there is no MAC header, the
 * ethertype stands before the network header all the same, and only the addresses are missing.
 */
#if defined(FILTER_EXPRESSION) || defined(FILTER_INNER_EXPRESSION)
#define ADDRESSES 12      /* bytes of a frame before the tag or the ethertype */
#define MOST_MADE 6       /* bytes */
#define NO_ADDRESSES (-1)

/* a frame's bytes: the addresses, then `made` bytes that are not in memory, then the others */
struct frame {
    u64 base;       /* address to which the offsets are added: to the verifier it may be a pointer, and they are not */
    s64 addresses;  /* offset of the first byte, NO_ADDRESSES: there is no MAC header */
    s64 others;     /* the same, were there nothing but the bytes behind the made ones */
    u64 bytes;      /* the made ones, big-endian, the first one in bits 47 to 40 */
    s64 have;       /* bytes that can be read */
    u64 beyond;     /* bytes that a load would have needed */
    u32 made;       /* 0, 2, 4 or 6 bytes */
    u32 later;      /* the expression has met the offset of a later fragment */
#ifdef HAVE_MADE_UP
    u64 known;      /* 0: all bytes count; else a bit for each byte behind the ethertype that does */
#endif
};

/*
 * Set where the bytes of a frame are: offsets of the MAC header, which counts if has_addresses is 1
 * and not 0, of the network header, and of the end. By arithmetic, for each branch would double the
 * ways that the verifier goes through the expression.
 */
static __always_inline void lay_out(struct frame *frame, u64 base, u64 has_addresses, s64 addresses, s64 network,
                                    s64 end, u32 tag, u16 ethertype)
{
    u64 has_tag = 1 - is_zero(tag);

    opaque(has_tag);
    frame->base = base;
    frame->made = has_tag * 4 + (1 - has_addresses) * 2;
    frame->bytes = (u64)tag << 16 | (1 - has_addresses) * ((u64)ethertype << (32 - 32 * has_tag));
    frame->addresses = (s64)has_addresses * (addresses + 1) + NO_ADDRESSES;
    frame->others = (s64)has_addresses * addresses + (s64)(1 - has_addresses) * (network - ADDRESSES) - frame->made;
    frame->have = end - frame->others;
    frame->beyond = 0;
    frame->later = 0;
#ifdef HAVE_MADE_UP
    frame->known = 0;
#endif
}

static __always_inline int read_number(u64 address, u32 size, u32 *value)
{
    u32 word = 0;

    if (read_memory(&word, size, address))
        return UNPARSED;
    *value = size == 1 ? word : size == 2 ? be16(word) : be32(word);
    return MATCH;
}

static __always_inline int read_address(const struct frame *frame, u32 at, u32 size, u32 *value)
{
    if (frame->addresses == NO_ADDRESSES)
        return UNPARSED;
    return read_number(frame->base + (frame->addresses + at), size, value);
}

/* a load that is not all in one of the frame's three parts */
static __always_inline int load_across(const struct frame *frame, u32 at, u32 size, u32 *value)
{
    u32 byte = 0;

    *value = 0;
    for (u32 i = 0; i < size; i++) {
        u32 place = at + i;
        int found = MATCH;

        if (place < ADDRESSES)
            found = read_address(frame, place, 1, &byte);
        else if (place < ADDRESSES + frame->made)
            byte = frame->bytes >> (8 * (ADDRESSES + MOST_MADE - 1 - place) & 63) & 0xff;
        else
            found = read_number(frame->base + (frame->others + place), 1, &byte);
        if (found != MATCH)
            return found;
        *value = *value << 8 | byte;
    }
    return MATCH;
}

/* 1, 2 or 4 bytes of the frame in host order; MATCH, or what the expression comes to without them */
static __always_inline int load_bytes(struct frame *frame, u32 at, u32 size, u32 *value)
{
    u64 end = (u64)at + size;

    if ((s64)end > frame->have) {
        frame->beyond = end;
        return UNPARSED;
    }
#ifdef HAVE_MADE_UP
    if (frame->known && end > ADDRESSES + 2) {
        u64 wanted = (1ull << size) - 1;

        if (at < ADDRESSES + 2 || (frame->known >> (at - ADDRESSES - 2 & 63) & wanted) != wanted)
            return UNPARSED;
    }
#endif
    if (end <= ADDRESSES)
        return read_address(frame, at, size, value);
    if (at >= ADDRESSES + frame->made)
        return read_number(frame->base + (frame->others + at), size, value);
    if (size == 1 || (at >= ADDRESSES && end <= ADDRESSES + frame->made)) {
        *value = frame->bytes >> (8 * (ADDRESSES + MOST_MADE - end) & 63) & ((1ull << 8 * size) - 1);
        return MATCH;
    }
    return load_across(frame, at, size, value);
}

/* what classic.py makes of an instruction; `a`, `x` and `m` are the classic machine's registers and its memory */
#define LOAD(to, size, at)                                                                         \
    do {                                                                                           \
        int found_ = load_bytes(frame, at, size, &to);                                             \
        if (found_ != MATCH)                                                                       \
            return found_;                                                                         \
    } while (0)
#define LOAD_HEADER_LENGTH(at)                                                                     \
    do {                                                                                           \
        LOAD(x, 1, at);                                                                            \
        x = (x & 0x0f) * 4;                                                                        \
    } while (0)
#define JUMP(condition, yes, no)                                                                   \
    do {                                                                                           \
        if (condition)                                                                             \
            goto yes;                                                                              \
        goto no;                                                                                   \
    } while (0)
/* libpcap looks for ports in a datagram's first fragment only: what it says of a later one is a guess */
#define JUMP_IF_LATER_FRAGMENT(yes, no)                                                            \
    do {                                                                                           \
        if (a & 0x1fff) {                                                                          \
            frame->later = 1;                                                                      \
            goto yes;                                                                              \
        }                                                                                          \
        goto no;                                                                                   \
    } while (0)
#define ANSWER(number) return (number) ? MATCH : frame->later ? UNDECIDED : NO_MATCH
#define DIVIDE(operator)                                                                           \
    do {                                                                                           \
        if (!x)                                                                                    \
            return NO_MATCH;                                                                       \
        a operator x;                                                                              \
    } while (0)
#define SHIFT(operator) a = x < 32 ? a operator (x & 31) : 0
#endif

#ifdef FILTER_EXPRESSION
static __always_inline int judge_frame(struct frame *frame)
{
    u32 a = 0, x = 0, m[16] = {};

    FILTER_EXPRESSION
}
#endif

#ifdef FILTER_INNER_EXPRESSION
static __always_inline int judge_inner_frame(struct frame *frame)
{
    u32 a = 0, x = 0, m[16] = {};

    FILTER_INNER_EXPRESSION
}
#endif

/* both must fit */
static __always_inline int both(int one, int other)
{
    if (one == NO_MATCH || other == NO_MATCH)
        return NO_MATCH;
    return one == MATCH ? other : one;
}

/* one is enough */
static __always_inline int either(int one, int other)
{
    if (one == MATCH || other == MATCH)
        return MATCH;
    return one == NO_MATCH ? other : one;
}
