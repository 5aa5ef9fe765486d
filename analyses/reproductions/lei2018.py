"""Lei et al. (2018): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("lei2018", "Lei et al. (2018)")
