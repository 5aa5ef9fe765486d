"""Allen et al. (2018): directions as the abstract words them; each claim says where its size would be found."""

from replication.analysis import printed_only

ANALYSIS = printed_only("allen2018", "Allen et al. (2018)")
