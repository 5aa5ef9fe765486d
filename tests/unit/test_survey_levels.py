"""Within and between schools: by hand, by brute force, and against a known truth. All data here are simulated."""

from __future__ import annotations

import numpy as np
import pytest

from replication.study.microdata.levels import school_levels


def simulated(
    schools: int, size: int, *, icc: float, between: float, within: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two measures of variance 1 with the same ICC, and correlations between and within schools as asked."""
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(schools), size)
    top = rng.multivariate_normal([0, 0], icc * np.array([[1, between], [between, 1]]), schools)
    own = rng.multivariate_normal([0, 0], (1 - icc) * np.array([[1, within], [within, 1]]), schools * size)
    pair = top[school] + own
    return pair[:, :1], pair[:, 1:], school


def test_four_students_in_two_schools_by_hand() -> None:
    """x 1 3 | 5 9, y 2 4 | 3 9. Within: x (2+8)/2 = 5, y (2+18)/2 = 10, xy (2+12)/2 = 7."""
    x, y = np.array([[1.0], [3.0], [5.0], [9.0], [5.0]]), np.array([[2.0], [4.0], [3.0], [9.0], [np.nan]])
    found = school_levels(np.vstack([x] * 2), np.vstack([y] * 2), np.array([0, 0, 1, 1, 1, 2, 2, 3, 3, 3]))
    assert found.persons == 8 and found.schools == 4
    assert found.within.r == pytest.approx(7 / np.sqrt(5 * 10))
    # between: school means 2, 7, 2, 7 and 3, 6, 3, 6; mean squares 25 * 2 / 3 and 9 * 2 / 3, n0 = 2
    bx, by = (25 * 2 / 3 - 5) / 2, (9 * 2 / 3 - 10) / 2
    assert found.icc_x == pytest.approx(bx / (bx + 5)) and found.icc_y == pytest.approx(by / (by + 10))
    assert found.withheld == "4 schools, and 50 are needed between schools" and np.isnan(found.between.r)


def brute(x: np.ndarray, y: np.ndarray, school: np.ndarray) -> tuple[float, float]:
    """z within and between, by loops over schools."""
    names, sizes = np.unique(school, return_counts=True)
    n, j = len(x), len(names)
    pair = np.column_stack([x, y])
    means = np.array([pair[school == s].mean(axis=0) for s in names])
    within = sum((pair[school == s] - m).T @ (pair[school == s] - m) for s, m in zip(names, means, strict=True))
    within = within / (n - j)
    apart = means - pair.mean(axis=0)
    square = (sizes[:, None] * apart).T @ apart / (j - 1)
    between = (square - within) / ((n - (sizes**2).sum() / n) / (j - 1))
    return tuple(float(np.arctanh(c[0, 1] / np.sqrt(c[0, 0] * c[1, 1]))) for c in (within, between))  # type: ignore


def test_both_levels_and_their_errors_by_brute_force() -> None:
    """Unequal schools, the jackknife as a loop that leaves out one school after the other."""
    x, y, school = simulated(60, 12, icc=0.3, between=0.5, within=0.2, seed=4)
    keep = np.random.default_rng(1).random(len(school)) < 0.7
    x, y, school = x[keep], y[keep], school[keep]
    found = school_levels(x + 100, y - 50, school)
    full = brute(x[:, 0], y[:, 0], school)
    left = np.array([brute(x[school != s, 0], y[school != s, 0], school[school != s]) for s in np.unique(school)])
    variance = 59 / 60 * ((left - left.mean(axis=0)) ** 2).sum(axis=0)
    for level, z, v in zip((found.within, found.between), full, variance, strict=True):
        assert np.arctanh(level.r) == pytest.approx(z, abs=1e-9)
        assert level.n_effective == pytest.approx(1 / v + 3, rel=1e-7) and level.df == 59


def test_the_truth_between_schools_is_found_where_raw_means_and_reliabilities_miss_it() -> None:
    """ICC .05, 20 a school, truth .60 between and .44 within: means give less, the naive correction far more."""
    x, y, school = simulated(4000, 20, icc=0.05, between=0.60, within=0.40, seed=8)
    found = school_levels(x, y, school)
    means = np.array([a.reshape(4000, 20).mean(axis=1) for a in (x[:, 0], y[:, 0])])
    raw = np.corrcoef(means)[0, 1]
    reliability = 20 * 0.05 / (1 + 19 * 0.05)
    assert raw == pytest.approx((0.05 * 0.6 + 0.95 * 0.4 / 20) / (0.05 + 0.95 / 20), abs=0.02)
    assert raw / reliability > 0.9 and raw < 0.55
    assert found.between.r == pytest.approx(0.60, abs=0.04) and found.within.r == pytest.approx(0.40, abs=0.01)
    assert found.icc_x == pytest.approx(0.05, abs=0.005)


def test_the_contextual_effect_is_slope_between_less_slope_within() -> None:
    """Slopes of .8 between and .3 within, total variance of x 1 and of y as simulated."""
    x, y, school = simulated(3000, 15, icc=0.4, between=0.8, within=0.3, seed=2)
    found = school_levels(x, y, school)
    assert found.contextual == pytest.approx(0.5, abs=0.04)
    assert 0.005 < found.contextual_se < 0.05
    assert school_levels(10 * x, 0.1 * y, school).contextual == pytest.approx(found.contextual)


def test_the_same_at_both_levels_has_no_contextual_effect() -> None:
    x, y, school = simulated(2000, 15, icc=0.3, between=0.4, within=0.4, seed=6)
    found = school_levels(x, y, school)
    assert abs(found.contextual) < 3 * found.contextual_se


@pytest.mark.parametrize(
    ("schools", "icc", "between", "reason"),
    [
        (49, 0.3, 0.5, "49 schools, and 50 are needed"),
        (400, 0.001, 0.5, "hardly differ"),
        (60, 0.06, 0.99, "leaves the range"),
    ],
)
def test_between_is_withheld_with_the_reason(schools: int, icc: float, between: float, reason: str) -> None:
    x, y, school = simulated(schools, 10, icc=icc, between=between, within=0.2, seed=3)
    found = school_levels(x, y, school)
    assert reason in found.withheld and np.isnan(found.between.r) and np.isfinite(found.within.r)


def test_plausible_values_add_their_spread() -> None:
    x, y, school = simulated(80, 20, icc=0.3, between=0.5, within=0.3, seed=5)
    plausible = y + np.random.default_rng(0).normal(scale=0.6, size=(len(y), 5))
    found = school_levels(x, plausible, school)
    single = [school_levels(x, plausible[:, [i]], school) for i in range(5)]
    z = np.arctanh([one.between.r for one in single])
    variance = np.mean([1 / (one.between.n_effective - 3) for one in single]) + 1.2 * z.var(ddof=1)
    assert found.between.r == pytest.approx(np.tanh(z).mean())
    assert found.between.n_effective == pytest.approx(1 / variance + 3)


def test_nothing_to_compare_is_said() -> None:
    x, y, school = simulated(60, 1, icc=0.3, between=0.5, within=0.3, seed=5)
    assert "leave nothing to compare within" in school_levels(x, y, school).withheld
    assert school_levels(x, y, np.zeros_like(school)).withheld == "everybody is in one school"
    assert "0 persons" in school_levels(np.full_like(x, np.nan), y, school, unit="class").withheld
