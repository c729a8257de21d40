# SPDX-License-Identifier: Apache-2.0
"""Host side of skbfleet: two BPF tracers' common engine. Python >= 3.6, standard library and bcc only."""

VERSION = "0.1.0"
