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

SETS = 400
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
