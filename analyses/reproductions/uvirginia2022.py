"""University of Virginia group (2022): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("uvirginia2022", "University of Virginia group (2022)")
