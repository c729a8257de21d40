/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the tracers' C finds in a kernel and in bcc, for a program of user space: "kernel memory" is its own. */
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define __always_inline __attribute__((always_inline)) inline
#define HAVE_PROBE_READ_KERNEL 1
#define HAVE_LARGE_PROGRAMS 1
#define HAVE_sk_buff_vlan_all 1
#define POINT_COUNT 1
#define FLOW_ACTIONS_LENGTH 0
#define RECIPE "0"
/* a page is found at its own address */
#define DIRECT_MAP 0
#define PAGE_STRUCTS 0
#define PAGE_STRUCT_SIZE 1
#define PAGE_BYTES 1

struct sk_buff {
    u64 next, dev, sk;
    u32 len, data_len;
    u16 queue_mapping;
    u8 cloned, pkt_type, ip_summed;
    u32 skb_iif, hash;
    union {
        u32 vlan_all;
        struct {
            u16 vlan_proto, vlan_tci;
        };
    };
    u32 priority, mark;
    u16 protocol, transport_header, network_header, mac_header;
    u32 tail, end;
    u64 head, data;
    struct {
        struct {
            u32 counter;
        } refs;
    } users;
};

struct skb_shared_info {
    u8 nr_frags;
    u16 gso_size, gso_segs;
    u64 frag_list;
    u8 frags[16];
    u32 gso_type;
};

struct net_device {
    u32 ifindex;
    struct {
        u64 net;
    } nd_net;
    char name[16];
};

struct net {
    struct {
        u32 inum;
    } ns;
};

struct sock {
    struct {
        struct {
            u64 net;
        } skc_net;
    } __sk_common;
};

struct bpf_raw_tracepoint_args {
    u64 args[5];
};

#define BPF_ARRAY(name, type, count) BPF_PERCPU_ARRAY(name, type, count)
#define BPF_PERCPU_ARRAY(name, type, count)                                                        \
    static type name##_memory[count];                                                              \
    static type *name##_lookup(const void *key) { return name##_memory + *(const u32 *)key; }      \
    static struct { type *(*lookup)(const void *); } name = {name##_lookup}
#define BPF_PERF_OUTPUT(name)                                                                      \
    static int name##_submit(void *ctx, const void *data, u64 size) { return 0; }                  \
    static struct { int (*perf_submit)(void *, const void *, u64); } name = {name##_submit}

static int bpf_probe_read_kernel(void *to, u64 size, const void *from)
{
    memcpy(to, from, size);
    return 0;
}

static u64 bpf_ktime_get_ns(void) { return 0; }
static u32 bpf_get_smp_processor_id(void) { return 0; }
static u64 bpf_get_current_pid_tgid(void) { return 0; }
static void bpf_get_current_comm(void *to, u64 size) { memset(to, 0, size); }

/* the expression that is being tried, of many */
struct frame;
static int (*chosen)(struct frame *), (*chosen_inner)(struct frame *);
#define FILTER_EXPRESSION return chosen(frame);
#define FILTER_INNER_EXPRESSION return chosen_inner(frame);
