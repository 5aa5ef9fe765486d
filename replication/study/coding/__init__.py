"""Double coding: two or more coders read the same work apart; how far they agree, and what was decided where not."""

from replication.study.coding.coders import Coders, read_coders
from replication.study.coding.comparing import Alone, Comparison, Disagreement, compare_coders
from replication.study.coding.matching import matched
from replication.study.coding.merging import Merged, merged_tables
from replication.study.coding.settling import record_settled, settle_command, settle_many

__all__ = [
    "Alone",
    "Coders",
    "Comparison",
    "Disagreement",
    "Merged",
    "compare_coders",
    "matched",
    "merged_tables",
    "read_coders",
    "record_settled",
    "settle_command",
    "settle_many",
]
