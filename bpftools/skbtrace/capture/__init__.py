# SPDX-License-Identifier: Apache-2.0
"""What comes out of the kernel: records in a window, kept in a bundle."""
