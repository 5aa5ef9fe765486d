"""Allen et al. (2018): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("allenkern2018", "Allen et al. (2018)")
