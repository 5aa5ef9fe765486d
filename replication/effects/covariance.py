"""Sampling covariances of effects from the same persons.

Correlations that share a sample covary by Olkin and Siotani's formula; other effects by an assumed correlation. Both
come as blocks, one per sample, so that the full matrix is never needed.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.effects.correlation import fisher_z_variance
from replication.effects.effect_size import Array, numbers, refuse
from replication.errors import UserError

__all__ = [
    "CorrelationScale",
    "CovarianceBlocks",
    "assumed_correlation_blocks",
    "constant_correlation",
    "correlation_blocks",
    "correlation_covariance",
    "least_correlation",
    "olkin_siotani",
    "rows_by_label",
    "variance_of_sum",
]

CorrelationScale = Literal["r", "fisher z"]


@dataclass(frozen=True, slots=True, eq=False)
class CovarianceBlocks:
    """`blocks[b]` is the covariance of the effects at `rows[b]`; effects of different blocks are independent."""

    rows: tuple[NDArray[np.intp], ...]
    blocks: tuple[Array, ...]

    def dense(self) -> Array:
        """The whole matrix `(k, k)`."""
        k = sum(len(rows) for rows in self.rows)
        V = np.zeros((k, k))
        for rows, block in zip(self.rows, self.blocks, strict=True):
            V[np.ix_(rows, rows)] = block
        return V


def correlation_covariance(
    R: ArrayLike, n: float, pairs: Sequence[tuple[int, int]] | None = None, scale: CorrelationScale = "r"
) -> Array:
    """Covariance matrix of the correlations of one sample, by Olkin and Siotani.

    Parameters
    ----------
    R : (p, p) correlation matrix
    n : persons
    pairs : which correlations, in which order; by default all below the diagonal, column by column
    scale : r, or fisher z: the same correlations between estimates with variances `1 / (n - 3)`

    Returns the `(q, q)` covariance; in r its diagonal is `(1 - r^2)^2 / (n - 1)`.

    Source: Olkin & Siotani (1976), eq. 3.4; Steiger (1980), eqs. 2-3.

    >>> R = [[1, 0.3, 0.5], [0.3, 1, 0.4], [0.5, 0.4, 1]]
    >>> round(float(correlation_covariance(R, 60)[0, 1]), 6)
    0.003839
    """
    r = np.array(R, dtype=float)
    _check_scale(scale)
    _check_matrix(r)
    # The variance of r divides by n - 1, that of Fisher's z by n - 3.
    least = 2 if scale == "r" else 4
    if not n >= least:
        raise UserError(f"n={n!r} is too few persons; at least {least} are needed.")
    chosen = [(i, j) for j in range(len(r)) for i in range(j + 1, len(r))] if pairs is None else list(pairs)
    if any(i == j or not 0 <= min(i, j) <= max(i, j) < len(r) for i, j in chosen):
        raise UserError(f"pairs={chosen!r} must name two different variables out of 0 to {len(r) - 1} each.")
    i, j = (np.array([pair[side] for pair in chosen], dtype=np.intp)[:, None] for side in (0, 1))
    scatter = olkin_siotani(r, i, j, i.T, j.T)
    if scale == "r":
        return np.asarray(scatter / (n - 1.0))
    # Dividing by the asymptotic spreads leaves correlations of the estimates, which z and r have in common.
    root = 1.0 - r[i, j] ** 2
    return np.asarray(scatter / (root * root.T) * fisher_z_variance(n))


def olkin_siotani(
    r: Array, i: NDArray[np.intp], j: NDArray[np.intp], k: NDArray[np.intp], m: NDArray[np.intp]
) -> Array:
    """n times the large-sample covariance of `r_ij` and `r_km`, for correlation matrices `r (..., p, p)`.

    Source: Olkin & Siotani (1976), eq. 3.4; Steiger (1980), eq. 3. The indices are broadcast against each other.

    >>> r, one, two = np.array([[1, 0.6], [0.6, 1]]), np.array(0), np.array(1)
    >>> round(float(olkin_siotani(r, one, two, one, two)), 4)  # (1 - 0.6 ** 2) ** 2
    0.4096
    """
    ij, km = r[..., i, j], r[..., k, m]
    ik, im, jk, jm = r[..., i, k], r[..., i, m], r[..., j, k], r[..., j, m]
    squares = 0.5 * ij * km * (ik**2 + im**2 + jk**2 + jm**2)
    triples = ij * ik * im + ij * jk * jm + ik * jk * km + im * jm * km
    return np.asarray(squares + ik * jm + im * jk - triples)


def correlation_blocks(
    r: ArrayLike,
    n: ArrayLike,
    *,
    sample: Sequence[Hashable],
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    scale: CorrelationScale = "fisher z",
    missing: float | Mapping[frozenset[Hashable], float] | None = None,
) -> CovarianceBlocks:
    """Covariances of correlations in rows: one per row, several per sample.

    Parameters
    ----------
    r, n : (k,) correlation and persons of each row; within a sample the smallest n counts
    sample, first, second : (k,) sample and the two variables of each row
    scale : r or fisher z
    missing : for correlations a covariance needs but the sample does not report: one value for all, or a value by
        pair of variables, `{frozenset(("pos", "enga")): 0.3}`; None refuses, naming sample and pair

    >>> blocks = correlation_blocks(
    ...     [0.3, 0.5, 0.4], [60, 60, 60], sample=[1, 1, 1], first=["a", "a", "b"], second=["b", "c", "c"], scale="r")
    >>> blocks.dense().round(6)[0].tolist()
    [0.014036, 0.003839, 0.005847]
    """
    values, persons = numbers({"r": r, "n": n})
    refuse(np.isnan(values) | np.isnan(persons), "a missing r or n; leave the row out first")
    if not len(values) == len(sample) == len(first) == len(second):
        raise UserError("r, sample, first and second differ in length; pass one of each a row.")
    rows = rows_by_label(sample)
    blocks = []
    for label, members in rows.items():
        links = [(first[i], second[i]) for i in members]
        R, pairs = _matrix_of(label, links, values[members], missing)
        # the smallest n: persons who lack one variable inform fewer of the covariances
        blocks.append(correlation_covariance(R, float(persons[members].min()), pairs, scale))
    return CovarianceBlocks(tuple(rows.values()), tuple(blocks))


def _matrix_of(
    label: Hashable,
    links: Sequence[tuple[Hashable, Hashable]],
    values: Array,
    missing: float | Mapping[frozenset[Hashable], float] | None,
) -> tuple[Array, list[tuple[int, int]]]:
    """The sample's correlation matrix, gaps filled, and the place of each link in it."""
    # In the order in which they are named, so that a covariance does not hang on how labels sort.
    variables = list(dict.fromkeys(name for link in links for name in link))
    place = {name: at for at, name in enumerate(variables)}
    R = np.full((len(variables), len(variables)), np.nan)
    np.fill_diagonal(R, 1.0)
    pairs = [(place[a], place[b]) for a, b in links]
    for (i, j), value in zip(pairs, values, strict=True):
        if i == j or not np.isnan(R[i, j]):
            raise UserError(
                f"sample {label!r}: {variables[i]!r} with {variables[j]!r} cannot stand twice or with itself."
            )
        R[i, j] = R[j, i] = value
    # a covariance needs correlations the sample may not print; what stands in is the caller's to say
    for i, j in np.argwhere(np.isnan(np.tril(R))):
        R[i, j] = R[j, i] = _filled(label, variables[i], variables[j], missing)
    return R, pairs


