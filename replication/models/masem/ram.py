"""The correlations a path model implies, with exact derivatives, and whether its parameters can be told apart at all.

Notation (reticular action model): `A` holds arrows (row = target, column = source), `S` covariances, `B = (I - A)^-1`,
implied matrix `M = B S B'`. All variances are 1, so the diagonal `psi` of S follows from the rest: `(B * B) psi = 1 -
diag(B S0 B')`, S0 being S without its diagonal. This holds for any model with `B`, with or without loops, and makes
residual variances functions of the paths. Everything runs over a batch of points at once (one per study).

A parameter is not identified when changing it, perhaps together with others, changes no correlation. That is seen
before fitting, by the rank of the first derivatives at points chosen away from any symmetry; a model that is
identified has full rank at almost all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication.errors import ModelError
from replication.models.fit import Array
from replication.models.masem.audit import pair_indices
from replication.models.masem.model_text import PathModel

__all__ = ["Implied", "Structure", "require_identified", "structure"]

Ints = NDArray[np.int_]


@dataclass(frozen=True, slots=True, eq=False)
class Implied:
    """What the model implies at a batch of points `(k, cells)`.

    Correlations `r (k, p)` with `jacobian (k, p, cells)`, (residual) variances `psi (k, w)` with their
    `psi_jacobian (k, w, cells)` for w observed and latent variables; `b`, `m (k, w, w)` as above.
    """

    r: Array
    jacobian: Array
    psi: Array
    psi_jacobian: Array
    b: Array
    m: Array


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """Where each cell of a model stands: `to`, `source (cells,)` index variables, observed ones first.

    `arrow (cells,)` tells arrows from covariances; `fixed (cells,)` are values of fixed cells; `parameter (cells, q)`
    maps free parameters to cells; `first`, `second (p,)` are the pairs of observed variables.
    """

    variables: tuple[str, ...]
    parameters: tuple[str, ...]
    to: Ints
    source: Ints
    arrow: NDArray[np.bool_]
    fixed: Array
    parameter: Array
    first: Ints
    second: Ints

    def cells_at(self, theta: Array) -> Array:
        """Values of the cells `(1, cells)` at parameters `theta (q,)`."""
        return (self.fixed + self.parameter @ theta)[None, :]

    def implied(self, cells: Array) -> Implied | None:
        """What the model implies at `cells (k, cells)`; None where it implies nothing (I - A or B * B singular)."""
        w = len(self.variables)
        k = len(cells)
        a, s = np.zeros((k, w, w)), np.zeros((k, w, w))
        arrow, to, source = self.arrow, self.to, self.source
        a[:, to[arrow], source[arrow]] = cells[:, arrow]
        s[:, to[~arrow], source[~arrow]] = cells[:, ~arrow]
        s[:, source[~arrow], to[~arrow]] = cells[:, ~arrow]
        try:
            b = np.asarray(np.linalg.inv(np.eye(w) - a), dtype=np.float64)
            shares = np.asarray(np.linalg.inv(b * b), dtype=np.float64)
        except np.linalg.LinAlgError:
            return None
        bt = b.transpose(0, 2, 1)
        # the diagonal of B S0 B' alone, without the products off it
        explained = np.einsum("kij,kij->ki", np.matmul(b, s), b)
        psi = np.matmul(shares, (1.0 - explained)[:, :, None])[:, :, 0]
        m = np.matmul(np.matmul(b, s), bt) + np.matmul(b * psi[:, None, :], bt)
        return self._with_derivatives(b, shares, psi, m)

    def _with_derivatives(self, b: Array, shares: Array, psi: Array, m: Array) -> Implied:
        """`dM = B_i M_j' + M_j B_i'` for an arrow j -> i, `B_k B_l' + B_l B_k'` for a covariance, then psi follows."""
        left = b[:, :, self.to]
        # An arrow carries what its source has in common with all (M); a covariance only its direct paths (B).
        right = np.where(self.arrow, m[:, :, self.source], b[:, :, self.source])
        psi_jacobian = -np.matmul(shares, 2.0 * left * right)
        i, j = self.first, self.second
        direct = left[:, i] * right[:, j] + right[:, i] * left[:, j]
        jacobian = direct + np.matmul(b[:, i] * b[:, j], psi_jacobian)
        return Implied(m[:, i, j], jacobian, psi, psi_jacobian, b, m)

    def curvature(self, at: Implied, r_weights: Array, psi_weights: Array | None = None) -> Array:
        """Second derivatives `(k, cells, cells)` of `sum r_weights * r + sum psi_weights * psi`.

        With multipliers on the diagonal of M the slope in psi vanishes, so psi contributes through its first
        derivatives only.
        """
        multipliers = self._multipliers(at, r_weights, psi_weights)
        b, m = at.b, at.m
        bb = np.matmul(np.matmul(b.transpose(0, 2, 1), multipliers), b)
        mb = np.matmul(np.matmul(m, multipliers), b)
        second = self._arrow_arrow(b, m, mb, bb) + self._arrow_covariance(b, bb)
        through = 2.0 * b[:, self.source, :] * bb[:, self.to, :] * self.arrow[:, None]
        cross = np.matmul(through, at.psi_jacobian)
        return np.asarray(second + cross + cross.transpose(0, 2, 1))

    def _multipliers(self, at: Implied, r_weights: Array, psi_weights: Array | None) -> Array:
        """Symmetric weights on M whose diagonal makes the slope in every psi vanish."""
        w = len(self.variables)
        weights = np.zeros((len(r_weights), w, w))
        weights[:, self.first, self.second] = weights[:, self.second, self.first] = 0.5 * r_weights
        slope = np.einsum("kij,kij->kj", np.matmul(weights, at.b), at.b)
        if psi_weights is not None:
            slope = slope + psi_weights
        squares = (at.b * at.b).transpose(0, 2, 1)
        diagonal = np.linalg.solve(squares, -slope[:, :, None])[:, :, 0]
        weights[:, range(w), range(w)] = diagonal
        return weights

    def _arrow_arrow(self, b: Array, m: Array, mb: Array, bb: Array) -> Array:
        i, j = self.to[:, None], self.source[:, None]
        g, h = self.to[None, :], self.source[None, :]
        both = self.arrow[:, None] & self.arrow[None, :]
        terms = mb[:, h, i] * b[:, j, g] + mb[:, j, g] * b[:, h, i] + m[:, j, h] * bb[:, g, i]
        return np.where(both, 2.0 * terms, 0.0)

    def _arrow_covariance(self, b: Array, bb: Array) -> Array:
        i, j = self.to[:, None], self.source[:, None]
        g, h = self.to[None, :], self.source[None, :]
        mixed = self.arrow[:, None] & ~self.arrow[None, :]
        terms = np.where(mixed, 2.0 * (b[:, j, g] * bb[:, i, h] + b[:, j, h] * bb[:, i, g]), 0.0)
        return np.asarray(terms + terms.transpose(0, 2, 1))


def structure(model: PathModel, observed: tuple[str, ...]) -> Structure:
    """The places of a model's cells, with its observed variables in the order given."""
    variables = (*observed, *model.latent)
    place = {name: i for i, name in enumerate(variables)}
    parameters = model.parameters
    column = {name: i for i, name in enumerate(parameters)}
    parameter = np.zeros((len(model.cells), len(parameters)))
    for row, cell in enumerate(model.cells):
        if cell.parameter:
            parameter[row, column[cell.parameter]] = 1.0
    first, second = pair_indices(len(observed))
    return Structure(
        variables,
        parameters,
        np.array([place[cell.target] for cell in model.cells]),
        np.array([place[cell.source] for cell in model.cells]),
        np.array([not cell.covariance for cell in model.cells]),
        np.array([cell.value for cell in model.cells]),
        parameter,
        first,
        second,
    )


