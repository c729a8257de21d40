# SPDX-License-Identifier: Apache-2.0
"""What runs in the kernel: points, filter and C, made into programs and attached."""
import os

BPF_DIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bpf")