def _filled(
    label: Hashable, a: Hashable, b: Hashable, missing: float | Mapping[frozenset[Hashable], float] | None
) -> float:
    value = missing.get(frozenset((a, b))) if isinstance(missing, Mapping) else missing
    if value is None:
        raise UserError(
            f"sample {label!r} does not report {a!r} with {b!r}, which its covariances need; "
            "say in `missing` what to assume."
        )
    return value


def assumed_correlation_blocks(variance: ArrayLike, cluster: Sequence[Hashable], rho: float) -> CovarianceBlocks:
    """Effects of one cluster covary as `rho sqrt(v_i v_j)`, an assumption to be varied (Hedges, Tipton & Johnson 2010).

    >>> assumed_correlation_blocks([0.04, 0.01, 0.09], ["a", "a", "b"], 0.5).dense().round(3).tolist()
    [[0.04, 0.01, 0.0], [0.01, 0.01, 0.0], [0.0, 0.0, 0.09]]
    """
    (v,) = numbers({"variance": variance})
    refuse(~(v >= 0), "a missing or negative variance")
    if len(v) != len(cluster):
        raise UserError(f"{len(v)} variances but {len(cluster)} cluster labels; pass one label per effect.")
    rows = rows_by_label(cluster)
    low = least_correlation(max(len(members) for members in rows.values()))
    if not low <= rho <= 1.0:
        raise UserError(f"rho={rho!r} gives no covariance matrix here; choose from {low:.4g} to 1.")
    blocks = [constant_correlation(v[members], rho) for members in rows.values()]
    return CovarianceBlocks(tuple(rows.values()), tuple(blocks))


