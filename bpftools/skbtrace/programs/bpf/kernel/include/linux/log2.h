/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* a constant expression: the size of bcc's stack table is made with it */
#define roundup_pow_of_two(n) (1UL << (64 - __builtin_clzl((n) - 1)))
