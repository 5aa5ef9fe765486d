"""Thijssen et al. (2022): directions as the abstract words them; each claim says where its size would be found."""

from replication.analysis import printed_only

ANALYSIS = printed_only("thijssen2022", "Thijssen et al. (2022)")
