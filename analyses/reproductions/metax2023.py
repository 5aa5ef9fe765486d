"""Visible Learning MetaX: a database's entries against the articles they convert, and its two means against each other.

The five entries weigh equally in version 1.1 (0.47) and by their number of studies in version 1.2 (0.62): the same
counts, another rule, and no word about it.
"""

import math
from collections.abc import Mapping

from replication.analysis import agrees_with, printed_only, sum_of, value_of
from replication.claims import Answer, Checked, Claim

ENTRIES = ("metax2023-001", "metax2023-005", "metax2023-009", "metax2023-010", "metax2023-011")
PARTS = {"n": ("003", "005", "007", "009"), "k": ("002", "004", "006", "008")}


def checks(claims: Mapping[str, Claim]) -> Mapping[str, Answer]:
    effects = [value_of(claims, entry) for entry in ENTRIES]
    studies = [claims[entry].k for entry in ENTRIES]
    r = value_of(claims, "corneliuswhite2007-001")
    ends = [d_from_r(end) for end in (r.low, r.high)]
    return {
        "metax2023-001": Checked(*ends, f"d of the article's r {r.text}", d_from_r(r.value)),
        "metax2023-002": agrees_with(claims, "corneliuswhite2007-002", "in the article"),
        "metax2023-003": agrees_with(claims, "corneliuswhite2007-003", "in the article"),
        "metax2023-004": agrees_with(claims, "corneliuswhite2007-004", "in the article"),
        "metax2023-006": agrees_with(claims, "roorda2011-001", "in the article"),
        "metax2023-007": sum_of(claims, [f"roorda2011-{part}" for part in PARTS["n"]]),
        "metax2023-008": sum_of(claims, [f"roorda2011-{part}" for part in PARTS["k"]]),
        "metax2023-012": _mean(effects, studies, "mean of the five entries weighted by their number of studies"),
        "metax2023-013": _mean(effects, [1.0] * len(effects), "plain mean of the five entries"),
        "metax2023-014": Checked(sum(studies), sum(studies), "sum of the studies of the five entries", sum(studies)),
    }


def d_from_r(r: float) -> float:
    return 2 * r / math.sqrt(1 - r * r)


def _mean(effects: list, weights: list[float], how: str) -> Checked:
    total = sum(weights)
    low, value, high = (
        sum(w * getattr(e, end) for w, e in zip(weights, effects, strict=True)) / total
        for end in ("low", "value", "high")
    )
    return Checked(low, high, how, value)


ANALYSIS = printed_only(
    "metax2023", "Visible Learning MetaX (2023)", checks, beside=("corneliuswhite2007", "roorda2011")
)
