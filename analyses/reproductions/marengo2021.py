"""Marengo et al. (2021): sample sizes and shares agree with each other; coefficients are in the tables."""

from collections.abc import Mapping

from replication.analysis import printed_only, share_of, sum_of
from replication.claims import Answer, Claim


def checks(claims: Mapping[str, Claim]) -> Mapping[str, Answer]:
    return {
        "marengo2021-001": sum_of(claims, ["marengo2021-008", "marengo2021-010"]),
        "marengo2021-009": share_of(claims, "marengo2021-008", "marengo2021-001"),
        "marengo2021-011": share_of(claims, "marengo2021-010", "marengo2021-001"),
    }


ANALYSIS = printed_only("marengo2021", "Marengo et al. (2021)", checks)
