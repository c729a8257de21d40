# SPDX-License-Identifier: Apache-2.0
"""Filter expressions, held against libpcap's own verdict on random packets."""
