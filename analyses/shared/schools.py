"""Schools, not students: poor relations and bullying as principals see them in PISA, apart from everything else.

Where only directions could be read: an effect-direction plot and a sign test, never a pool.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from replication.analysis.outcome import Cell, Estimate, Figure, Label, Table, refs, within
from replication.dataset import Dataset, Selection, select
from replication.effects.correlation import back_to_r
from replication.errors import ModelError
from replication.evidence.bayes import posterior_estimate
from replication.evidence.pooling import effect_sizes, estimate_r
from replication.models.bayes.exact.exact import exact_three_level
from replication.models.bayes.priors.informed import correlation_priors
from replication.models.fit import Array, Fit
from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.multilevel.robust import robust, wald_test
from replication.models.probability import sign_test, wilson_interval

__all__ = ["direction_evidence", "school_estimates"]


def school_estimates(data: Dataset) -> tuple[tuple[Estimate, ...], Table, Figure]:
    """The same informant (221 samples) beside another informant, by cycle and by OECD membership."""
    same = _rows(data, ("poor_relations", "school_bullying"))
    other = _rows(data, ("poor_relations_students", "school_bullying"))
    both = [("same_informant_principal", "same", same), ("another_informant_students_average", "other", other)]
    contrast = set(other.rows["sample_id"])
    matched = same.keep(lambda r: r["sample_id"].isin(contrast), "not_in_the_cycle_of_the_contrast")
    both.append(("same_informant_contrast", "matched", matched))
    estimates = tuple(_pooled(selection, key, label) for label, key, selection in both)
    estimates += tuple(_posterior(selection, key, label) for label, key, selection in both[:2])
    rows: Rows = [
        (e.label, e.value, e.low, e.high, e.prediction_low, e.prediction_high, e.k, e.n, None) for e in estimates
    ]
    split = {name: _split(same, column) for name, column in (("by_cycle", "cycle"), ("by_membership", "oecd"))}
    groups = ["by_informant"] * len(rows) + [name for name, found in split.items() for _ in found]
    rows += [row for found in split.values() for row in found]
    return estimates, _table(rows), _figure(rows, groups)


Rows = list[tuple[Cell, ...]]


def _table(rows: Rows) -> Table:
    ends = ("low", "high", "new_country_low", "new_country_high")
    return Table(
        id="schools",
        title="school_poor_relations",
        columns=("evidence", "r", *ends, "samples", "schools", "p_of_equality"),
        rows=tuple(rows),
        note="school_note",
    )


def _figure(rows: Rows, groups: list[str]) -> Figure:
    columns = {name: [row[at] for row in rows] for at, name in enumerate(("label", "value", "low", "high"))}
    return Figure(
        id="schools",
        kind="agreement",
        title="school_informants",
        columns={**columns, "group": list(groups)},
        settings={"metric": "r"},
    )


def _rows(data: Dataset, pair: tuple[str, str]) -> Selection:
    return select(data, pair=pair, unit="school", works=["oecdpisa"])


def _fit(selection: Selection, x: Array | None = None, names: list[str] | None = None) -> Fit:
    """Cycle within country, three levels, unweighted r with 1 / (n - 3); CR2 by country."""
    rows = selection.rows.assign(n_effective=np.nan)  # unweighted r: n counts schools
    y, v = effect_sizes(Selection(rows))
    country = rows["country"].to_numpy()
    fit = fit_multilevel(y, v, {"country": country}, x, names=names)
    return robust(fit, kind="CR2", clusters=country)


def _pooled(selection: Selection, key: str, label: str) -> Estimate:
    return estimate_r(
        _fit(selection), selection, id=f"schools-{key}", label=label, group="school level", extra={"unit": "school"}
    )


def _posterior(selection: Selection, key: str, label: str) -> Estimate:
    """The exact posterior of the same three levels under the default priors for correlations."""
    y, v = effect_sizes(Selection(selection.rows.assign(n_effective=np.nan)))
    priors = correlation_priors()
    country = selection.rows["country"].to_numpy()
    posterior = exact_three_level(y, v, country, between=priors.between, within=priors.within, coefficients=priors.mean)
    return posterior_estimate(
        posterior, selection, id=f"schools-{key}-bayes", label=within(label, "exact_posterior"), group="school level"
    )


_NAMES = {("oecd", "yes"): "oecd_countries", ("oecd", "no"): "other_countries"}


def _split(selection: Selection, column: str) -> Rows:
    """Means by the levels of one column, from one model; rows without a level are left out of it."""
    known = selection.keep(lambda r: r[column] != "", Label("nothing_in_the_file", {"column": column}))
    # Sorted, so that cycles stand in time and the table is the same on every machine.
    levels = sorted(set(known.rows[column]))
    x = np.column_stack([(known.rows[column] == level).to_numpy(float) for level in levels])
    fit = _fit(known, x, levels)
    contrasts = np.column_stack([np.ones(len(levels) - 1), -np.eye(len(levels) - 1)])
    try:
        p = float(wald_test(fit, contrasts).p)
    except ModelError:
        p = None
    ends = back_to_r(fit.interval())
    sizes = known.rows.groupby(column)["n"].sum()
    return [
        (
            _NAMES.get((column, level), Label("pisa_cycle", {"cycle": level})),
            float(back_to_r(fit.beta[j])),
            float(ends[j, 0]),
            float(ends[j, 1]),
            None,
            None,
            int(x[:, j].sum()),
            float(sizes[level]),
            p,
        )
        for j, level in enumerate(levels)
    ]


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
        title="direction_only_what_the_abstracts_say",
        columns=("work", "association", "outcome", "direction", "as_expected", "where_the_number_would_be"),
        rows=tuple(
            (r["work"], r["association"], r["outcome_domain"], r["direction"], verdict, r["where_to_find"])
            for r, verdict in zip(records, verdicts, strict=True)
        ),
        links=refs("row", (r["direction_id"] for r in records)),
        note="no_sizes",
    )
    figure = Figure(
        id=f"directions-{key}",
        kind="effect_direction",
        title="direction_by_work",
        columns={
            "label": [f"{r['work']}: {r['association']}" for r in records],
            "outcome": [str(r["outcome_domain"]) for r in records],
            "direction": [str(r["direction"]) for r in records],
            "expected": verdicts,
            "wanted": [_wanted(r, outcomes) for r in records],
            "row": [str(r["direction_id"]) for r in records],
        },
    )
    return table, figure, _sign_test(records, verdicts, key)


def _as_expected(row: Mapping[Hashable, Any], outcomes: Mapping[str, int]) -> str:
    if row["direction"] not in ("+", "-"):
        return "not stated" if row["direction"] == "?" else "null"
    expected = RELATIONSHIP[row["predictor_construct"]] * outcomes[row["outcome_domain"]]
    return "yes" if (row["direction"] == "+") == (expected > 0) else "no"


def _wanted(row: Mapping[Hashable, Any], outcomes: Mapping[str, int]) -> str:
    """Whether one wants this direction: more of a good outcome, less of a bad one; empty where there is none."""
    if row["direction"] not in ("+", "-"):
        return ""
    return "yes" if (row["direction"] == "+") == (outcomes[row["outcome_domain"]] > 0) else "no"


def _sign_test(records: Sequence[Mapping[Hashable, Any]], verdicts: list[str], key: str) -> Estimate:
    works: dict[str, list[str]] = {}
    for row, verdict in zip(records, verdicts, strict=True):
        works.setdefault(str(row["work"]), []).append(verdict)
    # Works with as many for as against say nothing about the sign: a sign test leaves ties out.
    sided = {work: (v.count("yes"), v.count("no")) for work, v in works.items() if v.count("yes") != v.count("no")}
    favour = sum(yes > no for yes, no in sided.values())
    nan = float("nan")
    low, high = wilson_interval(favour, len(sided)) if sided else (nan, nan)
    return Estimate(
        id=f"sign-test-{key}",
        label="works_as_expected",
        metric="count",
        value=float(favour),
        p=sign_test(favour, len(sided)) if sided else nan,
        low=low * len(sided),
        high=high * len(sided),
        k=len(sided),
        group="direction",
        method={"test": "binomial_test_over_works", "interval": "Wilson"},
        notes=(Label("works_listed", {"works": ", ".join(sorted(sided))}),),
    )
