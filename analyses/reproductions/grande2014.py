"""Grande (2014): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("grande2014", "Grande (2014)")
