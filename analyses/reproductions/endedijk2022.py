"""Endedijk et al. (2022): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("endedijk2022", "Endedijk et al. (2022)")
