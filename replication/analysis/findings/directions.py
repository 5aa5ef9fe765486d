"""Where only directions could be read: an effect-direction plot and a sign test, never a pool."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from replication.analysis.outcome import Estimate, Figure, Table
from replication.dataset import Dataset

__all__ = ["direction_evidence"]

RELATIONSHIP = {"tsr_positive": 1, "tsr_overall": 1, "tsr_negative": -1}


def direction_evidence(data: Dataset, outcomes: dict[str, int], key: str) -> tuple[Table, Figure, Estimate]:
    """Rows on a relationship with one of `outcomes` (domain -> sign expected with a good relationship).

    The sign test counts works, not rows: rows of one work share their students. A work counts as in favour when
    most of its rows point the expected way.
    """
    rows = data.directions
    rows = rows[rows["outcome_domain"].isin(list(outcomes)) & rows["predictor_construct"].isin(list(RELATIONSHIP))]
    records = rows.to_dict("records")
    verdicts = [_as_expected(row, outcomes) for row in records]
    table = Table(
        id=f"directions-{key}",
        title="Direction only: what the abstracts say",
        columns=("work", "association", "outcome", "direction", "as expected", "where the number would be"),
        rows=tuple(
            (r["work"], r["association"], r["outcome_domain"], r["direction"], verdict, r["where_to_find"])
            for r, verdict in zip(records, verdicts, strict=True)
        ),
        links=tuple(str(r["direction_id"]) for r in records),
        note="No sizes: these rows enter no pool.",
    )
    figure = Figure(
        id=f"directions-{key}",
        kind="effect_direction",
        title="Direction of effect, by work",
        columns={
            "label": [f"{r['work']}: {r['association']}" for r in records],
            "outcome": [str(r["outcome_domain"]) for r in records],
            "direction": [str(r["direction"]) for r in records],
            "row": [str(r["direction_id"]) for r in records],
        },
    )
    return table, figure, _sign_test(records, verdicts, key)


def _as_expected(row: Mapping[Hashable, Any], outcomes: Mapping[str, int]) -> str:
    if row["direction"] not in ("+", "-"):
        return "not stated" if row["direction"] == "?" else "null"
    expected = RELATIONSHIP[row["predictor_construct"]] * outcomes[row["outcome_domain"]]
    return "yes" if (row["direction"] == "+") == (expected > 0) else "no"


def _sign_test(records: Sequence[Mapping[Hashable, Any]], verdicts: list[str], key: str) -> Estimate:
    from scipy import stats

    works: dict[str, list[str]] = {}
    for row, verdict in zip(records, verdicts, strict=True):
        works.setdefault(str(row["work"]), []).append(verdict)
    sided = {work: (v.count("yes"), v.count("no")) for work, v in works.items() if v.count("yes") != v.count("no")}
    favour = sum(yes > no for yes, no in sided.values())
    test = stats.binomtest(favour, len(sided)) if sided else None
    interval = test.proportion_ci(method="wilson") if test else None
    return Estimate(
        id=f"sign-test-{key}",
        label="works whose rows mostly point the expected way",
        metric="count",
        value=float(favour),
        p=float(test.pvalue) if test else float("nan"),
        low=float(interval.low * len(sided)) if interval else float("nan"),
        high=float(interval.high * len(sided)) if interval else float("nan"),
        k=len(sided),
        group="direction",
        method={"test": "exact two-sided binomial test over works", "interval": "Wilson"},
        notes=(f"works: {', '.join(sorted(sided))}",),
    )
