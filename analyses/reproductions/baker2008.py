"""Baker et al. (2008): directions as the abstract words them; each claim says where its size would be found."""

from replication.analysis import printed_only

ANALYSIS = printed_only("baker2008", "Baker et al. (2008)")
