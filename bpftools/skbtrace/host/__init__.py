# SPDX-License-Identifier: Apache-2.0
"""What the host is: its devices, namespaces, clocks, limits."""
