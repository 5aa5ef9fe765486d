"""Which of several models: information criteria and likelihood-ratio tests.

A restricted likelihood is one of contrasts that the design leaves, so fits by REML compare only with the same design.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from replication.errors import ModelError
from replication.models.fit import Array, Fit, Note
from replication.models.multilevel.robust import RobustData
from replication.models.prepare import EffectData
from replication.models.probability import chi2_sf

__all__ = [
    "AveragedCoefficient",
    "InformationCriteria",
    "LikelihoodRatio",
    "akaike_weights",
    "average_coefficients",
    "information_criteria",
    "likelihood_ratio",
]

# Part of a column of the smaller design, of length 1, that the larger one may leave over for the models to be nested.
NESTED = 1e-8


@dataclass(frozen=True, slots=True)
class InformationCriteria:
    """Criteria of one fit; lower is better. `parameters` counts coefficients and estimated variances."""

    loglik: float
    parameters: int
    aic: float
    aicc: float
    bic: float
    restricted: bool


@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """Twice the difference of two log-likelihoods, chi-square on `df` where the smaller model holds."""

    statistic: float
    df: int
    p: float
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class AveragedCoefficient:
    """A coefficient averaged over models by their weights, 0 where a model lacks it (`importance`: weight of the rest).

    `se` holds the error within models and the spread between them.
    """

    name: str
    estimate: float
    se: float
    importance: float


def information_criteria(fit: Fit) -> InformationCriteria:
    """AIC, AICc and BIC of a fit; NaN where the estimator has no likelihood.

    Under REML the sample is the k - p contrasts of the restricted likelihood, as in metafor's `fitstats`.
    Source: Akaike (1974); Hurvich & Tsai (1989) for AICc; Schwarz (1978).

    >>> from replication.models.two_level.random_effects import fit_random_effects
    >>> fit = fit_random_effects([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01], method="ML", test="z")
    >>> round(information_criteria(fit).aic, 6)
    -0.865648
    """
    restricted = is_restricted(fit)
    m = parameters(fit)
    size = fit.k - len(fit.names) if restricted else fit.k
    large = max(size, m + 2)
    deviance = -2.0 * fit.loglik
    return InformationCriteria(
        fit.loglik,
        m,
        deviance + 2.0 * m,
        deviance + 2.0 * m * large / (large - m - 1),
        deviance + m * float(np.log(size)) if size > 0 else float("nan"),
        restricted,
    )


def likelihood_ratio(smaller: Fit, larger: Fit) -> LikelihoodRatio:
    """Test what the larger of two nested models has more: coefficients or variances.

    Raises `ModelError` when the fits are not of the same effects, not by one likelihood, not nested, or by REML with
    different designs.

    >>> from replication.models.two_level.random_effects import fit_random_effects
    >>> y, v, x = [0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01], [[1, 0], [1, 1], [1, 3], [1, 1]]
    >>> small, large = (fit_random_effects(y, v, d, method="ML", test="z") for d in (None, x))
    >>> round(likelihood_ratio(small, large).statistic, 6)
    4.078431
    """
    one, two = _data(smaller), _data(larger)
    if one.rows != two.rows or not np.array_equal(one.y, two.y):
        raise ModelError("the two fits are not of the same effects; fit both to the same rows.")
    if is_restricted(smaller) != is_restricted(larger):
        raise ModelError("one fit is by REML and the other is not; fit both with method='ML'.")
    same = one.x.shape == two.x.shape and _within(one.x, two.x) and _within(two.x, one.x)
    if is_restricted(smaller) and not same:
        raise ModelError(
            "the fits are by REML and their designs differ: restricted likelihoods of different designs cannot be "
            "compared; fit both with method='ML'."
        )
    df = parameters(larger) - parameters(smaller)
    if not _within(one.x, two.x) or df < 0:
        raise ModelError("the first model is not part of the second; pass the smaller one first, of the same family.")
    if df == 0:
        raise ModelError("both models have the same number of parameters: there is nothing to test.")
    statistic = max(2.0 * (larger.loglik - smaller.loglik), 0.0)
    return LikelihoodRatio(statistic, df, float(chi2_sf(statistic, df)), _boundary_notes(same))


def akaike_weights(criteria: Sequence[float]) -> Array:
    """Weights of models `(n,)` from a criterion such as AICc: `exp(-difference / 2)`, summing to 1.

    >>> akaike_weights([10.0, 12.0]).round(6).tolist()
    [0.731059, 0.268941]
    """
    values = np.asarray(criteria, dtype=float)
    relative = np.exp(-0.5 * (values - np.nanmin(values)))
    return np.asarray(np.nan_to_num(relative) / np.nansum(relative))


def average_coefficients(fits: Mapping[str, Fit]) -> tuple[AveragedCoefficient, ...]:
    """Coefficients averaged over models by AICc weights, 0 where a model lacks one (Burnham & Anderson 2002, eq. 4.9).

    Raises `ModelError` unless all fits are of the same effects by ML.
    """
    models = list(fits.values())
    for fit in models:
        if is_restricted(fit):
            raise ModelError("a fit is by REML: likelihoods of different designs cannot be compared; use method='ML'.")
        if _data(fit).rows != _data(models[0]).rows:
            raise ModelError("the fits are not of the same effects; fit all of them to the same rows.")
    weights = akaike_weights([information_criteria(fit).aicc for fit in models])
    return tuple(_averaged(name, models, weights) for name in dict.fromkeys(n for fit in models for n in fit.names))


def parameters(fit: Fit) -> int:
    """The number of coefficients and estimated variances (correlations among them)."""
    counted = getattr(fit.data, "parameters", None)
    if counted is not None:
        return len(fit.names) + int(counted)
    held = fit.method.get("tau2") in ("EE", "fixed")
    estimated = 0 if held else sum(not np.isnan(part.estimate) for part in fit.components)
    return len(fit.names) + estimated


def is_restricted(fit: Fit) -> bool:
    """Whether the log-likelihood of a fit is a restricted one."""
    return "REML" in (fit.method.get("tau2"), fit.method.get("estimator"))


def _averaged(name: str, models: Sequence[Fit], weights: Array) -> AveragedCoefficient:
    estimates, variances, present = (np.zeros(len(models)) for _ in range(3))
    for i, fit in enumerate(models):
        if name in fit.names:
            j = fit.names.index(name)
            estimates[i], variances[i], present[i] = fit.beta[j], fit.vcov[j, j], 1.0
    mean = float(weights @ estimates)
    se = float(weights @ np.sqrt(variances + (estimates - mean) ** 2))
    return AveragedCoefficient(name, mean, se, float(weights @ present))


def _data(fit: Fit) -> EffectData:
    data = fit.data
    if isinstance(data, RobustData):
        raise ModelError("a cluster-robust fit has no likelihood of its own; compare the fits before robust().")
    found = data if isinstance(data, EffectData) else getattr(data, "effects", None)
    if not isinstance(found, EffectData) or np.isnan(fit.loglik):
        raise ModelError("this fit has no likelihood of effects to compare.")
    return found


def _within(small: Array, large: Array) -> bool:
    """Whether the columns of `small` are combinations of those of `large`."""
    scaled = small / np.linalg.norm(small, axis=0)
    return bool(np.abs(scaled - large @ np.linalg.lstsq(large, scaled)[0]).max() < NESTED)


def _boundary_notes(same_design: bool) -> tuple[Note, ...]:
    if not same_design:
        return ()
    message = "variances are tested against 0, the edge of their range: the true p is smaller, about half for one."
    return (Note("boundary-test", message),)
