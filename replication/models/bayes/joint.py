"""The joint posterior density of the standard deviations and the coefficients."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from replication.errors import ModelError
from replication.models.arrays import as_numbers
from replication.models.bayes.integration import Solution
from replication.models.bayes.model import conditional
from replication.models.bayes.prior_record import LOG_2PI
from replication.models.fit import Array

__all__ = ["joint_log_density"]


def joint_log_density(
    solution: Solution, within: ArrayLike, between: ArrayLike, coefficients: ArrayLike | None
) -> Array:
    """Log density at `within, between` (broadcast together), and of `coefficients (..., p)` with them if passed.

    A fixed sd has no density; what is passed for it is not used.
    """
    model = solution.model
    if len(model.axes) > 2:
        raise ModelError("the joint density is not available with t or Cauchy priors of coefficients; use Normal ones.")
    sds = np.broadcast_arrays(np.asarray(within, dtype=float), np.asarray(between, dtype=float))
    nodes, jacobian = [], np.zeros(sds[0].shape)
    for axis, sd in zip(model.axes, sds, strict=True):
        fixed = len(axis.edges) == 1
        nodes.append(np.full(sd.size, axis.edges[0]) if fixed else np.arcsinh(sd.ravel() / axis.unit))
        jacobian = jacobian - (0.0 if fixed else np.log(np.hypot(axis.unit, sd)))
    given = conditional(model, tuple(n[:, None] for n in nodes))
    log = given.log.reshape(sds[0].shape) + jacobian - solution.log_mass
    if coefficients is None:
        return np.asarray(log)
    p, slope = len(model.mean), model.units.slope
    beta = as_numbers(coefficients, "coefficients")
    if beta.ndim == 0 or beta.shape[-1] != p:
        raise ModelError(f"coefficients have shape {beta.shape}; pass {p} numbers, one for each, along the last axis.")
    mean = (given.mean.reshape(*sds[0].shape, p) + model.units.center) * slope
    covariance = given.covariance.reshape(*sds[0].shape, p, p) * np.outer(slope, slope)
    gap = (beta - mean)[..., None]
    quad = (gap.swapaxes(-1, -2) @ np.linalg.solve(covariance, gap))[..., 0, 0]
    return np.asarray(log - 0.5 * (p * LOG_2PI + np.linalg.slogdet(covariance)[1] + quad))
