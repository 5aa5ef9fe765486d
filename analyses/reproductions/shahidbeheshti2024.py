"""Shahid Beheshti University (2024): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("shahidbeheshti2024", "Shahid Beheshti University (2024)")
