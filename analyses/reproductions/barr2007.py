"""Barr & Higgins-D'Alessandro (2007): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("barr2007", "Barr & Higgins-D'Alessandro (2007)")
