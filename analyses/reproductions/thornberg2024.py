"""Thornberg et al. (2024): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("thornberg2024", "Thornberg et al. (2024)")
