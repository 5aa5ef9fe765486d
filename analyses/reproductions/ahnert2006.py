"""Ahnert et al. (2006): the abstract and a news item print different numbers of children."""

from collections.abc import Mapping

from replication.analysis import agrees_with, printed_only
from replication.claims import Answer, Claim


def checks(claims: Mapping[str, Claim]) -> Mapping[str, Answer]:
    news = "in the abstract; a news item prints its own number"
    return {"ahnert2006-005": agrees_with(claims, "ahnert2006-002", news)}


ANALYSIS = printed_only("ahnert2006", "Ahnert et al. (2006)", checks)
