"""ten Bokkel et al. (2023): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("tenbokkel2023", "ten Bokkel et al. (2023)")
