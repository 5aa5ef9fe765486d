"""University of Amsterdam thesis: printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("uvasocemo", "University of Amsterdam thesis")
