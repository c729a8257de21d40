# SPDX-License-Identifier: Apache-2.0
"""What the running kernel is: types, functions, names."""
