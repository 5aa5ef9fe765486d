"""One-stage models against each other and against the model that says nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from replication.errors import ModelError
from replication.models.fit import Array
from replication.models.masem.fit_indices import (
    ChiSquareTest,
    FitIndices,
    Misfit,
    Rmsea,
    chi_square_test,
    fit_indices,
    srmr,
)
from replication.models.masem.newton import Minimum
from replication.models.masem.osmasem import OneStageFit
from replication.models.masem.random_effects_likelihood import (
    Mean,
    RandomEffectsLikelihood,
    SaturatedMean,
    search_likelihood,
)
from replication.models.masem.stage1 import likelihood_start

__all__ = ["explained_heterogeneity", "likelihood_ratio_test", "one_stage_indices"]


def likelihood_ratio_test(smaller: OneStageFit, larger: OneStageFit) -> ChiSquareTest:
    """Test what the larger of two nested one-stage models has more, a moderator for example.

    Raises `ModelError` unless both were fitted to the same correlations with the same sampling rule.
    """
    # A ratio of likelihoods compares models of the same data: other correlations or sampling rules shift the two apart.
    same = (
        smaller.fit.method["sampling"] == larger.fit.method["sampling"]
        and smaller.data.pairs == larger.data.pairs
        and np.array_equal(smaller.data.used, larger.data.used)
        and np.array_equal(smaller.data.given, larger.data.given, equal_nan=True)
    )
    if not same:
        raise ModelError(
            "the two models were fitted to different correlations or sampling rules; fit both to the same studies "
            "(those whose moderators are known, see data.select)."
        )
    df = larger.parameters - smaller.parameters
    if df <= 0:
        raise ModelError(
            f"the larger model has {larger.parameters} parameters, the smaller {smaller.parameters}; pass the "
            "smaller one first."
        )
    chi2 = smaller.minus2loglik - larger.minus2loglik
    return chi_square_test(chi2, df)


def explained_heterogeneity(without: OneStageFit, moderated: OneStageFit) -> Array:
    """R2 `(p,)` in per cent: how much of each pair's variance between studies the moderators explain, at least 0.

    Source: Jak & Cheung (2020), equation 13, as metaSEM's osmasemR2.
    """
    before, after = np.diag(without.tau2), np.diag(moderated.tau2)
    if without.data.pairs != moderated.data.pairs:
        raise ModelError("the two models are about different variables; R2 compares variances of the same pairs.")
    with np.errstate(divide="ignore", invalid="ignore"):
        # Moderators can raise an estimated variance by chance; metaSEM prints 0 there, too.
        return np.maximum(100.0 * (before - after) / before, 0.0)


def one_stage_indices(one: OneStageFit) -> FitIndices:
    """Fit of a one-stage model against the saturated one, with zero correlations as the baseline.

    As OpenMx and metaSEM's osmasemSRMR: RMSEA by n, with a 95 % interval; AIC and BIC from -2 log likelihood and the
    number of parameters. Only for a model without moderators over pairs that are all there.
    """
    if one.moderated:
        raise ModelError("fit indices compare implied with pooled correlations; they need a model without moderators.")
    saturated = _saturated(one)
    baseline = _independence(one)
    n = float(one.data.n.sum())
    p = len(one.data.pairs)
    implied = one.quantities.structure.implied(one.quantities.structure.cells_at(one.fit.beta))
    assert implied is not None, "the fit lies where the model is defined"
    misfit = Misfit(
        n=n,
        chi2=one.minus2loglik - saturated.at.value,
        df=p - len(one.fit.names),
        baseline_chi2=baseline.at.value - saturated.at.value,
        baseline_df=p,
        srmr=srmr(saturated.theta[:p], implied.r[0]),
    )
    # OpenMx divides by n and not by n - 1, and its interval is a 95 % one.
    found = fit_indices(misfit, Rmsea(divisor=n, interval_divisor=n, level=0.95))
    return replace(found, aic=one.aic, bic=one.minus2loglik + float(np.log(n)) * one.parameters)


def _saturated(one: OneStageFit) -> Minimum:
    data, like = one.data, one.likelihood
    if not like.used.any(axis=0).all():
        raise ModelError("a pair that no study holds leaves no saturated model to compare with.")
    free = RandomEffectsLikelihood(
        like.y, like.used, like.v, SaturatedMean(len(data.studies), len(data.pairs)), like.cells
    )
    start = likelihood_start(data, like.v)
    return search_likelihood(free, start.mean, start.tau2[like.cells.a[like.cells.a == like.cells.b]])


def _independence(one: OneStageFit) -> Minimum:
    """All correlations 0 on average, with the same T."""
    like = one.likelihood
    none = RandomEffectsLikelihood(like.y, like.used, like.v, _NoCorrelations(*like.y.shape), like.cells)
    # Around a mean of 0 the correlations themselves are the deviations, so T must start far larger.
    start = np.maximum(likelihood_start(one.data, like.v).tau2, (like.y**2).sum(axis=0) / like.used.sum(axis=0))
    return search_likelihood(none, np.zeros(0), start[like.cells.a[like.cells.a == like.cells.b]])


@dataclass(frozen=True, slots=True)
class _NoCorrelations:
    """Expected correlations of 0, without parameters."""

    k: int
    p: int

    @property
    def size(self) -> int:
        return 0

    def mean(self, theta: Array) -> Mean:
        return Mean(np.zeros((self.k, self.p)), np.zeros((self.k, self.p, 0)), lambda weights: np.zeros((0, 0)))
