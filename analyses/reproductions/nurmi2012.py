"""Nurmi (2012): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("nurmi2012", "Nurmi (2012)")
