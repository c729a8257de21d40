# SPDX-License-Identifier: Apache-2.0
"""Runs that have been merged, side by side."""
