/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
#define BPF_LD 0x00 /* bcc's own bpf.h expects it; the tracers use no classic BPF */
