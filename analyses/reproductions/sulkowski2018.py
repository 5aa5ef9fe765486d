"""Sulkowski & Simmons (2018): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("sulkowski2018", "Sulkowski & Simmons (2018)")
