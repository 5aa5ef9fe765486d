"""Correlation sets: names decide, conflicts are refused, and nothing is left out of the audit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from replication.errors import ModelError
from replication.models.masem import (
    CorrelationSet,
    LabelledMatrix,
    correlations_from_matrices,
    correlations_from_rows,
    fit_stage1_fixed,
    fit_stage1_random,
)
from tests.masem_data import roorda

ROWS: dict[str, list[Any]] = {
    "study": ["a", "a", "a", "b", "b", "c"],
    "n": [50, 50, 50, 80, 80, 60],
    "var_a": ["x", "x", "y", "x", "z", "y"],
    "var_b": ["y", "z", "z", "y", "x", "x"],
    "r": [0.3, 0.2, 0.1, 0.3, 0.0, 0.5],
}


def changed(**columns: Any) -> dict[str, Any]:
    return {**ROWS, **columns}


def test_a_pair_is_one_pair_in_either_order() -> None:
    data = correlations_from_rows(**ROWS)
    assert data.pairs == ("x~~y", "x~~z", "y~~z")
    assert data.studies_per_pair.tolist() == [3, 2, 1]
    assert data.n_per_pair.tolist() == [190.0, 130.0, 50.0]
    np.testing.assert_array_equal(data.given[2], [0.5, np.nan, np.nan])


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"r": [0.3, 0.2, 0.1, 0.3, 0.0, 1.2]}, "row 5"),
        ({"r": [0.3, 0.2, 0.1, 0.3, 0.0, -1.0]}, "row 5"),
        ({"r": [0.3, 0.2, 0.1, 0.3, 0.0, np.inf]}, "row 5"),
        ({"var_a": ["x", "x", "", "x", "z", "y"]}, "row 2: a variable has no name"),
        ({"var_a": ["x", "x", "z", "x", "z", "y"]}, "paired with itself"),
        ({"var_b": ["y", "y", "z", "y", "x", "x"]}, "given in rows 0 and 1"),
        ({"n": [50, 51, 50, 80, 80, 60]}, "sample_size='smallest'"),
        ({"n": [50, 50, 50, 80, 80, np.nan]}, "row 5: n ="),
        ({"n": [50, 50, 50, 80, 80]}, "'n' has 5 rows"),
        ({"absent_a": [True, False, False, False, False, False]}, "absent from a whole study or not at all"),
        ({"var_a": ["x", "x", "y", "X", "z", "y"]}, "'x' and 'X' differ only in case"),
        ({"var_a": ["x", "x", "y ", "x", "z", "y"]}, "differ only in case or blanks"),
        ({"study": ["a", "a", "a", "b", "b", None]}, "row 5: the study has no name"),
        ({"variables": ["x", "y"]}, "must name each variable once"),
        ({"moderators": {"ses": [1, 2, 1, 5, 5, 7]}}, "one value per study"),
    ],
)
def test_conflicting_rows_are_refused_by_row(columns: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        correlations_from_rows(**changed(**columns))


def test_the_smallest_n_of_a_study_is_taken_only_when_asked_for() -> None:
    data = correlations_from_rows(**changed(n=[50, 48, 49, 80, 80, 60]), sample_size="smallest")
    assert data.n.tolist() == [48, 80, 60]
    assert [e.study for e in data.audit.of("sample-size")] == ["a"]


def test_an_unknown_sample_size_rule_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match="'same', 'smallest'"):
        correlations_from_rows(**ROWS, sample_size="mean")  # type: ignore[arg-type]


def test_the_audit_says_what_is_missing_zero_equal_or_not_a_number() -> None:
    r = [0.3, np.nan, 0.1, 0.3, 0.0, 0.5]
    audit = correlations_from_rows(**changed(r=r)).audit
    found = {(e.code, e.study, e.pair) for e in audit}
    assert found == {
        ("missing-value", "a", "x~~z"),
        ("missing", "a", "x~~z"),
        ("missing", "b", "y~~z"),
        ("exact-zero", "b", "x~~z"),
        ("equal-neighbour", "b", "x~~y"),
    }
    assert audit.of("exact-zero")[0].row == 4


def test_the_audit_of_the_45_samples() -> None:
    audit = roorda().audit
    assert len(audit.unused) == 13
    assert {e.study for e in audit.unused} == {"5", "13", "15", "20", "29", "30", "33", "34"}
    assert [e.study for e in audit.of("exact-zero")] == ["22", "43", "44"]
    whole = [e.study for e in audit.of("equal-neighbour") if "all their shared pairs" in e.reason]
    assert whole == ["4", "9"]
    assert roorda().studies_per_pair.tolist() == [15, 21, 26, 8, 18, 13]


def test_every_fit_carries_the_audit_and_says_so_in_its_notes() -> None:
    pool = fit_stage1_random(roorda())
    assert len(pool.audit) == len(roorda().audit)
    note = next(n for n in pool.fit.notes if n.code == "audit-variable-absent")
    assert len(note.rows) == 13


def test_declared_absent_can_be_overruled_or_made_final() -> None:
    data = roorda()
    assert int(data.used.sum()) == 101
    assert int(data.declare_present().used.sum()) == 114
    assert int(np.isfinite(data.drop_unused().given).sum()) == 101
    with_mean_of_all = fit_stage1_random(data).minus2loglik
    with_mean_of_used = fit_stage1_random(data.drop_unused()).minus2loglik
    assert with_mean_of_all == pytest.approx(-127.1991, abs=5e-5)
    assert with_mean_of_used == pytest.approx(-127.14, abs=5e-3)


def frame(names: list[str], cells: list[float]) -> pd.DataFrame:
    matrix = np.eye(len(names))
    matrix[np.triu_indices(len(names), 1)] = cells
    return pd.DataFrame(np.triu(matrix) + np.triu(matrix, 1).T, index=names, columns=names)


def test_matrices_match_by_name_whatever_their_order() -> None:
    one = correlations_from_matrices({"s": frame(["x", "y", "z"], [0.3, 0.2, 0.1])}, {"s": 50})
    two = correlations_from_matrices(
        {"s": frame(["z", "x", "y"], [0.2, 0.1, 0.3])}, {"s": 50}, variables=["x", "y", "z"]
    )
    np.testing.assert_array_equal(one.given, two.given)


def broken(change: str) -> object:
    good = frame(["x", "y", "z"], [0.3, 0.2, 0.1])
    if change == "unnamed array":
        return good.to_numpy()
    if change == "numbered columns":
        return pd.DataFrame(good.to_numpy())
    if change == "rows in another order":
        return good.loc[["y", "x", "z"]]
    if change == "one name twice":
        return good.set_axis(["x", "x", "z"], axis=0).set_axis(["x", "x", "z"], axis=1)
    values = good.to_numpy().copy()
    if change == "not symmetric":
        values[0, 1] = 0.4
    if change == "a covariance matrix":
        values[0, 0] = 2.5
    if change == "r above 1":
        values[0, 1] = values[1, 0] = 1.5
    return LabelledMatrix(("x", "y", "z"), values)


@pytest.mark.parametrize(
    "change",
    [
        "unnamed array",
        "numbered columns",
        "rows in another order",
        "one name twice",
        "not symmetric",
        "a covariance matrix",
        "r above 1",
    ],
)
def test_a_matrix_that_could_be_misread_is_refused(change: str) -> None:
    with pytest.raises(ModelError, match="study 2"):
        correlations_from_matrices([frame(["x", "y", "z"], [0.3, 0.2, 0.1]), broken(change)], [50, 60])  # type: ignore[list-item]


def test_a_lower_triangle_will_do_and_a_nan_diagonal_declares_a_variable_absent() -> None:
    lower = np.array([[1.0, np.nan, np.nan], [0.3, np.nan, np.nan], [0.2, 0.1, 1.0]])
    data = correlations_from_matrices([LabelledMatrix(("x", "y", "z"), lower)], [50])
    assert data.given.tolist() == [[0.3, 0.2, 0.1]]
    assert data.used.tolist() == [[False, True, False]]
    assert [e.pair for e in data.audit.unused] == ["x~~y", "y~~z"]


def impossible() -> CorrelationSet:
    """x, y and z cannot correlate .9, .9 and -.9 in one sample."""
    matrices = [
        frame(["x", "y", "z"], [0.9, 0.9, -0.9]),
        *(frame(["x", "y", "z"], [0.3, 0.2, 0.1 + i / 50]) for i in range(4)),
    ]
    return correlations_from_matrices(matrices, [50, 60, 70, 80, 90])


def test_an_impossible_matrix_is_reported_used_by_random_effects_and_refused_by_fixed_effects() -> None:
    data = impossible()
    assert [e.study for e in data.audit.of("not-positive-definite")] == ["1"]
    assert np.isfinite(fit_stage1_random(data).fit.se).all()
    with pytest.raises(ModelError, match=r"study 1 .* is not positive definite"):
        fit_stage1_fixed(data)
    assert fit_stage1_fixed(data.select(["2", "3", "4", "5"])).fit.clusters == 4


def test_fixed_effects_name_what_they_leave_out_of_incomplete_matrices() -> None:
    hole = frame(["x", "y", "z"], [0.3, 0.2, np.nan])
    data = correlations_from_matrices([hole, frame(["x", "y", "z"], [0.3, 0.2, 0.1])], [50, 60])
    pool = fit_stage1_fixed(data)
    note = next(n for n in pool.fit.notes if n.code == "excluded-rows")
    assert "x~~z of study 1" in note.message
    assert pool.fit.k == 4


def test_selecting_studies_and_variables_goes_by_name() -> None:
    data = roorda()
    part = data.subset(["achiev", "pos"]).select(["1", "7"])
    assert part.pairs == ("achiev~~pos",)
    assert part.given.ravel().tolist() == [0.18, 0.18]
    with pytest.raises(ModelError, match="'engaa' \\(do you mean 'enga'\\?\\)"):
        data.subset(["pos", "engaa"])
    with pytest.raises(ModelError, match="not known"):
        data.select(["nobody"])


def test_moderators_have_one_value_a_study() -> None:
    with pytest.raises(ModelError, match="45 studies"):
        roorda().with_moderators({"x": [1.0, 2.0]})
