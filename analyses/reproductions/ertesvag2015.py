"""Ertesvåg & Roland (2015): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("ertesvag2015", "Ertesvåg & Roland (2015)")
