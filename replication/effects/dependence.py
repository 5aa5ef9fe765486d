"""Effects that depend on each other: covariances by kind, time and shared groups, and one effect for a cluster.

What is assumed of the dependence is an argument with a name, so that it can be varied and said.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.effects.covariance import CovarianceBlocks, rows_by_label
from replication.effects.effect_size import Array, numbers, refuse
from replication.errors import UserError

__all__ = ["Aggregated", "ComparedGroups", "aggregate", "dependent_blocks"]


@dataclass(frozen=True, slots=True, eq=False)
class ComparedGroups:
    """The groups each effect compares (`first` minus `second`) and their sizes; a label is one group in a cluster."""

    first: Sequence[Hashable]
    second: Sequence[Hashable]
    n_first: ArrayLike
    n_second: ArrayLike

    def correlations(self) -> Array:
        """Correlations `(k, k)` that shared groups bring: the root of the product of the group's shares of variance.

        A mean of n persons has variance proportional to 1 / n, so the first group makes up `n2 / (n1 + n2)` of the
        variance of a difference. A group that is first in one effect and second in the other correlates them
        negatively.
        """
        n1, n2 = numbers({"n_first": self.n_first, "n_second": self.n_second})
        refuse((n1 <= 0) | (n2 <= 0), "a group without persons")
        sides = [
            (np.array([str(g) for g in self.first]), np.sqrt(n2 / (n1 + n2)), 1.0),
            (np.array([str(g) for g in self.second]), np.sqrt(n1 / (n1 + n2)), -1.0),
        ]
        R = np.zeros((len(n1), len(n1)))
        for left, share, sign in sides:
            for right, other_share, other_sign in sides:
                shared = left[:, None] == right[None, :]
                R += sign * other_sign * np.where(shared, np.outer(share, other_share), 0.0)
        return R


@dataclass(frozen=True, slots=True, eq=False)
class Aggregated:
    """One effect for each of m clusters: `labels`, `estimate (m,)`, `variance (m,)`, and `count` of effects in each."""

    labels: tuple[Hashable, ...]
    estimate: Array
    variance: Array
    count: NDArray[np.intp]


def dependent_blocks(
    variance: ArrayLike,
    cluster: Sequence[Hashable],
    *,
    rho: float = 1.0,
    kind: Sequence[Hashable] | None = None,
    rho_other: float | None = None,
    time: ArrayLike | None = None,
    phi: float | None = None,
    groups: ComparedGroups | None = None,
) -> CovarianceBlocks:
    """Covariances of dependent effects: of kinds of measures, of occasions, of comparisons that share a group.

    Parameters
    ----------
    variance, cluster : (k,) sampling variances, and the sample of each effect; samples are independent
    rho : assumed correlation of two effects of one kind
    kind, rho_other : what each effect measures, and the assumed correlation of two effects of different kinds
    time, phi : occasion of each effect, and the correlation one unit of time apart (`phi^|t - s|`)
    groups : which groups each effect compares; comparisons that share a group correlate by its part in both

    The parts multiply. Source of the part of shared groups: Gleser & Olkin (2009), for groups of sizes n.

    Raises `UserError` where the parts do not make a covariance matrix, with the cluster.

    >>> blocks = dependent_blocks([0.04, 0.04], ["a", "a"], rho=0.6, time=[1, 3], phi=0.5)
    >>> round(float(blocks.dense()[0, 1]), 6)
    0.006
    """
    (v,) = numbers({"variance": variance})
    refuse(~(v >= 0), "a missing or negative variance")
    if len(v) != len(cluster):
        raise UserError(f"{len(v)} variances but {len(cluster)} cluster labels; pass one label an effect.")
    R = np.full((len(v), len(v)), float(rho))
    if kind is not None:
        words = np.array([str(k) for k in kind])
        R = np.where(words[:, None] == words[None, :], rho, rho if rho_other is None else rho_other)
    if time is not None:
        # The parts multiply: each says how much of what is shared by the others remains.
        R = R * _in_time(time, phi)
    if groups is not None:
        R = R * groups.correlations()
    # Built as rho everywhere, the diagonal included: an effect correlates with itself by 1.
    np.fill_diagonal(R, 1.0)
    rows, se = rows_by_label(cluster), np.sqrt(v)
    # Block by block: the message can then name the cluster whose assumptions clash.
    for label, members in rows.items():
        _check_block(label, R[np.ix_(members, members)])
    blocks = [R[np.ix_(members, members)] * np.outer(se[members], se[members]) for members in rows.values()]
    return CovarianceBlocks(tuple(rows.values()), tuple(blocks))


def aggregate(
    estimate: ArrayLike, blocks: CovarianceBlocks, cluster: Sequence[Hashable], *, weighted: bool = True
) -> Aggregated:
    """One effect per cluster: the best linear mean under the covariances, or the plain mean (`weighted=False`).

    Source: Borenstein et al. (2009), ch. 24, for the variance of a mean of dependent effects.

    >>> blocks = dependent_blocks([0.04, 0.04, 0.02], ["a", "a", "b"], rho=0.5)
    >>> aggregate([0.2, 0.4, 0.1], blocks, ["a", "a", "b"]).variance.round(6).tolist()
    [0.03, 0.02]
    """
    (y,) = numbers({"estimate": estimate})
    refuse(np.isnan(y), "a missing effect; leave the row out first")
    weights = [
        _best_weights(cluster[members[0]], V) if weighted else np.full(len(members), 1.0 / len(members))
        for members, V in zip(blocks.rows, blocks.blocks, strict=True)
    ]
    parts = list(zip(blocks.rows, blocks.blocks, weights, strict=True))
    return Aggregated(
        tuple(cluster[members[0]] for members in blocks.rows),
        np.array([float(w @ y[members]) for members, _, w in parts]),
        np.array([float(w @ V @ w) for _, V, w in parts]),
        np.array([len(members) for members in blocks.rows], dtype=np.intp),
    )


def _best_weights(label: Hashable, V: Array) -> Array:
    try:
        w = np.linalg.solve(V, np.ones(len(V)))
    except np.linalg.LinAlgError:
        raise UserError(
            f"cluster {label!r}: its effects are correlated by 1, so no weights follow from them; pass weighted=False."
        ) from None
    return np.asarray(w / w.sum())


def _in_time(time: ArrayLike, phi: float | None) -> Array:
    if phi is None or not 0.0 <= phi <= 1.0:
        raise UserError(f"phi={phi!r}: give the correlation of effects one unit of time apart, from 0 to 1.")
    (t,) = numbers({"time": time})
    # A continuous autoregression: occasions need not be evenly spaced.
    return np.asarray(phi ** np.abs(t[:, None] - t[None, :]))


def _check_block(label: Hashable, R: Array) -> None:
    smallest = float(np.linalg.eigvalsh(R)[0])
    # A correlation of exactly 1 is allowed, and leaves an eigenvalue of rounding size.
    if smallest < -1e-10:
        raise UserError(
            f"cluster {label!r}: these correlations are no covariance matrix (an eigenvalue is {smallest:.2g}); assume "
            "smaller ones, or check which groups the comparisons share."
        )
