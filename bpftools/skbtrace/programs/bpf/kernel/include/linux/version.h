/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* the running kernel's version: given on the command line, kernels before 5.0 compare it for kprobes */
#define LINUX_VERSION_CODE LINUX_VERSION_CODE_OVERRIDE