def constant_correlation(variance: Array, rho: float) -> Array:
    """Covariances `(..., k, k)` of effects with sampling variances `(..., k)` that all correlate by `rho`.

    Source: Hedges, Tipton & Johnson (2010); Pustejovsky & Tipton (2022), the correlated-effects working model.

    >>> constant_correlation(np.array([0.04, 0.01]), 0.5).round(3).tolist()
    [[0.04, 0.01], [0.01, 0.01]]
    """
    root = np.sqrt(variance)
    shared = rho * root[..., :, None] * root[..., None, :]
    # the diagonal is the variance itself, to the last bit, whatever rho is
    return np.asarray(np.where(np.eye(root.shape[-1], dtype=bool), variance[..., :, None], shared))


def variance_of_sum(variances: Array, errors: Array, rho: float) -> Array:
    """The sum of all cells of `constant_correlation`, of the sums of the variances and of the standard errors.

    >>> float(variance_of_sum(np.array(0.04 + 0.01), np.array(0.2 + 0.1), 0.5))
    0.07
    """
    return np.asarray((1.0 - rho) * variances + rho * errors**2)


def least_correlation(size: int) -> float:
    """The lowest correlation that all effects of a cluster of `size` can share: `-1 / (size - 1)`.

    >>> least_correlation(3)
    -0.5
    """
    return -1.0 / (size - 1) if size > 1 else -1.0


def rows_by_label(labels: Sequence[Hashable]) -> dict[Hashable, NDArray[np.intp]]:
    """Row numbers of each label, labels in order of appearance."""
    rows: dict[Hashable, list[int]] = {}
    for row, label in enumerate(labels):
        rows.setdefault(label, []).append(row)
    return {label: np.array(members, dtype=np.intp) for label, members in rows.items()}


def _check_scale(scale: str) -> None:
    if scale not in get_args(CorrelationScale):
        raise UserError(f"scale={scale!r} is not known; choose one of {', '.join(get_args(CorrelationScale))}.")


def _check_matrix(r: Array) -> None:
    square = r.ndim == 2 and r.shape[0] == r.shape[1]
    if not square or not np.allclose(r, r.T, equal_nan=True) or not np.allclose(np.diag(r), 1.0):
        raise UserError(f"R of shape {r.shape} is not a correlation matrix: square, symmetric, ones on the diagonal.")
    if np.nanmax(np.abs(r)) > 1.0 + 1e-12:
        raise UserError("R holds a value outside -1 to 1; check the printed correlations.")
