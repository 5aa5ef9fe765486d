"""Cuculescu (2021): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("cuculescu2021", "Cuculescu (2021)")
