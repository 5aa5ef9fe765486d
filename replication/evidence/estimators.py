"""One body of evidence, every estimator: an agreement table in r, and what each estimator assumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from replication.analysis.outcome import Estimate, Figure, Table
from replication.evidence.main_model import working_fit
from replication.evidence.pooling import estimate_r
from replication.evidence.question import RHO, Evidence, sample_means
from replication.models.fit import Fit
from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.multilevel.robust import robust
from replication.models.options import Tau2Method, TestMethod
from replication.models.two_level.random_effects import fit_random_effects

__all__ = ["RHOS", "agreement", "back_transform", "che", "estimator_estimates"]

RHOS = (0.4, 0.6, 0.8)
TWO_LEVEL: tuple[tuple[Tau2Method, str], ...] = (
    ("REML", "REML, Knapp–Hartung"),
    ("ML", "ML, Knapp–Hartung"),
    ("DL", "DerSimonian–Laird, Knapp–Hartung"),
    ("PM", "Paule–Mandel, Knapp–Hartung"),
    ("EE", "common effect"),
)


def estimator_estimates(found: Evidence) -> tuple[Estimate, ...]:
    """Every estimator of the mean on one body of evidence; `bias` has the models that ask what was not printed."""
    means = sample_means(found)
    estimates = [_two_level(means, method, label) for method, label in TWO_LEVEL]
    if len(means.y) < len(found.y):
        estimates += [back_transform(che(found, rho), found, f"che-{rho}", f"CHE rho {rho}, CR2") for rho in RHOS]
        estimates.append(back_transform(_three_level(found), found, "three-level", "three levels, independent errors"))
    every_row = tuple(found.rows["effect_id"])  # a sample's value rests on all its rows
    return tuple(replace(estimate, rows=every_row) for estimate in estimates)


def che(found: Evidence, rho: float = RHO, x: np.ndarray | None = None, names: Sequence[str] | None = None) -> Fit:
    """The main working model (Pustejovsky & Tipton 2022, with countries) with CR2 at its outermost level."""
    return _plain_che(found, rho) if x is None else working_fit(found, rho, x, names)


@lru_cache(maxsize=32)
def _plain_che(found: Evidence, rho: float) -> Fit:
    """The model without moderators, kept: several parts of a finding start from it."""
    return working_fit(found, rho)


def back_transform(fit: Fit, found: Evidence, estimator: str, label: str, group: str = "heterogeneity") -> Estimate:
    """The intercept of a fit on the evidence, as an estimate in r."""
    return estimate_r(
        fit, found.selection, id=f"{found.question.id}-{found.source}-{estimator}", label=label, group=group
    )


def agreement(found: Evidence, estimates: Sequence[Estimate], title: str) -> tuple[Table, Figure]:
    """The estimators side by side, as a table and as a figure."""
    key = f"{found.question.id}-{found.source}"
    columns = ("estimator", "r", "low", "high", "new sample low", "new sample high", "tau2 (z)", "k", "samples")
    rows = tuple(
        (e.label, e.value, e.low, e.high, e.prediction_low, e.prediction_high, e.tau2, e.k, e.samples)
        for e in estimates
    )
    links = tuple(e.id for e in estimates)
    table = Table(id=f"agreement-{key}", title=title, columns=columns, rows=_clean(rows), links=links)
    shown: dict[str, list[str | float]] = {
        "label": [e.label for e in estimates],
        "value": [e.value for e in estimates],
        "low": [e.low for e in estimates],
        "high": [e.high for e in estimates],
        "estimate": [e.id for e in estimates],
        "group": [e.group for e in estimates],
    }
    return table, Figure(id=f"agreement-{key}", kind="agreement", title=title, columns=shown, settings={"metric": "r"})


def _clean(rows: tuple[tuple[object, ...], ...]) -> tuple[tuple[str | float | None, ...], ...]:
    return tuple(
        tuple(None if isinstance(c, float) and not np.isfinite(c) else c for c in row)  # type: ignore[misc]
        for row in rows
    )


def _two_level(means: Evidence, method: Tau2Method, label: str) -> Estimate:
    # Knapp-Hartung estimates a spread that the common-effect model says is not there.
    test: TestMethod = "z" if method == "EE" else "knha"
    fit = fit_random_effects(means.y, means.v, method=method, test=test)
    return back_transform(fit, means, method.lower(), f"{label}, one value a sample")


def _three_level(found: Evidence) -> Fit:
    return robust(fit_multilevel(found.y, found.v, {"sample": found.samples}), kind="CR2", clusters=found.samples)
