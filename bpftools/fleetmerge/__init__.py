# SPDX-License-Identifier: Apache-2.0
"""The merger: bundles of one run in, one timeline, one table, one summary and one verdict out.

Runs on the controller, on bundles alone: it never needs a host. Data goes one way:

    bundle (open, verify) -> records (decode) -> headers (parse) -> columns (name things)
        -> clock (one time) -> lines, events.parquet -> summary -> verdict
"""
TOOL_VERSION = "0.1.0"
