/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Stands in for the kernel's source tree: bcc wants one, and includes this file before all else.
 * Types of the running kernel come from its BTF and stand at the top of the program itself.
 */
#ifndef SKBTRACE_KCONFIG_H
#define SKBTRACE_KCONFIG_H
#define CONFIG_BPF_SYSCALL 1
#define PAGE_SIZE 4096
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#define noinline __attribute__((noinline))
#define __always_inline inline __attribute__((always_inline))

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef __u64 __attribute__((aligned(8))) __aligned_u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;
typedef unsigned long size_t;
typedef unsigned long uintptr_t;
typedef _Bool bool;
#endif
