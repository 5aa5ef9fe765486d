"""A short simulation-based calibration: parameters drawn from the prior lie at uniform quantiles of their posteriors.

The long one, with more models, is in tests/simulation.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from replication.models.bayes.exact.exact import exact_two_level
from replication.models.bayes.priors import HalfNormal, Normal


def test_two_level_ranks_are_uniform() -> None:
    rng = np.random.default_rng(20110811)
    tau, mean = HalfNormal(0.3), Normal(0.0, 0.5)
    ranks = []
    for _ in range(200):
        v = rng.uniform(0.005, 0.1, size=6)
        true_tau, true_mean = float(tau.ppf(rng.uniform())), rng.normal(0.0, 0.5)
        effects = rng.normal(true_mean, true_tau, size=6)
        fit = exact_two_level(rng.normal(effects, np.sqrt(v)), v, tau=tau, coefficients=mean)
        new = rng.normal(true_mean, true_tau)
        ranks.append(
            [
                float(fit.sd().cdf(true_tau)),
                float(fit.coefficient().cdf(true_mean)),
                float(fit.predict().cdf(new)),
                float(fit.effect(0).cdf(effects[0])),
            ]
        )
    for quantity in np.array(ranks).T:
        assert stats.kstest(quantity, "uniform").pvalue > 1e-3
