"""Regression from a correlation matrix against metafor's matreg, least squares on such data, and brute force."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import replication as tsr
from replication.errors import ModelError
from replication.models.masem.matrix_regression import MatrixData, fit_matrix_regression
from tests.tolerances import CLOSED, SAME, assert_close

NAMES = ["y", "a", "b", "c"]


@cache
def pinned() -> dict[str, Any]:
    path = Path(__file__).parent / "metafor" / "matrix_regression.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_one_study_and_a_pooled_matrix_as_metafor_has_them() -> None:
    pin = pinned()
    one = fit_matrix_regression(pin["R"], NAMES, "y", ["a", "b", "c"], n=pin["n"])
    pooled = fit_matrix_regression(pin["R"], NAMES, "y", ["a", "b", "c"], V=pin["V"])
    other = fit_matrix_regression(pin["R"], NAMES, "b", ["c", "y"], V=pin["V"])
    for fit, name in ((pooled, "pooled"), (other, "other")):
        assert_close(fit.beta, pin[name]["beta"], CLOSED, name)
        assert_close(fit.se, pin[name]["se"], CLOSED, name)
        assert_close(fit.p, pin[name]["p"], CLOSED, name)
    assert isinstance(one.data, MatrixData) and isinstance(pooled.data, MatrixData)
    # matreg has n - p degrees of freedom, as if the means were known; ours, of the next test, is n - p - 1
    assert_close(one.beta, pin["one"]["beta"], CLOSED)
    assert_close(one.se * np.sqrt(139 / 140), pin["one"]["se"], CLOSED)
    assert_close([one.data.R2, one.data.statistic * 140 / 139], [pin["one"][x] for x in ("R2", "F")], CLOSED)
    assert_close(pooled.data.statistic, pin["pooled"]["QM"], CLOSED)


def test_data_with_that_matrix_give_the_same_by_least_squares() -> None:
    """143 rows whose sample correlations are exactly R, standardised: ordinary least squares is the definition."""
    R, n = np.array(pinned()["R"]), 143
    raw = np.random.default_rng(2).normal(size=(n, 4))
    raw -= raw.mean(axis=0)
    white = np.linalg.qr(raw)[0] * np.sqrt(n - 1)
    data = white @ np.linalg.cholesky(R).T
    assert_close(np.corrcoef(data.T), R, SAME)
    x, y = data[:, 1:], data[:, 0]
    beta = np.linalg.lstsq(x, y)[0]
    s2 = ((y - x @ beta) ** 2).sum() / (n - 4)  # three slopes and the mean that was taken out
    fit = fit_matrix_regression(R, NAMES, "y", ["a", "b", "c"], n=n)
    assert_close(fit.beta, beta, SAME)
    assert_close(fit.se, np.sqrt(np.diag(s2 * np.linalg.inv(x.T @ x))), SAME)


def test_the_delta_method_is_the_derivative() -> None:
    """Each correlation moved by a little: the coefficients move by the column the covariance was carried over with."""
    R, V, step = np.array(pinned()["R"]), np.zeros((6, 6)), 1e-6
    pairs = [(1, 0), (2, 0), (3, 0), (2, 1), (3, 1), (3, 2)]  # below the diagonal, column by column
    for place, (i, j) in enumerate(pairs):
        moved = R.copy()
        moved[i, j] += step
        moved[j, i] += step
        fits = [fit_matrix_regression(m, NAMES, "y", ["a", "c"], n=50).beta for m in (R, moved)]
        V[:], V[place, place] = 0.0, 1.0
        slope = fit_matrix_regression(R, NAMES, "y", ["a", "c"], V=V + np.eye(6) * 1e-14).se
        assert np.abs((fits[1] - fits[0]) / step) == pytest.approx(slope, abs=1e-4), (i, j)


def test_by_data_frame_with_the_names_of_its_columns() -> None:
    R = pd.DataFrame(pinned()["R"], columns=NAMES, index=NAMES)
    found = tsr.matrix_regression(R, "y", ["a", "b", "c"], n=143)
    assert found.tidy().term.tolist() == ["a", "b", "c"] and "estimate" in repr(found)
    assert found.glance().R2[0] == pytest.approx(pinned()["one"]["R2"])
    with pytest.raises(ModelError, match="order both alike"):
        tsr.matrix_regression(R.iloc[::-1], "y", ["a"], n=143)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"outcome": "z"}, "no variable 'z' in the matrix; it has y, a, b, c"),
        ({"predictors": ["y"]}, "not the outcome itself"),
        ({"predictors": []}, "at least one predictor"),
        ({"n": None}, "pass either n"),
        ({"n": 4}, "leaves no degrees of freedom"),
        ({"n": None, "V": np.eye(3)}, r"V has shape \(3, 3\); pass \(6, 6\)"),
        ({"R": np.eye(3)}, r"R has shape \(3, 3\); pass \(4, 4\)"),
        ({"R": np.eye(4) * 2}, "ones on the diagonal"),
        ({"R": np.triu(np.full((4, 4), 0.3)) + np.diag([0.7] * 4)}, "not symmetric"),
        ({"R": np.ones((4, 4))}, "one follows from the others"),
    ],
)
def test_what_cannot_be_a_regression_is_said(change: dict[str, Any], said: str) -> None:
    given = {"R": pinned()["R"], "outcome": "y", "predictors": ["a", "b", "c"], "n": 143, **change}
    with pytest.raises(ModelError, match=said):
        fit_matrix_regression(given.pop("R"), NAMES, given.pop("outcome"), given.pop("predictors"), **given)
