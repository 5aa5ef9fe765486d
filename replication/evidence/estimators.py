"""One body of evidence, every estimator: an agreement table in r, and what each estimator assumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from replication.analysis.outcome import Cell, Estimate, Label, Table, Text, of, refs, within
from replication.errors import ModelError
from replication.evidence.main_model import working_fit
from replication.evidence.pooling import estimate_r
from replication.evidence.question import RHO, Evidence, Question, sample_means
from replication.models.fit import Fit
from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.multilevel.robust import robust
from replication.models.options import Tau2Method, TestMethod
from replication.models.two_level.random_effects import fit_random_effects

__all__ = ["RHOS", "agreement", "back_transform", "centre_of", "che", "estimator_estimates"]

RHOS = (0.4, 0.6, 0.8)
TWO_LEVEL: tuple[tuple[Tau2Method, str], ...] = (
    ("REML", "REML, Knapp–Hartung"),
    ("ML", "ML, Knapp–Hartung"),
    ("DL", "DerSimonian–Laird, Knapp–Hartung"),
    ("PM", "Paule–Mandel, Knapp–Hartung"),
    ("EE", "common_effect"),
)


def estimator_estimates(found: Evidence) -> tuple[Estimate, ...]:
    """Every estimator of the mean on one body of evidence; `bias` has the models that ask what was not printed."""
    means = sample_means(found)
    estimates = [_two_level(means, method, label) for method, label in TWO_LEVEL]
    # What compares samples has nothing to go by where there is one: the body is then its sample's mean.
    if 1 < len(means.y) < len(found.y):
        # The main model's fit is at hand, and another rho moves its variances little.
        fits = {rho: che(found) if rho == RHO else che(found, rho, near=che(found)) for rho in RHOS}
        estimates += [
            back_transform(fit, found, f"che-{rho}", Label("che_rho", {"rho": rho})) for rho, fit in fits.items()
        ]
        estimates.append(back_transform(_three_level(found), found, "three-level", "three_levels_independent"))
    every_row = tuple(found.rows["effect_id"])  # a sample's value rests on all its rows
    return tuple(replace(estimate, rows=every_row) for estimate in estimates)


def che(
    found: Evidence,
    rho: float = RHO,
    x: np.ndarray | None = None,
    names: Sequence[str] | None = None,
    near: Fit | None = None,
) -> Fit:
    """The main working model (Pustejovsky & Tipton 2022, with countries) with CR2 at its outermost level."""
    return working_fit(found, rho, x, names, near=near)


def centre_of(found: Evidence) -> float:
    """The mean on Fisher's z by the main working model; where that cannot be fitted (one sample), over the samples."""
    try:
        return float(che(found).beta[0])
    except ModelError:
        means = sample_means(found)
        return float(np.average(means.y, weights=1.0 / means.v))


def back_transform(fit: Fit, found: Evidence, estimator: str, label: Text, group: str = "heterogeneity") -> Estimate:
    """The intercept of a fit on the evidence, as an estimate in r."""
    return estimate_r(
        fit, found.selection, id=f"{found.question.id}-{found.source}-{estimator}", label=label, group=group
    )


def agreement(question: Question, bodies: Sequence[tuple[Text, Sequence[Estimate]]]) -> Table:
    """Every estimator on every body of evidence in one table; estimators of one name stand together.

    Parameters
    ----------
    question : what is asked.
    bodies : the name of each body with its estimates.
    """
    columns = (
        "estimator",
        "evidence",
        "r",
        "low",
        "high",
        "new_sample_low",
        "new_sample_high",
        "tau2_z",
        "k",
        "samples",
    )
    pairs = [(e, name) for name, estimates in bodies for e in estimates]
    labels = [e.label for e, _ in pairs]
    pairs.sort(key=lambda pair: labels.index(pair[0].label))  # stable: within an estimator the bodies keep their order
    rows = tuple(
        (e.label, name, e.value, e.low, e.high, e.prediction_low, e.prediction_high, e.tau2, e.k, e.samples)
        for e, name in pairs
    )
    return Table(
        id=f"agreement-{question.id}",
        title=of(question.label, "every_estimator"),
        columns=columns,
        rows=_clean(rows),
        links=refs("estimate", (e.id for e, _ in pairs)),
    )


def _clean(rows: tuple[tuple[object, ...], ...]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(
        tuple(None if isinstance(c, float) and not np.isfinite(c) else c for c in row)  # type: ignore[misc]
        for row in rows
    )


def _two_level(means: Evidence, method: Tau2Method, label: str) -> Estimate:
    # Knapp-Hartung estimates a spread that the common-effect model says is not there.
    test: TestMethod = "z" if method == "EE" else "knha"
    fit = fit_random_effects(means.y, means.v, method=method, test=test)
    return back_transform(fit, means, method.lower(), within(label, "one_value_a_sample"))


def _three_level(found: Evidence) -> Fit:
    *between, within = (component.estimate for component in che(found).components)
    fit = fit_multilevel(found.y, found.v, {"sample": found.samples}, near=[sum(between), within])
    return robust(fit, kind="CR2", clusters=found.samples)
