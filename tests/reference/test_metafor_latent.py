"""Biserial and tetrachoric correlations against metafor's escalc, and those behind ranks by their defining property."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import replication as tsr
from replication.effects.latent import biserial_from_t, r_from_logistic_slope, r_from_rho, r_from_tau, tetrachoric
from replication.errors import UserError
from tests.tolerances import CLOSED, STOPPED_EARLY, assert_close


@cache
def pinned() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "metafor" / "latent.json").read_text(encoding="utf-8"))


def test_the_biserial_correlation_is_metafors() -> None:
    for case in pinned()["biserial"]:
        found = biserial_from_t(case["t"], case["n1"], case["n2"])
        assert_close([found.estimate, found.variance], [case["r"], case["v"]], CLOSED, case)


def test_both_are_measures_of_a_data_frame_and_a_missing_cell_stays_missing() -> None:
    cases = pinned()["biserial"]
    t, n1, n2 = (np.array([case[name] for case in cases], dtype=float) for name in ("t", "n1", "n2"))
    groups = pd.DataFrame({"m1": t * np.sqrt(1 / n1 + 1 / n2), "n1": n1, "n2": n2, "m2": 0.0, "sd": 1.0})
    found = tsr.effect_sizes(groups, "RBIS", mean1="m1", sd1="sd", n1="n1", mean2="m2", sd2="sd", n2="n2")
    assert_close(found[["yi", "vi"]], [[case["r"], case["v"]] for case in cases], CLOSED)
    tables = pd.DataFrame([case["cells"] for case in pinned()["tetrachoric"]], columns=list("abcd")).astype(float)
    tables.loc[len(tables)] = [3.0, np.nan, 2.0, 5.0]
    found = tsr.effect_sizes(tables, "RTET", a="a", b="b", c="c", d="d")
    assert_close(found.yi, [*(case["r"] for case in pinned()["tetrachoric"]), np.nan], STOPPED_EARLY)


def test_the_tetrachoric_correlation_is_metafors_up_to_its_optimiser() -> None:
    """metafor stops its search early; ours solves the one equation, so its share of the first cell is exact."""
    for case in pinned()["tetrachoric"]:
        found = tetrachoric(*case["cells"])
        assert_close([found.estimate, found.variance], [case["r"], case["v"]], STOPPED_EARLY, case)
        a, b, c, _ = np.array(case["cells"]) / sum(case["cells"])
        normal = stats.multivariate_normal(cov=[[1, found.estimate], [found.estimate, 1]])
        assert_close(normal.cdf(stats.norm.ppf([a + b, a + c])), a, CLOSED_BY_SCIPY, case)


CLOSED_BY_SCIPY = type(CLOSED)(1e-6, 1e-9, "scipy's bivariate normal integrates numerically", 2e-8)


@pytest.mark.simulation
@pytest.mark.parametrize("r", [-0.6, 0.2, 0.5])
def test_rank_correlations_of_normal_data_give_back_r_with_their_variance(r: float) -> None:
    """2,000 samples of 80 normal pairs: mean within four standard errors, variance within a tenth."""
    generator = np.random.default_rng(14)
    pairs = generator.multivariate_normal([0, 0], [[1, r], [r, 1]], size=(2000, 80))
    for rank, behind in ((stats.spearmanr, r_from_rho), (stats.kendalltau, r_from_tau)):
        printed = np.array([rank(x[:, 0], x[:, 1]).statistic for x in pairs])
        found = behind(printed, 80)
        error = found.estimate.std() / np.sqrt(len(pairs))
        assert abs(found.estimate.mean() - r) < 4 * error + 0.01
        assert np.isclose(found.variance.mean(), found.estimate.var(), rtol=0.1)


def test_the_slope_of_a_logistic_regression_gives_its_correlation_back() -> None:
    """Y* = b x + logistic error: by construction the correlation of x and Y* is b s / sqrt(b^2 s^2 + pi^2 / 3)."""
    generator = np.random.default_rng(3)
    x = generator.normal(0, 1.2, 200_000)
    latent = 0.5 * x + generator.logistic(size=x.size)
    assert abs(float(r_from_logistic_slope(0.5, 0.1, 1.2).estimate) - np.corrcoef(x, latent)[0, 1]) < 0.006


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda: tetrachoric(0, 5, 5, 5), "a cell that is 0"),
        (lambda: biserial_from_t(30, 60, 60), "would be 1 or more"),
        (lambda: biserial_from_t(2, 1, 1), "groups too small"),
        (lambda: r_from_rho(1.0, 50), "strictly between -1 and 1"),
        (lambda: r_from_tau(0.2, 4), "n below 5"),
        (lambda: r_from_logistic_slope(0.5, 0.0, 1.0), "above 0"),
    ],
)
def test_what_has_no_such_correlation_is_refused(made: Any, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        made()
