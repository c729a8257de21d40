# SPDX-License-Identifier: Apache-2.0
"""Fuzzers: what comes from a host, from a file or from a command line is made up, and has to be taken or refused in one
sentence. `make fuzz` runs them for as long as you like; the unit tests run a few fixed examples of each."""
