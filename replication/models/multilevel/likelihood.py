"""The (restricted) likelihood of a multilevel model as a function of its variances, coefficients profiled out.

In the notation of the literature, `M = V + sum_l theta_l Z_l Z_l'` and `P = M^-1 - M^-1 X (X' M^-1 X)^-1 X' M^-1`:

    -2 l = log|M| + y'Py + k log 2 pi              (ML)
    -2 l = log|M| + y'Py + log|X'M^-1 X| - log|X'X| + (k - p) log 2 pi      (REML; Harville 1977)
    2 dl/dtheta_l = y'P Z_l Z_l' P y - tr(Z_l' M^-1 Z_l)                    (REML: P in the trace)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from replication.models.fit import Array
from replication.models.least_squares import Basis, orthonormal
from replication.models.multilevel.crossed_core import is_large
from replication.models.multilevel.groups import Level, Numbers, inner
from replication.models.multilevel.inverse import (
    Inverse,
    component_spread,
    component_sums,
    component_trace,
    invert,
    multiply,
)
from replication.models.multilevel.structure import BlockV, CovarianceStructure, covariance_structure, rotate
from replication.models.multilevel.variance_search import Slope

__all__ = ["MultilevelLikelihood", "Solution", "multilevel_likelihood"]

# Any step this small is exact: the derivative is read off the imaginary part, nothing is subtracted.
COMPLEX_STEP = 1e-30


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Generalised least squares at given variances.

    Generalised least squares at given variances: coefficients `gamma (p,)` on the basis, their covariance `M (p, p)`,
    `Wx (p, k)` = basis' M^-1, `Py (k,)` and the residual sum of squares `rss = y'Py`.
    """

    inverse: Inverse
    gamma: Numbers
    M: Numbers
    Wx: Numbers
    Py: Numbers
    rss: float


