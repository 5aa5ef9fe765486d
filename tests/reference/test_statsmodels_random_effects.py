"""statsmodels as a second witness: DerSimonian-Laird, Paule-Mandel with Knapp-Hartung, and weighted least squares."""

from __future__ import annotations

import numpy as np
import pytest

from replication.models.multilevel.robust import wald_test
from replication.models.two_level.random_effects import fit_random_effects
from tests.tolerances import CLOSED, CONVERGED, assert_close


def data(seed: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.005, 0.1, k)
    return 0.2 + rng.normal(size=k) * np.sqrt(v + 0.04), v


@pytest.mark.parametrize(("method", "theirs"), [("DL", "dl"), ("PM", "iterated")])
@pytest.mark.parametrize("k", [4, 26, 160])
def test_combined_effects(method: str, theirs: str, k: int) -> None:
    from statsmodels.stats.meta_analysis import combine_effects

    y, v = data(k, k)
    # Where rounding takes its equation below 0 its search gives up and says 0: what it had found before counts.
    steps = [combine_effects(y, v, method_re=theirs, atol=0.0, maxiter=most) for most in range(1, 30)]
    oracle = next(step for step in reversed(steps) if step.tau2 > 0)
    z, knha = (fit_random_effects(y, v, method=method, test=test) for test in ("z", "knha"))
    tolerance = CLOSED if method == "DL" else CONVERGED
    assert_close(z.component("tau2").estimate, oracle.tau2, tolerance)
    assert_close([z.beta[0], z.se[0]], [oracle.mean_effect_re, oracle.sd_eff_w_re], tolerance)
    assert_close(knha.se[0], oracle.sd_eff_w_re_hksj, tolerance)
    assert z.heterogeneity is not None
    assert_close(z.heterogeneity.Q, oracle.q, CLOSED)


@pytest.mark.parametrize("k", [6, 40])
def test_common_effect_regression_is_weighted_least_squares(k: int) -> None:
    from statsmodels.regression.linear_model import WLS

    y, v = data(k, k)
    x = np.column_stack([np.ones(k), np.random.default_rng(k).normal(size=(k, 2))])
    oracle = WLS(y, x, weights=1 / v).fit()
    fit = fit_random_effects(y, v, x, method="EE", test="knha", names=["intercept", "a", "b"])
    assert_close(fit.beta, oracle.params, CLOSED)
    assert_close(fit.vcov, oracle.cov_params(), CLOSED)
    assert_close(fit.p, oracle.pvalues, CONVERGED)
    assert_close(fit.interval(), oracle.conf_int(), CLOSED)
    assert_close(wald_test(fit).statistic, oracle.fvalue, CLOSED)
