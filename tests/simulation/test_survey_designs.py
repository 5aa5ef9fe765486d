"""Do design-based intervals of correlations hold a known truth? Everything here is simulated."""

from __future__ import annotations

import numpy as np
import pytest

from replication.models.fit import Array
from replication.study.microdata.correlations import correlate
from replication.study.microdata.design import SurveyDesign, jackknife_weights
from replication.study.microdata.design_correlations import correlate_by_design
from replication.study.microdata.levels import school_levels

pytestmark = pytest.mark.simulation


def stratified(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """160 schools of 12 in 80 zones of two like schools: zones differ much on both measures, schools in them little."""
    school = np.repeat(np.arange(160), 12)
    level = np.random.default_rng(99).normal(size=(80, 2))[np.arange(160) // 2]  # the same in every draw, as strata are
    top = rng.normal(scale=0.15, size=(160, 2)) + level
    pair = top[school] + rng.normal(size=(1920, 2)) @ np.linalg.cholesky([[1, 0.3], [0.3, 1]]).T
    return pair[:, :1], pair[:, 1:], school


def test_strata_count_where_schools_alone_overstate_the_error() -> None:
    """The true sd of z is .021; jackknife and strata give .021, schools alone .051."""
    rng = np.random.default_rng(17)
    found = []
    for _ in range(400):
        x, y, school = stratified(rng)
        w = np.ones(len(x))
        replicates = jackknife_weights(w, school // 2, school % 2 == 0, both=True)
        jackknife = correlate_by_design(x, y, SurveyDesign(w, school, None, replicates, 0.5, 80.0))
        taylor = correlate_by_design(x, y, SurveyDesign(w, school, school // 2, df=80.0))
        schools = correlate_by_design(x, y, SurveyDesign(w, school, df=159.0))
        found.append([np.arctanh(jackknife.r)] + [1 / (d.n_effective - 3) for d in (jackknife, taylor, schools)])
    z, *variances = np.array(found).T
    truth = z.std(ddof=1)
    jackknife_se, taylor_se, schools_se = (np.sqrt(v.mean()) for v in variances)
    assert jackknife_se == pytest.approx(truth, rel=0.10)
    assert taylor_se == pytest.approx(truth, rel=0.10)
    assert schools_se > 2.0 * truth  # such a sample would count for a quarter of its worth
    held = np.abs(z - z.mean()) < 1.99 * np.sqrt(variances[0])
    assert held.mean() > 0.93


def test_plausible_values_carry_what_the_test_leaves_open() -> None:
    """Intervals from five plausible values hold the latent correlation; those of one value alone hold it less often."""
    rng = np.random.default_rng(23)
    truth, noise = 0.5, 0.5  # the posterior sd of the latent score
    held, alone = [], []
    for _ in range(400):
        latent = rng.multivariate_normal([0, 0], [[1, truth], [truth, 1]], 400)
        x, theta = latent[:, :1], latent[:, 1]
        seen = theta + rng.normal(scale=np.sqrt(1 / (1 / noise**2 - 1)), size=400)  # a test of reliability 1 - noise^2
        # the imputation model holds x, as a survey's conditioning on the questionnaire does
        design = np.column_stack([np.ones(400), x[:, 0], seen])
        weights = np.linalg.lstsq(design, theta, rcond=None)[0]
        residual = theta - design @ weights
        draws = []
        for _ in range(5):
            spread = residual @ residual / rng.chisquare(397)
            root = np.linalg.cholesky(np.linalg.inv(design.T @ design))
            drawn = weights + np.sqrt(spread) * root @ rng.normal(size=3)
            draws.append(design @ drawn + rng.normal(scale=np.sqrt(spread), size=400))
        found = correlate_by_design(x, np.column_stack(draws), SurveyDesign())
        one = correlate_by_design(x, draws[0][:, None], SurveyDesign())
        for kept, result in ((held, found), (alone, one)):
            apart = abs(np.arctanh(result.r) - np.arctanh(truth))
            kept.append(apart < 1.96 * np.sqrt(1 / (result.n_effective - 3)))
    assert np.mean(held) > 0.92
    assert np.mean(alone) < np.mean(held)


def test_intervals_between_and_within_schools_hold_the_truth() -> None:
    """100 schools of 20, ICC .15: 95 % intervals of both levels over 400 draws."""
    rng = np.random.default_rng(31)
    held = []
    school = np.repeat(np.arange(100), 20)
    for _ in range(400):
        top = rng.multivariate_normal([0, 0], 0.15 * np.array([[1, 0.5], [0.5, 1]]), 100)
        own = rng.multivariate_normal([0, 0], 0.85 * np.array([[1, 0.2], [0.2, 1]]), 2000)
        pair = top[school] + own
        found = school_levels(pair[:, :1], pair[:, 1:], school)
        if found.withheld:
            continue
        levels = ((found.within, 0.2), (found.between, 0.5))
        held.append([abs(np.arctanh(f.r) - np.arctanh(t)) < 1.98 * np.sqrt(1 / (f.n_effective - 3)) for f, t in levels])
    within, between = np.mean(held, axis=0)
    assert len(held) > 380 and within > 0.92 and between > 0.91


def test_the_rule_of_version_1_0_0_overstates_the_error_in_strata() -> None:
    """What the design-based rule replaces: effective n on the safe side by far, as measured."""
    rng = np.random.default_rng(41)
    ratio = []
    for _ in range(50):
        x, y, school = stratified(rng)
        w = np.ones(len(x))
        now = correlate_by_design(x, y, SurveyDesign(w, school, school // 2, df=80.0)).n_effective
        ratio.append(now / correlate(x, y, w, school).n_effective)
    assert 3 < np.median(ratio) < 9
