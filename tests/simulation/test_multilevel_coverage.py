"""Do intervals hold what they promise when the assumed correlation is wrong? Seeded simulations."""

from __future__ import annotations

import numpy as np
import pytest

from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.multilevel.results import profile_intervals
from replication.models.multilevel.robust import robust, wald_test
from replication.models.multilevel.structure import BlockV

pytestmark = pytest.mark.simulation

STUDIES, REPEATS = 25, 800
TRUE_RHO, BETWEEN, WITHIN = 0.8, 0.03, 0.01
# Three standard errors of a share of .95 over the repeats.
MARGIN = 3.0 * float(np.sqrt(0.95 * 0.05 / REPEATS))


def sample(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Effects of 25 studies of very different size, with errors correlated by .8, and a study-level moderator."""
    sizes = 1 + rng.poisson(np.where(np.arange(STUDIES) < 5, 12, 2))
    study = np.repeat(np.arange(STUDIES), sizes)
    n = rng.integers(40, 400, STUDIES)
    v = 1.0 / (n[study] - 3.0)
    shared = rng.normal(size=STUDIES)[study]
    error = np.sqrt(TRUE_RHO) * shared + np.sqrt(1 - TRUE_RHO) * rng.normal(size=len(study))
    y = (
        rng.normal(0, np.sqrt(BETWEEN), STUDIES)[study]
        + rng.normal(0, np.sqrt(WITHIN), len(study))
        + np.sqrt(v) * error
    )
    return y, v, study, rng.normal(size=STUDIES)[study]


@pytest.mark.parametrize("assumed", [0.0, 0.5])
def test_cr2_covers_with_a_wrong_correlation(assumed: float) -> None:
    rng = np.random.default_rng(20240601)
    covered = np.zeros(2)
    rejected = 0
    for _ in range(REPEATS):
        y, v, study, x = sample(rng)
        V = BlockV.constant_correlation(v, study, assumed)
        fit = robust(fit_multilevel(y, V, {"study": study}, np.column_stack([np.ones(len(y)), x])))
        low, high = fit.interval().T
        covered += (low <= 0) & (high >= 0)
        rejected += wald_test(fit, np.eye(2)).p < 0.05
    share = covered / REPEATS
    assert (share > 0.95 - MARGIN - 0.005).all() and (share < 0.98).all(), share
    assert rejected / REPEATS < 0.05 + MARGIN + 0.005, rejected / REPEATS


def test_profile_intervals_cover_the_variances() -> None:
    rng = np.random.default_rng(20240602)
    covered = np.zeros(2)
    repeats = 400
    for _ in range(repeats):
        y, v, study, _ = sample(rng)
        V = BlockV.constant_correlation(v, study, TRUE_RHO)
        fit = profile_intervals(fit_multilevel(y, V, {"study": study}))
        for i, (component, true) in enumerate(zip(fit.components, (BETWEEN, WITHIN), strict=True)):
            assert component.interval is not None
            covered[i] += component.interval.low <= true <= component.interval.high
    share = covered / repeats
    assert (share > 0.95 - 3.0 * np.sqrt(0.95 * 0.05 / repeats)).all(), share


def test_estimates_recover_the_truth() -> None:
    rng = np.random.default_rng(20240603)
    found = []
    for _ in range(300):
        y, v, study, _ = sample(rng)
        fit = fit_multilevel(y, BlockV.constant_correlation(v, study, TRUE_RHO), {"study": study})
        found.append([fit.beta[0], *(c.estimate for c in fit.components)])
    mean, se = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(300)
    assert (np.abs(mean - [0.0, BETWEEN, WITHIN]) < 4.0 * se).all(), (mean, se)
