"""One body of evidence, every estimator: an agreement table in r, and what each estimator assumes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from replication.analysis.outcome import Estimate, Figure, Table
from replication.errors import ModelError
from replication.evidence.pooling import estimate_r
from replication.evidence.question import Evidence, sample_means
from replication.models.bias.henmi_copas import henmi_copas
from replication.models.bias.pet_peese import pet_peese
from replication.models.bias.selection_models import fit_step_selection
from replication.models.bias.trim_fill import trim_fill
from replication.models.bias.waap import waap_wls
from replication.models.fit import Fit
from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.multilevel.robust import robust
from replication.models.multilevel.structure import BlockV
from replication.models.options import Direction, Tau2Method, TestMethod
from replication.models.two_level.random_effects import fit_random_effects

__all__ = ["RHOS", "agreement", "back_transform", "che", "estimator_estimates"]

RHOS = (0.4, 0.6, 0.8)
MAIN_RHO = 0.6
TWO_LEVEL: tuple[tuple[Tau2Method, str], ...] = (
    ("REML", "REML, Knapp–Hartung"),
    ("ML", "ML, Knapp–Hartung"),
    ("DL", "DerSimonian–Laird, Knapp–Hartung"),
    ("PM", "Paule–Mandel, Knapp–Hartung"),
    ("EE", "common effect"),
)


def estimator_estimates(found: Evidence) -> tuple[Estimate, ...]:
    """Every estimator on one body of evidence; an estimator that cannot run says why in its notes.

    Adjustments for publication bias are made for published samples only: the new samples were computed from whole
    files, so no result of theirs was selected for print.
    """
    means = sample_means(found)
    estimates = [_two_level(means, method, label) for method, label in TWO_LEVEL]
    if len(means.y) < len(found.y):
        estimates += [
            back_transform(che(found, rho), found, f"che-{rho}", f"three levels, CHE rho {rho}, CR2") for rho in RHOS
        ]
        estimates.append(back_transform(_three_level(found), found, "three-level", "three levels, independent errors"))
    if found.source == "samples45":
        estimates += [_tried(found, means, *adjusted) for adjusted in ADJUSTED]
    every_row = tuple(found.rows["effect_id"])  # a sample's value rests on all its rows
    return tuple(replace(estimate, rows=every_row) for estimate in estimates)


def che(found: Evidence, rho: float = MAIN_RHO, x: np.ndarray | None = None, names: Sequence[str] | None = None) -> Fit:
    """The correlated and hierarchical effects model (Pustejovsky & Tipton, 2022) with CR2 by sample."""
    return _plain_che(found, rho) if x is None else _che(found, rho, x, names)


@lru_cache(maxsize=32)
def _plain_che(found: Evidence, rho: float) -> Fit:
    """The model without moderators, kept: several parts of a finding start from it."""
    return _che(found, rho, None, None)


def _che(found: Evidence, rho: float, x: np.ndarray | None, names: Sequence[str] | None) -> Fit:
    V = BlockV.constant_correlation(found.v, found.samples, rho)
    fit = fit_multilevel(found.y, V, {"sample": found.samples}, x, names=names)
    return robust(fit, kind="CR2", clusters=found.samples)


def back_transform(fit: Fit, found: Evidence, estimator: str, label: str, group: str = "heterogeneity") -> Estimate:
    """The intercept of a fit on the evidence, as an estimate in r."""
    return estimate_r(
        fit, found.selection, id=f"{found.question.id}-{found.source}-{estimator}", label=label, group=group
    )


def agreement(found: Evidence, estimates: Sequence[Estimate], title: str) -> tuple[Table, Figure]:
    """The estimators side by side, as a table and as a figure."""
    key = f"{found.question.id}-{found.source}"
    columns = ("engine", "r", "low", "high", "new sample low", "new sample high", "tau2 (z)", "k", "samples")
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
    test: TestMethod = "z" if method == "EE" else "knha"
    fit = fit_random_effects(means.y, means.v, method=method, test=test)
    return back_transform(fit, means, method.lower(), f"{label}, one value a sample")


def _three_level(found: Evidence) -> Fit:
    return robust(fit_multilevel(found.y, found.v, {"sample": found.samples}), kind="CR2", clusters=found.samples)


Adjusted = Callable[[Evidence, Evidence], Estimate]


def _tried(found: Evidence, means: Evidence, estimator: str, label: str, fit: Adjusted) -> Estimate:
    """An adjusted estimate, or an empty one that says why it cannot be had."""
    try:
        return replace(fit(found, means), id=f"{found.question.id}-{found.source}-{estimator}", label=label)
    except ModelError as error:
        return Estimate(
            id=f"{found.question.id}-{found.source}-{estimator}",
            label=label,
            metric="r",
            value=float("nan"),
            group="bias",
            notes=(str(error),),
        )


def _bias(value: float, low: float, high: float, p: float, means: Evidence, **method: str) -> Estimate:
    return Estimate(
        id="",
        label="",
        metric="r",
        value=float(np.tanh(value)),
        low=float(np.tanh(low)),
        high=float(np.tanh(high)),
        p=p,
        k=len(means.y),
        samples=len(means.y),
        n=float(means.selection.sample_sizes.sum()),
        group="bias",
        method={**method, "scale": "Fisher z, shown as r"},
        rows=tuple(means.rows["effect_id"]),
    )


def _pet_peese(found: Evidence, means: Evidence) -> Estimate:
    found_ = pet_peese(means.y, means.v)
    interval = found_.interval
    return _bias(found_.estimate, interval.low, interval.high, found_.p, means, rule=found_.rule, chosen=found_.chosen)


def _trim_fill(found: Evidence, means: Evidence) -> Estimate:
    filled = trim_fill(means.y, means.v)
    low, high = filled.fit.interval()[0]
    p = float(filled.fit.p[0])
    return _bias(float(filled.fit.beta[0]), low, high, p, means, filled=f"{filled.k0} on the {filled.side}")


def _henmi_copas(found: Evidence, means: Evidence) -> Estimate:
    result = henmi_copas(means.y, means.v)
    return _bias(result.estimate, result.interval.low, result.interval.high, float("nan"), means)


def _waap(found: Evidence, means: Evidence) -> Estimate:
    result = waap_wls(means.y, means.v)
    return _bias(result.estimate, result.interval.low, result.interval.high, result.p, means, used=result.used)


def _selection(found: Evidence, means: Evidence) -> Estimate:
    direction: Direction = "positive" if means.y.sum() > 0 else "negative"
    result = fit_step_selection(means.y, means.v, direction=direction, empty="merge")
    low, high = result.fit.interval()[0]
    weights = ", ".join(f"{w.name} {w.estimate:.2f}" for w in result.selection)
    return _bias(float(result.fit.beta[0]), low, high, float(result.fit.p[0]), means, weights=weights)


ADJUSTED: tuple[tuple[str, str, Adjusted], ...] = (
    ("selection", "selection model, step at one-sided .025", _selection),
    ("pet-peese", "PET-PEESE", _pet_peese),
    ("trim-fill", "trim and fill (L0)", _trim_fill),
    ("henmi-copas", "Henmi–Copas", _henmi_copas),
    ("waap", "WAAP-WLS", _waap),
)
