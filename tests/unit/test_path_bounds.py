"""Ranges over boxes of rounding intervals, against brute force."""

import numpy as np
import pytest

from replication.analysis.path_bounds import box_range, implied_correlations, joint_solution, saturated_paths


def test_the_range_contains_every_point_of_a_grid() -> None:
    low, high = [-1.0, 0.5], [2.0, 1.5]
    grid = [(x, y) for x in np.linspace(-1, 2, 61) for y in np.linspace(0.5, 1.5, 41)]

    def bowl(point: np.ndarray) -> float:
        return float((point[0] - 0.3) ** 2 * point[1] + point[1] ** 2)

    values = [bowl(np.array(point)) for point in grid]
    least, most = box_range(bowl, low, high)
    assert least == pytest.approx(0.25, abs=1e-9)  # x = 0.3, y = 0.5: inside in x, at the border in y
    assert least <= min(values)
    assert most >= max(values) - 1e-12


def test_a_joint_solution_satisfies_every_interval_or_reports_the_miss() -> None:
    found = joint_solution(lambda x: np.array([x[0] + x[1], x[0] - x[1]]), [0, 0], [1, 1], [1.0, 0.19], [1.1, 0.21])
    assert found.violation == 0.0
    assert 0.19 <= found.x[0] - found.x[1] <= 0.21
    missed = joint_solution(lambda x: x, [0.0], [1.0], [1.5], [2.0])
    assert missed.violation == pytest.approx(0.5)


def test_paths_and_correlations_are_each_other_s_inverse() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        data = rng.normal(size=(30, 4)) @ rng.normal(size=(4, 4))
        r = np.corrcoef(data, rowvar=False)
        x = np.array([r[0, 2], r[1, 2], r[0, 3], r[1, 3], r[2, 3], r[0, 1]])
        paths = saturated_paths(x)
        assert implied_correlations(np.append(paths[:5], r[0, 1])) == pytest.approx(x[:5], abs=1e-10)


def test_explained_variance_is_that_of_regression() -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(11)
    data = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 4))
    r = np.corrcoef(data, rowvar=False)
    x = np.array([r[0, 2], r[1, 2], r[0, 3], r[1, 3], r[2, 3], r[0, 1]])
    model = sm.OLS(data[:, 3], sm.add_constant(data[:, :3])).fit()
    assert saturated_paths(x)[8] == pytest.approx(model.rsquared, abs=1e-12)