# Singular values below this share of the largest (columns scaled to one) count as zero.
RANK = 1e-9
# One point can be unlucky (a rank lost by coincidence); four spread points never all are.
POINTS = 4


def require_identified(
    jacobian: Callable[[Array], Array | None], names: Sequence[str], what: str = "correlations"
) -> None:
    """Raise a `ModelError` that names the parameters which cannot be told apart.

    `jacobian` gives first derivatives `(rows, q)` at parameters `(q,)`, or None where there are none.
    """
    size = len(names)
    best, culprits = -1, np.ones(size, dtype=bool)
    rows = 0
    for point in range(POINTS):
        derivatives = jacobian(_point(size, point))
        if derivatives is None or not np.isfinite(derivatives).all():
            continue
        rows = len(derivatives)
        rank, blind = _rank(derivatives)
        if rank == size:
            return
        if rank > best:
            best, culprits = rank, blind
    listed = ", ".join(name for name, on in zip(names, culprits, strict=True) if on)
    reason = f"{size} parameters for {rows} {what}" if size > rows else f"no change of {what} tells them apart"
    raise ModelError(
        f"the model is not identified: {reason}. Affected: {listed}. Fix one of them (0*x), make some equal (same "
        "label) or leave a path out."
    )


def _point(size: int, index: int) -> Array:
    """A point between .1 and .5, spread by the fractional parts of multiples of the golden ratio, signs mixed."""
    # spread without a generator: the same points on every machine, no two coordinates alike
    steps = np.modf((np.arange(1, size + 1) + 17.0 * index) * 0.6180339887498949)[0]
    sign = np.where(np.modf((np.arange(1, size + 1) + 5.0 * index) * 0.7548776662466927)[0] < 0.3, -1.0, 1.0)
    return np.asarray(sign * (0.1 + 0.4 * steps))


def _rank(derivatives: Array) -> tuple[int, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """The rank, and which columns take part in the directions that change nothing."""
    length = np.sqrt((derivatives**2).sum(axis=0))
    constant = length <= 1e-12 * max(float(length.max(initial=0.0)), 1e-300)
    # columns of length one, so that a path measured in other units does not look redundant
    scaled = derivatives / np.where(constant, 1.0, length)
    # QR first: studies can be many more rows than parameters
    values, directions = np.linalg.svd(np.linalg.qr(scaled, mode="r"), full_matrices=True)[1:]
    padded = np.zeros(scaled.shape[1])
    padded[: len(values)] = values
    null = directions[padded <= RANK * max(float(padded.max(initial=0.0)), 1e-300)]
    blind = constant | (np.abs(null) > 1e-6).any(axis=0)
    return scaled.shape[1] - len(null), blind
