"""Wang et al. (2020): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("wang2020", "Wang et al. (2020)")
