# SPDX-License-Identifier: Apache-2.0
"""What a person sees: lines, and what this host would take."""
