"""Scales et al. (2020): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("scales2020", "Scales et al. (2020)")
