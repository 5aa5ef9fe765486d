"""Joint draws of a posterior, exact or sampled, as arrays and as arviz `InferenceData` that can be saved.

Exact posteriors are drawn without a chain, in three steps:

1. A node of the quadrature is drawn by its weight, and a point evenly from the node's own part of its cell. The weights
   of a Gauss-Legendre rule cut a cell into such parts, one around each node, so the point is drawn from a density that
   is the posterior's at the node and flat around it.
2. The point is kept with a chance proportional to the posterior there over the posterior at the node (rejection, its
   bound the largest ratio among the points proposed): what is kept has the posterior's own density.
3. Given the standard deviations the coefficients are normal, with the mean and covariance computed at the point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from replication.errors import ModelError, UserError
from replication.lazily import missing_extra
from replication.models.bayes.exact.integration import Solution
from replication.models.bayes.exact.model import conditional
from replication.models.bayes.exact.posterior import ExactPosterior
from replication.models.bayes.exact.quadrature import along, grid_nodes, legendre_rule
from replication.models.bayes.sampled.diagnostics import SampledPosterior
from replication.models.fit import Array

__all__ = ["CHAINS", "JointDraws", "draw_exact", "inference_data"]

# Independent draws are cut into as many parts, so that arviz's R-hat and effective sizes have chains to compare.
CHAINS = 4
# Points proposed for each draw wanted, and how often more are proposed before giving up: most are kept.
SPARE, ROUNDS = 1.5, 6


@dataclass(frozen=True, slots=True, eq=False)
class JointDraws:
    """Draws by name `(n,)`, each position one draw of all quantities, and the share of proposed points `kept`."""

    values: Mapping[str, Array]
    kept: float


@dataclass(frozen=True, slots=True, eq=False)
class _Proposed:
    """Points on the axes of integration `(m, d)`, and the log of posterior over proposal at each `(m,)`."""

    points: Array
    log_ratio: Array


def draw_exact(posterior: ExactPosterior, size: int, rng: np.random.Generator) -> JointDraws:
    """Independent joint draws of the standard deviations and coefficients of an exact posterior.

    Parameters
    ----------
    posterior : of two or three levels, with Normal or t priors of coefficients
    size : draws wanted
    rng : the generator, whose seed belongs to the record

    Raises `ModelError` for a size below 1.

    >>> from replication.models.bayes import exact_two_level
    >>> from replication.models.bayes import HalfNormal, Normal
    >>> y, v = [0.1, 0.3, 0.5], [0.01, 0.02, 0.01]
    >>> found = draw_exact(
    ...     exact_two_level(y, v, tau=HalfNormal(0.3), coefficients=[Normal(0, 1)]), 2000, np.random.default_rng(1)
    ... )
    >>> sorted(found.values), round(float(found.values["intercept"].mean()), 2)
    (['intercept', 'tau'], 0.29)
    """
    if size < 1:
        raise ModelError(f"draws={size!r} must be 1 or more.")
    solution = posterior.solution
    points, kept = _accepted(solution, size, rng)
    given = conditional(solution.model, tuple(column[:, None] for column in points.T))
    p, units = len(posterior.names), solution.model.units
    root = np.linalg.cholesky(given.covariance.reshape(size, p, p))
    normal = given.mean.reshape(size, p) + np.einsum("npq,nq->np", root, rng.standard_normal((size, p)))
    values: dict[str, Array] = {
        name: solution.model.axes[posterior._axis(name)].sd(points[:, posterior._axis(name)]) for name in posterior.sds
    }
    values |= dict(zip(posterior.names, ((normal + units.center) * units.slope).T, strict=True))
    return JointDraws(values, kept)


def _accepted(solution: Solution, size: int, rng: np.random.Generator) -> tuple[Array, float]:
    """Points `(size, d)` with the posterior's density, and the share of those proposed that were kept."""
    wanted = int(SPARE * size) + 10
    for _ in range(ROUNDS):
        proposed = _propose(solution, wanted, rng)
        chance = np.exp(proposed.log_ratio - proposed.log_ratio.max())
        keep = rng.uniform(size=wanted) < chance
        if keep.sum() >= size:
            return proposed.points[keep][:size], float(keep.mean())
        # All anew: the bound is the largest ratio seen, and joining rounds of two bounds would favour one of them.
        wanted *= 2
    raise ModelError(f"only {int(keep.sum())} of {wanted} points could be kept; ask for fewer draws.")


def _propose(solution: Solution, m: int, rng: np.random.Generator) -> _Proposed:
    """Points drawn by the weights of the nodes and evenly around each."""
    cells, model = solution.cells, solution.model
    # A series has as many terms as the rule has nodes; a fixed axis has one of each.
    n = max(series.shape[1] for series in solution.series)
    nodes, weights = grid_nodes(cells, n)
    log = conditional(model, nodes).log
    d, amounts = len(nodes), np.exp(log - log.max())
    for axis, w in enumerate(weights):
        amounts = amounts * along(w, axis, d)
    chosen = rng.choice(amounts.size, size=m, p=(amounts / amounts.sum()).ravel())
    cell, *places = np.unravel_index(chosen, amounts.shape)
    points = np.empty((m, d))
    for axis in range(d):
        low, high = _part(n if cells.free[axis] else 1)
        start, half = cells.low[cell, axis], 0.5 * (cells.high[cell, axis] - cells.low[cell, axis])
        at = rng.uniform(low[places[axis]], high[places[axis]])
        points[:, axis] = start + half * at
    reached = conditional(model, tuple(column[:, None] for column in points.T)).log.ravel()
    return _Proposed(points, reached - log.ravel()[chosen])


def _part(n: int) -> tuple[Array, Array]:
    """Ends, counted from the start of a cell of length 2, of the part around each of the n nodes."""
    high = np.cumsum(legendre_rule(n).weights)
    return high - legendre_rule(n).weights, high


def inference_data(posterior: ExactPosterior | SampledPosterior, *, draws: int = 1000, seed: int = 2024) -> Any:
    """Joint draws as arviz `InferenceData`: `posterior` of (chain, draw), `observed_data` where known, and attributes.

    Parameters
    ----------
    posterior : exact, drawn here in `CHAINS` parts of `draws` independent draws; or sampled, with the draws it has
    draws, seed : for exact posteriors; the seed stands in the attributes

    `to_netcdf(path)` of the result saves it, `arviz.from_netcdf` reads it back.

    Raises `UserError` where arviz is not installed.
    """
    try:
        import arviz
    except ModuleNotFoundError as error:
        raise UserError(missing_extra(error)) from None
    if isinstance(posterior, SampledPosterior):
        names = [parameter.name for parameter in posterior.parameters]
        values = {name: posterior.draws[:, :, i] for i, name in enumerate(names)}
        said = {"drawn_by": "NUTS (nutpie)", "seed": posterior.settings.seed, "model": posterior.model}
        return arviz.from_dict(posterior=values, posterior_attrs={**said, **posterior.method})
    found = draw_exact(posterior, CHAINS * draws, np.random.default_rng(seed))
    values = {name: column.reshape(CHAINS, draws) for name, column in found.values.items()}
    said = {"drawn_by": "independent draws of the exact posterior", "seed": seed, "kept": found.kept}
    return arviz.from_dict(
        posterior=values,
        observed_data={"effect": posterior.data.y},
        posterior_attrs={**said, "numerical_error": posterior.accuracy.error, **posterior.method},
    )
