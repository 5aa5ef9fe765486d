"""Schools, not students: poor relations and bullying as principals see them in PISA, apart from everything else."""

from __future__ import annotations

import numpy as np

from replication.analysis.findings.bayes import posterior_estimate
from replication.analysis.outcome import Estimate, Figure, Table
from replication.analysis.pooling import effect_sizes, estimate_r
from replication.dataset import Dataset, Selection, select
from replication.errors import ModelError
from replication.models.bayes.exact import exact_three_level
from replication.models.bayes.informed import correlation_priors
from replication.models.fit import Array, Fit
from replication.models.multilevel import fit_multilevel
from replication.models.robust import robust, wald_test

__all__ = ["school_estimates"]


def school_estimates(data: Dataset) -> tuple[tuple[Estimate, ...], Table, Figure]:
    """The same informant (221 samples) beside another informant, by cycle and by OECD membership."""
    same = _rows(data, ("poor_relations", "school_bullying"))
    other = _rows(data, ("poor_relations_students", "school_bullying"))
    both = [("same informant (principal)", "same", same), ("another informant (students' average)", "other", other)]
    contrast = set(other.rows["sample_id"])
    matched = same.keep(lambda r: r["sample_id"].isin(contrast), "not in the cycle of the contrast")
    both.append(("same informant, only the samples of the contrast", "matched", matched))
    estimates = tuple(_pooled(selection, key, label) for label, key, selection in both)
    estimates += tuple(_posterior(selection, key, label) for label, key, selection in both[:2])
    rows: list[tuple[str | float | None, ...]] = [
        (e.label, e.value, e.low, e.high, e.prediction_low, e.prediction_high, e.k, e.n) for e in estimates
    ]
    rows += _split(same, "cycle") + _split(same, "oecd")
    table = Table(
        id="schools",
        title="School level: poor relations with bullying, as principals report them",
        columns=("evidence", "r", "low", "high", "new country low", "new country high", "samples", "schools"),
        rows=tuple(rows),
        note="Unit: schools. Ordinal answers of one principal; never pooled with students' correlations.",
    )
    figure = Figure(
        id="schools",
        kind="agreement",
        title="School level: the same informant and another one",
        columns={name: [row[at] for row in rows] for at, name in enumerate(("label", "value", "low", "high"))},
        settings={"metric": "r"},
    )
    return estimates, table, figure


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
        posterior, selection, id=f"schools-{key}-bayes", label=f"{label}, exact posterior", group="school level"
    )


def _split(selection: Selection, column: str) -> list[tuple[str | float | None, ...]]:
    """Means by the levels of one column, from one model; rows without a level are left out of it."""
    known = selection.keep(lambda r: r[column] != "", f"no {column} in the file")
    levels = sorted(set(known.rows[column]))
    x = np.column_stack([(known.rows[column] == level).to_numpy(float) for level in levels])
    fit = _fit(known, x, levels)
    contrasts = np.column_stack([np.ones(len(levels) - 1), -np.eye(len(levels) - 1)])
    try:
        p = f", p of equality {wald_test(fit, contrasts).p:.3g}"
    except ModelError:
        p = ""
    ends = np.tanh(fit.interval())
    sizes = known.rows.groupby(column)["n"].sum()
    return [
        (
            f"{column} {level}{p}",
            float(np.tanh(fit.beta[j])),
            float(ends[j, 0]),
            float(ends[j, 1]),
            None,
            None,
            int(x[:, j].sum()),
            float(sizes[level]),
        )
        for j, level in enumerate(levels)
    ]
