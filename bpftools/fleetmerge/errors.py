# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with the input; each message is one sentence for the user."""


class MergeError(Exception):
    """The merge cannot be done at all; nothing has been written."""


class BundleError(MergeError):
    """One bundle cannot be used; the others can."""
