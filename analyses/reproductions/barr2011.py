"""Barr (2011): directions as the abstract words them; each claim says where its size would be found."""

from replication.analysis import printed_only

ANALYSIS = printed_only("barr2011", "Barr (2011)")
