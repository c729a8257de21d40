/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* empty on purpose: see linux/kconfig.h */
