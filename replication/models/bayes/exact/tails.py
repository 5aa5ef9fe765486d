"""Does the posterior exist, and which of its moments do: powers of tau counted, nothing sampled.

Far out, the likelihood falls as `tau^-r`: r counts the dimensions of y that only this tau can explain (all of them,
less those taken by coefficients with a flat prior). With a prior whose tail index is t, the posterior's is `t + r`: it
exists when `t + r > 0`, and its moments of an order below `t + r` exist.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication.errors import ModelError
from replication.models.bayes.exact.gaussian import likelihood
from replication.models.bayes.exact.model import Axis, Model
from replication.models.bayes.priors.coefficient import Cauchy, CoefficientPrior, StudentT
from replication.models.bayes.priors.positive import Fixed, Power
from replication.models.fit import Array

__all__ = ["Tails", "check_posterior", "posterior_tails"]


@dataclass(frozen=True, slots=True, eq=False)
class Tails:
    """Moments of an order below these exist: `within`, `between`, and one per coefficient `(p,)`.

    `ranks` are the dimensions of y that inform each of the two sds: 0 means that its posterior is its prior.
    """

    within: float
    between: float
    coefficients: Array
    ranks: tuple[int, int]


def posterior_tails(model: Model, priors: tuple[CoefficientPrior, ...]) -> Tails:
    """Tail indices of every marginal posterior; infinite where all moments exist."""
    ranks = _ranks(model)
    index = [_axis_index(axis, rank) for axis, rank in zip(model.axes[:2], ranks, strict=True)]
    grows = _growing(model)
    x = model.blocks.x
    out = np.full(len(priors), np.inf)
    for j, prior in enumerate(priors):
        # With a flat prior the tail comes from a large sd alone, where the likelihood of the coefficient widens with
        # it.
        if model.flat[j]:
            out[j] = min([i for i, g in zip(index, grows, strict=True) if g[j]], default=np.inf)
        elif isinstance(prior, StudentT | Cauchy):
            # A coefficient that effects determine gains the tail of the data; others keep that of their prior.
            known = (
                np.linalg.matrix_rank(x) > np.linalg.matrix_rank(np.delete(x, j, axis=1)) if x.shape[1] > 1 else x.any()
            )
            out[j] = (prior.df if isinstance(prior, StudentT) else 1.0) + (min(index) if known else 0.0)
    return Tails(index[0], index[1], out, ranks)


def check_posterior(model: Model, rows: tuple[int, ...], names: tuple[str, ...]) -> None:
    """Raise a `ModelError` that explains when no proper posterior exists."""
    x = model.blocks.x[:, model.flat]
    if x.shape[1] and np.linalg.matrix_rank(x) < x.shape[1]:
        loose = ", ".join(n for n, f in zip(names, model.flat, strict=True) if f)
        raise ModelError(
            f"coefficients with a flat prior ({loose}) are not all determined by {len(rows)} effects; "
            "give them a Normal prior or take columns out of x."
        )
    ranks = _ranks(model)
    for axis, rank in zip(model.axes[:2], ranks, strict=True):
        _check_far(axis, rank)
        _check_near(axis)
    improper = [(a, r) for a, r in zip(model.axes[:2], ranks, strict=True) if not a.prior.proper]
    if len(improper) == 2 and sum(a.prior.tail_index for a, _ in improper) + ranks[0] <= 0:
        raise ModelError(
            "both variance components have improper priors and too few effects; give one a HalfNormal prior."
        )
    _check_zero_variance(model, rows)


def _rank(x: Array) -> int:
    return int(np.linalg.matrix_rank(x)) if x.size and x.any() else 0


def _axis_index(axis: Axis, rank: int) -> float:
    if isinstance(axis.prior, Fixed) or np.isfinite(axis.prior.support()[1]):
        return float("inf")
    return axis.prior.tail_index + rank


def _ranks(model: Model) -> tuple[int, int]:
    """Dimensions of y that only tau_w, or only tau_b, can explain: given flat coefficients."""
    blocks, x = model.blocks, model.blocks.x[:, model.flat]
    sizes = np.add.reduceat(blocks.u**2, blocks.starts)
    means = np.add.reduceat(blocks.u[:, None] * x, blocks.starts, axis=0) / sizes[:, None]
    inside = x - blocks.u[:, None] * means[blocks.cluster]
    # What rounding leaves of a column that is constant in every cluster would count as one more dimension.
    inside = np.where(np.abs(inside) > 1e-10 * np.abs(x).max(initial=0.0), inside, 0.0)
    free = x.shape[1]
    return len(blocks.y) - free, len(blocks.starts) + _rank(inside) - free


def _growing(model: Model) -> list[Array]:
    """Whether the sd of each coefficient grows without bound in tau_w, and in tau_b."""
    if not model.flat.any():
        return [np.zeros(len(model.flat), dtype=bool)] * 2
    out = []
    for axis in range(2):
        taus = [np.array([[1.0]]), np.array([[1.0]])]
        sizes = []
        # Growth is read off two far points: a variance that does not depend on the sd is the same at both.
        for far in (1e4, 1e6):
            taus[axis] = np.array([[far]])
            A = likelihood(model.blocks, taus[0], taus[1]).A[0, 0, 0][np.ix_(model.flat, model.flat)]
            sizes.append(np.diag(np.linalg.inv(A)))
        grows = np.zeros(len(model.flat), dtype=bool)
        # A hundred times the sd makes a variance that follows it ten thousand times larger.
        grows[model.flat] = sizes[1] > 100.0 * sizes[0]
        out.append(grows)
    return out


def _check_far(axis: Axis, rank: int) -> None:
    if axis.prior.proper or axis.prior.tail_index + rank > 0:
        return
    raise ModelError(
        f"the posterior of the {axis.name} sd is improper: under the prior {axis.prior} it falls only as "
        f"tau^{-axis.prior.tail_index - rank - 1.0:g} with these effects, so its area is infinite. "
        "Use a proper prior, such as HalfNormal, or more effects."
    )


def _check_near(axis: Axis) -> None:
    # tau to the power -1 has a logarithm for its area, which has no lower end.
    if isinstance(axis.prior, Power) and (axis.prior.exponent <= -1.0):
        raise ModelError(
            f"the posterior of the {axis.name} sd is improper: the prior {axis.prior} has infinite area near 0, "
            "whatever the data. Use an exponent above -1 or a proper prior."
        )


def _check_zero_variance(model: Model, rows: tuple[int, ...]) -> None:
    """Rows without sampling variance that agree exactly pull all mass to tau = 0."""
    blocks, axis = model.blocks, model.axes[0]
    zero = blocks.lam <= 0.0
    if not zero.any():
        return
    named = ", ".join(str(rows[i]) for i in np.sort(blocks.order[zero])[:10])
    if isinstance(axis.prior, Fixed) and axis.prior.value == 0.0:
        raise ModelError(
            f"rows {named} have sampling variance 0 and the model has no {axis.name} variation; give it a prior."
        )
    x = np.column_stack([blocks.x[zero], *_cluster_columns(model, zero)])
    rest = blocks.y[zero] - x @ np.linalg.lstsq(x, blocks.y[zero], rcond=None)[0]
    surplus = int(zero.sum()) - int(np.linalg.matrix_rank(x))
    if isinstance(axis.prior, Fixed) or surplus == 0 or np.abs(rest).max() > 1e-12 * max(1.0, np.abs(blocks.y).max()):
        return
    # The slope of the log prior towards 0, over two decades, says which power of tau it falls or rises by.
    near = axis.prior.logpdf(axis.unit * np.array([1e-14, 1e-12]))
    if np.all(np.isfinite(near)) and surplus >= 1.0 + (near[1] - near[0]) / np.log(100.0) - 1e-3:
        raise ModelError(
            f"rows {named} have sampling variance 0 and fit exactly, so the posterior is improper at tau = 0: "
            "give these rows their sampling variances or leave all but one out."
        )


def _cluster_columns(model: Model, zero: NDArray[np.bool_]) -> list[Array]:
    if isinstance(model.axes[1].prior, Fixed):
        return []
    blocks = model.blocks
    return [np.where(blocks.cluster[zero] == c, blocks.u[zero], 0.0) for c in np.unique(blocks.cluster[zero])]
