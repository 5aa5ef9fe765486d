"""What an exact model is fitted to, and how it is solved: also under a restriction, for Bayes factors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from replication.models.bayes.coefficient_priors import CoefficientPrior
from replication.models.bayes.integration import Solution, integrate
from replication.models.bayes.model import make_model
from replication.models.bayes.positive_priors import Fixed, PositivePrior
from replication.models.bayes.tails import check_posterior, posterior_tails
from replication.models.block_covariance import BlockV
from replication.models.fit import Array
from replication.models.grouping import Codes

__all__ = ["ExactData", "intercept_only", "solve", "without_coefficient", "without_sd"]


@dataclass(frozen=True, slots=True, eq=False)
class ExactData:
    """Effects `y (k,)`, their covariance `V`, design `x (k, p)`, cluster codes `(k,)` or None, and all priors.

    `names (p,)` are those of the coefficients; `rows (k,)` are positions in the arrays as they were passed.
    """

    y: Array
    V: BlockV
    x: Array
    names: tuple[str, ...]
    cluster: Codes | None
    within: PositivePrior
    between: PositivePrior
    priors: tuple[CoefficientPrior, ...]
    rows: tuple[int, ...]


def solve(data: ExactData, rtol: float) -> Solution:
    """Integrate the posterior; a `ModelError` says why when there is none."""
    model = make_model(data.y, data.V, data.x, data.cluster, sds=(data.within, data.between), priors=data.priors)
    check_posterior(model, data.rows, data.names)
    return integrate(model, posterior_tails(model, data.priors), rtol)


def without_coefficient(data: ExactData, j: int, value: float) -> ExactData:
    """The same data with coefficient j held at `value`."""
    left = [i for i in range(len(data.names)) if i != j]
    return replace(
        data,
        y=data.y - value * data.x[:, j],
        x=data.x[:, left],
        names=tuple(data.names[i] for i in left),
        priors=tuple(data.priors[i] for i in left),
    )


def without_sd(data: ExactData, axis: int) -> ExactData:
    """The same data with tau_w (axis 0) or tau_b (axis 1) held at 0."""
    none = Fixed(0.0)
    return replace(data, within=none) if axis == 0 else replace(data, between=none)


def intercept_only(x: Array) -> bool:
    """Whether the design is a column of ones."""
    return x.shape[1] == 1 and bool(np.all(x == 1.0))
