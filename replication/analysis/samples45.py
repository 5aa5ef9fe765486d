"""The 45 public samples of Roorda et al. (2011): which correlations the published analyses use, and an audit."""

from __future__ import annotations

from replication.dataset import Dataset, Selection, select

__all__ = ["AUDIT_COLUMNS", "PAIRS", "audit", "used"]

PAIRS = (
    ("positive", "engagement"),
    ("negative", "engagement"),
    ("positive", "achievement"),
    ("negative", "achievement"),
    ("positive", "negative"),
    ("engagement", "achievement"),
)
AUDIT_COLUMNS = ("row", "sample", "pair", "r", "n", "what")
NOT_USED = "its variable has NA on the diagonal of the matrix, and the published analyses drop it without a word"


def used(selection: Selection) -> Selection:
    """The rows the published analyses use: both variables have their diagonal entry."""
    return selection.keep(
        lambda rows: (rows["diagonal_a_missing"] == "no") & (rows["diagonal_b_missing"] == "no"), NOT_USED
    )


def audit(dataset: Dataset) -> tuple[tuple[str | float, ...], ...]:
    """Every correlation that needs a second look: unused ones, exact zeros, and rows with a note, one reason a line."""
    rows = select(dataset, works=["roorda2011"]).rows
    found = []
    for row in rows.to_dict("records"):
        reasons = []
        if "yes" in (row["diagonal_a_missing"], row["diagonal_b_missing"]):
            reasons.append(NOT_USED)
        if row["value"] == 0:
            reasons.append("exactly 0: may stand for a missing value")
        if row["note"]:
            reasons.append(row["note"])
        pair = f"{row['var_a']} with {row['var_b']}"
        found += [(row["effect_id"], row["sample_id"], pair, row["value"], row["n"], reason) for reason in reasons]
    return tuple(found)
