"""Rows in groups: labels to codes, sums within groups, which grouping refines which.

Long sums are made without BLAS: its threads cost more than they give on a few columns, the more so on a busy machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.errors import ModelError

__all__ = ["Codes", "Numbers", "first_rows", "group_codes", "group_sum", "inner", "refines", "rows_by_size"]

# Group numbers of rows, 0 .. m - 1; -1 where the label is missing.
Codes = NDArray[np.intp]

# Real numbers, or complex ones on the way to a complex-step derivative.
Numbers = NDArray[Any]


def group_codes(labels: ArrayLike, k: int, name: str) -> Codes:
    """Numbers `(k,)` of the groups in order of appearance; -1 where a label is missing (None or NaN).

    >>> group_codes(["b", "a", "b"], 3, "study").tolist()
    [0, 1, 0]
    """
    import pandas as pd

    values = np.asarray(labels)
    if values.dtype.kind in "US":
        values = values.astype(object)
    if values.shape != (k,):
        raise ModelError(f"{name}: expected one label for each of the {k} rows, found shape {values.shape}.")
    return np.asarray(pd.factorize(values)[0], dtype=np.intp)


def group_sum(values: Numbers, codes: Codes, size: int) -> Numbers:
    """Sums `(m,)` of `values (k,)` within groups; complex values keep their imaginary part."""
    if np.iscomplexobj(values):
        return group_sum(values.real, codes, size) + 1j * group_sum(values.imag, codes, size)
    return np.bincount(codes, weights=values, minlength=size)


def inner(a: Numbers, b: Numbers) -> Numbers:
    """Inner products `(i, j)` of the rows of `a (i, k)` with those of `b (j, k)`.

    >>> inner(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])).tolist()
    [[11.0]]
    """
    return np.asarray(np.einsum("ik,jk->ij", a, b))


def first_rows(codes: Codes, size: int) -> Codes:
    """The first row `(m,)` of each group."""
    first = np.zeros(size, dtype=np.intp)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return first


def refines(fine: Codes, coarse: Codes) -> bool:
    """Whether every group of `fine` lies within one group of `coarse`."""
    first = first_rows(fine, int(fine.max(initial=-1)) + 1)
    return bool(np.array_equal(coarse[first][fine], coarse))


def rows_by_size(codes: Codes, limit: int = 4_000_000) -> list[Codes]:
    """Row numbers `(b, n)` of b groups with n rows each: all groups, cut so that `b n^2` stays near `limit`."""
    sizes = np.bincount(codes)
    order = np.argsort(codes, kind="stable")
    starts = np.cumsum(sizes) - sizes
    batches = []
    for n in np.unique(sizes[sizes > 0]):
        groups = np.flatnonzero(sizes == n)
        index = order[starts[groups][:, None] + np.arange(n)]
        batches += np.array_split(index, max(1, -(-len(groups) * int(n) ** 2 // limit)))
    return [batch for batch in batches if len(batch)]
