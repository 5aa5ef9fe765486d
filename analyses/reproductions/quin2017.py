"""Quin (2017): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("quin2017", "Quin (2017)")
