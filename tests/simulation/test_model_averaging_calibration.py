"""Simulation-based calibration of model averaging: models and parameters from their priors, data by selection.

The posterior probability of each component must match how often it is there, and the averaged posteriors of effect and
tau must give uniform ranks; at their mass on 0 a rank is spread at random over the jump.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from replication.models.bayes.averaging.averaging import average_models
from replication.models.bayes.averaging.bias_models import BiasModel, Regression, WeightFunction, bias_priors
from replication.models.bayes.exact.marginals import Marginal

pytestmark = pytest.mark.simulation

SETS, CLUSTERED_SETS = 400, 150
PRIORS = bias_priors("z")
STEP = WeightFunction("one", (0.05,))
MODELS = tuple(
    BiasModel(effect, tau, bias, 1 / 12)
    for effect in (False, True)
    for tau in (False, True)
    for bias in (None, STEP, Regression("PET"))
)


def draw_estimate(rng: np.random.Generator, mean: float, sd: float, se: float, weight: float) -> float:
    """Estimates are drawn until one is seen: significant ones always, others with probability `weight`."""
    while True:
        y = rng.normal(mean, sd)
        if stats.norm.sf(y / se) < 0.05 or rng.uniform() < weight:
            return float(y)


def draw_cluster(rng: np.random.Generator, mean: np.ndarray, V: np.ndarray, se: float, weight: float) -> np.ndarray:
    """A cluster is drawn until all its rows are seen, each by its own p value."""
    root = np.linalg.cholesky(V)
    while True:
        y = mean + root @ rng.normal(size=len(mean))
        if np.all((stats.norm.sf(y / se) < 0.05) | (rng.uniform(size=len(y)) < weight)):
            return np.asarray(y)


def rank(rng: np.random.Generator, posterior: Marginal, truth: float) -> float:
    """P(X <= truth), at random within the jump where there is one."""
    upper = float(posterior.cdf(truth))
    lower = float(posterior.cdf(np.nextafter(truth, -1.0)))
    return lower + rng.uniform() * max(upper - lower, 0.0)


def test_probabilities_and_ranks_are_calibrated() -> None:
    rng = np.random.default_rng(20230101)
    truths, claims, ranks = [], [], []
    for _ in range(SETS):
        model = MODELS[rng.integers(len(MODELS))]
        mu = rng.normal(0.0, PRIORS.effect.sd) if model.effect else 0.0
        tau = float(PRIORS.tau.ppf(rng.uniform(0.0, 1.0))) if model.heterogeneity else 0.0
        slope = float(PRIORS.pet.ppf(rng.uniform())) if isinstance(model.bias, Regression) else 0.0
        weight = rng.uniform() if model.bias is STEP else 1.0
        se = rng.uniform(0.05, 0.3, size=6)
        y = [draw_estimate(rng, mu + slope * s, float(np.hypot(tau, s)), s, weight) for s in se]
        found = average_models(y, se**2, priors=PRIORS, models=MODELS, rtol=1e-2)
        truths.append([model.effect, model.heterogeneity, model.bias is not None])
        claims.append([i.posterior for i in found.inclusion[:3]])
        ranks.append([rank(rng, found.effect, mu), rank(rng, found.tau, tau)])
    there, claimed = np.array(truths, dtype=float), np.array(claims)
    surprise = (there - claimed).sum(0) / np.sqrt((claimed * (1 - claimed)).sum(0))
    assert np.all(np.abs(surprise) < 4.0)
    sharper = ((there - claimed) ** 2).mean(0)
    assert np.all(sharper < 0.25)
    for quantity in np.array(ranks).T:
        assert stats.kstest(quantity, "uniform").pvalue > 1e-4


def test_clusters_are_calibrated() -> None:
    """The same over five clusters of one to three rows, whose errors correlate by .6 and whose tau2 is shared out."""
    rng = np.random.default_rng(20240607)
    truths, claims, ranks, rough = [], [], [], []
    sizes, rho = (1, 2, 2, 3, 2), 0.6
    for _ in range(CLUSTERED_SETS):
        model = MODELS[rng.integers(len(MODELS))]
        mu = rng.normal(0.0, PRIORS.effect.sd) if model.effect else 0.0
        tau = float(PRIORS.tau.ppf(rng.uniform(0.0, 1.0))) if model.heterogeneity else 0.0
        share = rng.uniform()
        slope = float(PRIORS.pet.ppf(rng.uniform())) if isinstance(model.bias, Regression) else 0.0
        weight = rng.uniform() if model.bias is STEP else 1.0
        y, v = [], []
        for size in sizes:
            se = rng.uniform(0.05, 0.3)
            shared = share * tau**2 + rho * se**2
            V = np.full((size, size), shared) + ((1 - share) * tau**2 + (1 - rho) * se**2) * np.eye(size)
            y.extend(draw_cluster(rng, np.full(size, mu + slope * se), V, se, weight))
            v.extend([se**2] * size)
        codes = np.repeat(np.arange(len(sizes)), sizes)
        found = average_models(y, v, priors=PRIORS, models=MODELS, rtol=2e-2, clusters=codes, correlation=rho)
        truths.append([model.effect, model.heterogeneity, model.bias is not None])
        claims.append([i.posterior for i in found.inclusion[:3]])
        ranks.append([rank(rng, found.effect, mu), rank(rng, found.tau, tau)])
        means = [np.mean(np.array(y)[codes == c]) for c in range(len(sizes))]
        rough.append((mu, found.effect.mean, float(np.mean(means))))
    there, claimed = np.array(truths, dtype=float), np.array(claims)
    surprise = (there - claimed).sum(0) / np.sqrt((claimed * (1 - claimed)).sum(0))
    assert np.all(np.abs(surprise) < 4.0)
    for quantity in np.array(ranks).T:
        assert stats.kstest(quantity, "uniform").pvalue > 1e-4
    # recovery: nearer to the truth than the mean of what was seen
    truth, averaged, plain = np.array(rough).T
    assert np.mean((averaged - truth) ** 2) < np.mean((plain - truth) ** 2)
