"""Riley (2009): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("riley2009", "Riley (2009)")
