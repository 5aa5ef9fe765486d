"""CR2 of a cluster of hundreds of rows, in time linear in its rows; called by `moments`.

Two ideas, for weights that are the inverse of the working covariance:

1. The adjusted scores need no root of a matrix but a function of one: with `Phi = L L'`,
   `A a = L (L' Omega L)^(-1/2) L' a = Phi (Omega Phi)^(-1/2) a`. The inverse root is an integral of resolvents,
   `z^(-1/2) = 2/pi int 1 / (z + t^2) dt` (Higham 2008, Functions of Matrices), whose trapezoidal sum over
   `t = c sinh u` errs by `exp(-pi^2 / step)`.
2. `Omega Phi = Phi^2 - X M X' Phi` is of low rank beside `Phi^2`, and `(Phi - i t)^-1` is that of a covariance whose
   diagonal is shifted: a chain of nested groups inverts it in a few passes. Its real part is `Phi (Phi^2 + t^2)^-1`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from replication.models.fit import Array
from replication.models.multilevel.groups import Codes, Level, Numbers, group_codes
from replication.models.multilevel.inverse import invert
from replication.models.multilevel.structure import BlockV, covariance_structure, rotate, rotate_back

__all__ = ["ChainSolver", "adjusted", "chain_solver"]

# Relative error of the inverse root that the step of the sum is chosen for.
ERROR = 1e-14


@dataclass(frozen=True, slots=True, eq=False)
class ChainSolver:
    """`solve(s, columns (n, c))` gives `(Phi + s I)^-1 columns`; the eigenvalues of Phi lie within the bounds."""

    solve: Callable[[complex, Array], Numbers]
    smallest: float
    largest: float


def chain_solver(V: BlockV, levels: tuple[Level, ...], theta: Array, rows: Codes) -> ChainSolver | None:
    """The working covariance of the rows `(n,)` of one cluster; None where it is no chain of nested groups.

    Parameters
    ----------
    V, levels, theta : the model of all rows: sampling covariance, levels and their variances `(q,)`.
    rows : those of the cluster.
    """
    n = len(rows)
    codes = [group_codes(level.codes[rows], n, level.name) for level in levels]
    own = [replace(level, codes=c, size=int(c.max()) + 1) for level, c in zip(levels, codes, strict=True)]
    known = V.take(rows)
    structure = covariance_structure(known, own)
    # Crossed factors tie rows in other ways, and a negative correlation moves eigenvalues below those of the diagonal.
    if structure.crossed is not None or known.rho < 0.0:
        return None

    def solve(s: complex, columns: Array) -> Numbers:
        # Complex on the way, as in a complex-step derivative, though a covariance's own diagonal is real.
        chains = tuple(replace(chain, base=cast(Array, chain.base + s)) for chain in structure.chains)
        inverse = invert(replace(structure, chains=chains), theta.astype(complex))
        return rotate_back(structure, inverse.apply(rotate(structure, columns).T).T)

    row = 0.0 if structure.row is None else float(theta[structure.row])
    smallest = min(float(chain.base.min()) for chain in structure.chains) + row
    # The trace: no eigenvalue is larger than the sum of all.
    return ChainSolver(solve, smallest, float(known.variances.sum() + n * theta.sum()))


def adjusted(solver: ChainSolver, X: Array, M: Array, left: float) -> Array:
    """The adjusted scores' weights `a_i = A_i Phi^-1 X M (n, p)` of a cluster.

    Parameters
    ----------
    solver : its working covariance Phi.
    X, M : its design `(n, p)`, and `(X' W X)^-1` of all clusters `(p, p)`.
    left : the smallest share of a direction of the cluster that the coefficients leave, above 0.
    """
    p = X.shape[1]
    a = np.real(solver.solve(0.0, X)) @ M
    bread = np.linalg.inv(M)
    total = np.zeros_like(a)
    for t, weight in zip(*_resolvents(left * solver.smallest**2, solver.largest**2), strict=True):
        # Phi (Phi^2 + t^2)^-1 of both, by one pass.
        real = np.real(solver.solve(-1j * t, np.concatenate([X, a], axis=1)))
        PX, Pa = real[:, :p], real[:, p:]
        total += weight * (Pa + PX @ np.linalg.solve(bread - X.T @ PX, X.T @ Pa))
    return total


def _resolvents(smallest: float, largest: float) -> tuple[Array, Array]:
    """Places t and weights `(N,)` with `z^(-1/2) = sum weight / (z + t^2)` for z within the bounds.

    >>> t, weight = _resolvents(1e-4, 9.0)
    >>> round(float((weight / (4.0 + t**2)).sum()), 12)
    0.5
    """
    # With t = root sinh(u) the poles of all z lie pi / 2 off the real line, and the integrand is even: no end at 0.
    root, digits = np.sqrt(smallest), -np.log(ERROR)
    step = np.pi**2 / digits
    u = np.arange(0.5 * step, np.log(2.0 * np.sqrt(largest / smallest)) + digits, step)
    return root * np.sinh(u), 2.0 / np.pi * step * root * np.cosh(u)
