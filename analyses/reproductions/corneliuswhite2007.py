"""Cornelius-White (2007): the counts beside those a database prints for the same article."""

from collections.abc import Mapping

from replication.analysis import agrees_with, printed_only
from replication.claims import Answer, Claim


def checks(claims: Mapping[str, Claim]) -> Mapping[str, Answer]:
    database = "in the Visible Learning database"
    return {
        "corneliuswhite2007-002": agrees_with(claims, "metax2023-002", database),
        "corneliuswhite2007-003": agrees_with(claims, "metax2023-003", database),
        "corneliuswhite2007-004": agrees_with(claims, "metax2023-004", database),
    }


ANALYSIS = printed_only("corneliuswhite2007", "Cornelius-White (2007)", checks)
