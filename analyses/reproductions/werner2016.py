"""Werner et al. (2016): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("werner2016", "Werner et al. (2016)")