@dataclass(frozen=True, slots=True, eq=False)
class MultilevelLikelihood:
    """Effects `y (k,)` and orthonormal design rows `x (p, k)` in the coordinates of `structure`, in units of `scale`.

    `start (p,)` is the least-squares fit already taken out of `y`; `y` was divided by `scale`, V by its square.
    `excess` is a rough guess of what the variances sum to.
    """

    structure: CovarianceStructure
    y: Array
    x: Array
    basis: Basis
    start: Array
    scale: float
    excess: float
    restricted: bool

    @property
    def unit(self) -> float:
        """The scale on which a variance counts as small: the size of residuals and sampling variances, 1 by scaling."""
        return 1.0

    @property
    def costly(self) -> bool:
        """Whether a step of the search takes seconds, so that second derivatives by complex steps take minutes."""
        return self.structure.crossed is not None and is_large(self.structure.crossed.block)

    def solve(self, theta: Numbers) -> Solution:
        """Generalised least squares at `theta (q,)`."""
        inverse = invert(self.structure, theta)
        # One pass over the rows for effects and design together: the inverse is never laid out.
        applied = inverse.apply(np.vstack([self.y[None], self.x]))
        Wy, Wx = applied[0], applied[1:]
        M = np.linalg.inv(inner(Wx, self.x))
        gamma = M @ inner(self.x, Wy[None])[:, 0]
        Py = Wy - np.einsum("p,pk->k", gamma, Wx)
        return Solution(inverse, gamma, M, Wx, Py, float(_square(self.y, Py).real))

    def inversion_error(self, theta: Array, solution: Solution) -> float:
        """How far `M M^-1 x` is from the design x, relative to it: a check on everything that rests on `M^-1`."""
        back = np.stack([multiply(self.structure, theta, row) for row in solution.Wx])
        return float(np.abs(back - self.x).max() / np.abs(self.x).max())

    def value(self, solution: Solution) -> float:
        """The log-likelihood on the scale of the data."""
        k, p = len(self.y), len(self.x)
        df = k - p if self.restricted else k
        twice = solution.inverse.log_determinant + solution.rss + df * np.log(2.0 * np.pi * self.scale**2)
        if self.restricted:
            twice -= float(np.linalg.slogdet(solution.M)[1])
        return -0.5 * float(twice)

    def slope(self, theta: Array) -> Slope:
        """Value, gradient and average information at `theta (q,)`."""
        solution = self.solve(theta)
        sums = self._sums(solution)
        return self._slope(theta, solution, sums, self._average_information(solution, sums))

    def slope_at(self, theta: Array, solution: Solution, information: Array) -> Slope:
        """As `slope`, at a known `solution` for `theta (q,)`, with the given `information (q, q)` as it stands."""
        return self._slope(theta, solution, self._sums(solution), information)

    def _sums(self, solution: Solution) -> list[Numbers]:
        return [component_sums(self.structure, c, solution.Py) for c in range(self.structure.components)]

    def _slope(self, theta: Array, solution: Solution, sums: list[Numbers], information: Array) -> Slope:
        quadratic = np.array([float(_square(s, s).real) for s in sums])
        trace = self._traces(solution).real
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.nan_to_num(np.sqrt(np.maximum(quadratic / trace, 0.0)), nan=1.0, posinf=1.0)
        return Slope(theta, self.value(solution), 0.5 * (quadratic - trace), information, ratio)

    def observed_information(self, theta: Array, free: NDArray[np.intp]) -> Array:
        """Minus the second derivatives of the log-likelihood in the variances `free`, by complex steps."""
        rows = []
        for component in free:
            nudged = theta.astype(complex)
            nudged[component] += 1j * COMPLEX_STEP
            rows.append(-self._gradient(nudged)[free].imag / COMPLEX_STEP)
        information = np.array(rows)
        return np.asarray((information + information.T) / 2.0)

    def _gradient(self, theta: Numbers) -> Numbers:
        solution = self.solve(theta)
        return 0.5 * (np.array([_square(s, s) for s in self._sums(solution)]) - self._traces(solution))

    def _traces(self, solution: Solution) -> Numbers:
        trace = self.residual_trace if self.restricted else _plain_trace
        return np.array([trace(solution, c) for c in range(self.structure.components)])

    def residual_trace(self, solution: Solution, component: int) -> Numbers:
        """`tr(Z_l' P Z_l)` for the component l; -1 means single rows."""
        Wx = solution.Wx
        F = Wx if component == -1 else np.stack([component_sums(self.structure, component, row) for row in Wx])
        return np.asarray(component_trace(solution.inverse, component) - (solution.M * inner(F, F)).sum())

    def _average_information(self, solution: Solution, sums: list[Numbers]) -> Array:
        H = np.stack([component_spread(self.structure, c, s) for c, s in enumerate(sums)])
        projected = inner(H, solution.Wx)
        # Average information (Gilmour, Thompson & Cullis 1995): no trace of a product of two inverses, as Newton's
        # would need.
        return np.asarray(0.5 * (inner(H, solution.inverse.apply(H)) - projected @ solution.M @ projected.T))


def _square(a: Numbers, b: Numbers) -> Numbers:
    return np.asarray(np.einsum("k,k->", a, b))


def _plain_trace(solution: Solution, component: int) -> Numbers:
    return component_trace(solution.inverse, component)


def multilevel_likelihood(
    y: Array, x: Array, V: BlockV, levels: tuple[Level, ...], *, restricted: bool
) -> MultilevelLikelihood:
    """Prepare the likelihood of `y (k,)` on `x (k, p)` with known V and one variance for each of `levels`."""
    basis = orthonormal(x)
    start = y @ basis.columns
    residual = y - basis.columns @ start
    # A second projection takes out what rounding left of the first, where effects are large beside their spread.
    residual -= basis.columns @ (residual @ basis.columns)
    spread, noise = float(np.mean(residual**2)), float(np.median(V.variances))
    scale = float(np.sqrt(spread + noise))
    structure = covariance_structure(V.scaled(scale**-2), levels)
    return MultilevelLikelihood(
        structure,
        rotate(structure, residual / scale),
        np.ascontiguousarray(rotate(structure, basis.columns).T),
        basis,
        start,
        scale,
        # At least a tenth, so that a search does not begin on the boundary.
        max(spread - noise, 0.1 * spread) / scale**2,
        restricted,
    )
