"""van der Werff (2017): printed numbers without public data; each claim says what is missing."""

from replication.analysis import printed_only

ANALYSIS = printed_only("vanderwerff2017", "van der Werff (2017)")
