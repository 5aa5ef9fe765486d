"""Known sampling covariances: what is stored, what comes out, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from replication.errors import ModelError
from replication.models.multilevel.structure import BlockV, as_block_v


def test_variances_alone_are_a_diagonal() -> None:
    assert as_block_v([0.1, 0.2]).dense().tolist() == [[0.1, 0.0], [0.0, 0.2]]


def test_assumed_correlation() -> None:
    V = BlockV.constant_correlation([0.04, 0.01, 0.09], ["a", "b", "a"], rho=0.5)
    np.testing.assert_allclose(V.dense(), [[0.04, 0, 0.5 * 0.2 * 0.3], [0, 0.01, 0], [0.5 * 0.2 * 0.3, 0, 0.09]])


def test_given_blocks_keep_the_order_of_the_rows() -> None:
    V = BlockV.from_blocks([[[1.0, 0.5], [0.5, 2.0]], [[3.0]]], rows=[[2, 0], [1]])
    assert V.dense().tolist() == [[2.0, 0.0, 0.5], [0.0, 3.0, 0.0], [0.5, 0.0, 1.0]]


@pytest.mark.parametrize("seed", range(5))
def test_a_full_matrix_is_split_taken_and_scaled(seed: int) -> None:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 4, 12)
    A = rng.normal(size=(12, 15))
    matrix = np.equal.outer(label, label) * (A @ A.T)
    V = BlockV.from_matrix(matrix)
    rows = rng.permutation(12)[:7]
    np.testing.assert_allclose(V.dense(), matrix)
    np.testing.assert_allclose(V.take(rows).dense(), matrix[np.ix_(rows, rows)])
    np.testing.assert_allclose(V.scaled(3.0).dense(), 3.0 * matrix)
    implicit = BlockV.constant_correlation(np.diag(matrix), label, 0.3)
    np.testing.assert_allclose(implicit.take(rows).dense(), implicit.dense()[np.ix_(rows, rows)])


def test_missing_entries_name_the_rows_that_cause_them() -> None:
    V = BlockV.from_blocks([[[1.0, np.nan], [np.nan, np.nan]], [[2.0, np.nan], [np.nan, 2.0]]])
    assert V.missing().tolist() == [False, True, True, True]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BlockV.constant_correlation([1.0, 1.0], [1, 1], 1.0), "below 1"),
        (lambda: BlockV.constant_correlation([1.0] * 4, [1] * 4, -0.5), "above -0.3333"),
        (lambda: BlockV.constant_correlation([1.0, 1.0], [1, None], 0.5), "row 1"),
        (lambda: BlockV.constant_correlation([1.0, 1.0], [1], 0.5), "2 rows"),
        (lambda: BlockV.from_matrix([[1.0, 0.2], [0.3, 1.0]]), "not symmetric"),
        (lambda: BlockV.from_blocks([[[1.0, 0.2]]]), "square"),
        (lambda: BlockV.from_blocks([[[1.0]], [[1.0]]], rows=[[0], [0]]), "once"),
    ],
)
def test_what_is_refused(make: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        make()  # type: ignore[operator]
