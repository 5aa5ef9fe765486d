"""The likelihood of a selection model, with exact gradient and Hessian: one kernel for step and beta weights.

An effect `y ~ N(mu, s2)`, `s2 = tau2 + v`, is seen with a chance proportional to `w(p)`, so its density is
`w(p) N(y; mu, s2) / A` with `A = integral of w N` (Vevea & Hedges 1995, eq. 3-5). Three ideas:

1. Both weight functions are log-linear, `w = exp(T(z)' eta)` in the study's `z = y / se`: steps have indicators as T
   and log weights as eta, the beta function has `T = (log p, log(1 - p))` and `eta = delta - 1`.
2. A is a sum over atoms of mass times weight. An atom is a cell of z, with its normal probability, or a node of a
   quadrature rule, with density times step.
3. Derivatives of a mass in mu are Hermite polynomials, and a normal density obeys the heat equation: one derivative
   in s2 is half of two in mu. So the masses' first four derivatives in mu give the whole Hessian.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from replication.models.fit import Array

__all__ = ["Atoms", "Derivatives", "SelectionLikelihood"]


@dataclass(frozen=True, slots=True, eq=False)
class Atoms:
    """Cells `[low, high)` of z `(c,)`, then quadrature `nodes (n,)` with `steps (n,)`; `features (c + n, d)` are T."""

    low: Array
    high: Array
    nodes: Array
    steps: Array
    features: Array


@dataclass(frozen=True, slots=True, eq=False)
class Derivatives:
    """A log-likelihood with its gradient `(m,)` and Hessian `(m, m)`."""

    value: float
    gradient: Array
    hessian: Array


@dataclass(frozen=True, slots=True, eq=False)
class SelectionLikelihood:
    """Log-likelihood over `theta = (beta (p,), tau2, eta (d,))` of effects `y (k,)` with design `x (k, p)`.

    `observed (k, d)` are the features T at the effects.
    """

    y: Array
    v: Array
    x: Array
    observed: Array
    atoms: Atoms

    def log_normaliser(self, theta: Array) -> Array:
        """`log A (k,)`: the log of each study's chance to be seen, up to the constant in w."""
        return self._normaliser(*self._unpack(theta))[0]

    def derivatives(self, theta: Array) -> Derivatives:
        """Value, gradient and Hessian at `theta`."""
        mu, s2, eta = self._unpack(theta)
        density, d1, d2 = _normal(self.y - mu, s2)
        log_a, a1, a2 = self._normaliser(mu, s2, eta)
        value = float((density - log_a + self.observed @ eta).sum())
        gradient, hessian = -a1, -a2
        gradient[:, :2] += d1
        gradient[:, 2:] += self.observed
        hessian[:, :2, :2] += d2
        return Derivatives(value, *self._to_theta(gradient, hessian))

    def _unpack(self, theta: Array) -> tuple[Array, Array, Array]:
        p = self.x.shape[1]
        return self.x @ theta[:p], theta[p] + self.v, theta[p + 1 :]

    def _normaliser(self, mu: Array, s2: Array, eta: Array) -> tuple[Array, Array, Array]:
        """`log A (k,)` with gradient and Hessian in `(mu, s2, eta)`."""
        T = self.atoms.features
        log_w = T @ eta
        top = float(log_w.max())
        w = np.exp(log_w - top)
        masses = self._masses(mu, s2)
        A = masses @ w
        AT = masses[:3] @ (w[:, None] * T)
        k, d = len(mu), T.shape[1]
        a1, a2 = np.empty((k, 2 + d)), np.empty((k, 2 + d, 2 + d))
        a1[:, 0], a1[:, 1], a1[:, 2:] = A[1], 0.5 * A[2], AT[0]
        a2[:, 0, 0], a2[:, 0, 1], a2[:, 1, 1] = A[2], 0.5 * A[3], 0.25 * A[4]
        a2[:, 1, 0] = a2[:, 0, 1]
        a2[:, 0, 2:], a2[:, 1, 2:] = AT[1], 0.5 * AT[2]
        a2[:, 2:, :2] = a2[:, :2, 2:].swapaxes(1, 2)
        a2[:, 2:, 2:] = np.einsum("kc,ca,cb->kab", masses[0] * w, T, T)
        a1 /= A[0][:, None]
        a2 /= A[0][:, None, None]
        return np.log(A[0]) + top, a1, a2 - a1[:, :, None] * a1[:, None, :]

    def _masses(self, mu: Array, s2: Array) -> Array:
        """Masses of the atoms and their first four derivatives in mu `(5, k, c + n)`."""
        se, s = np.sqrt(self.v)[:, None], np.sqrt(s2)[:, None]
        low, high = ((edge * se - mu[:, None]) / s for edge in (self.atoms.low, self.atoms.high))
        node = (self.atoms.nodes * se - mu[:, None]) / s
        edges = _hermite_normal(low, 3) - _hermite_normal(high, 3)
        cells = np.concatenate([_probability(low, high)[None], edges])
        densities = _hermite_normal(node, 4) * (self.atoms.steps * se / s)
        return np.asarray(np.concatenate([cells, densities], axis=2) * s ** -np.arange(5.0)[:, None, None])

    def _to_theta(self, gradient: Array, hessian: Array) -> tuple[Array, Array]:
        """From `(mu_i, s2_i, eta)` of every study to `theta`, by the chain rule with `mu = x beta`, `s2 = tau2 + v`."""
        x, p = self.x, self.x.shape[1]
        inner = hessian[:, 1:, 1:].sum(0)
        cross = x.T @ hessian[:, 0, 1:]
        bb = (x.T * hessian[:, 0, 0]) @ x
        full = np.empty((p + len(inner), p + len(inner)))
        full[:p, :p], full[:p, p:], full[p:, :p], full[p:, p:] = bb, cross, cross.T, inner
        return np.concatenate([x.T @ gradient[:, 0], gradient[:, 1:].sum(0)]), full


def _normal(residual: Array, s2: Array) -> tuple[Array, Array, Array]:
    """`log N (k,)` with gradient `(k, 2)` and Hessian `(k, 2, 2)` in `(mu, s2)`."""
    u = residual / s2
    value = -0.5 * (np.log(2.0 * np.pi * s2) + residual * u)
    gradient = np.column_stack([u, 0.5 * (u * u - 1.0 / s2)])
    hessian = np.empty((len(s2), 2, 2))
    hessian[:, 0, 0] = -1.0 / s2
    hessian[:, 0, 1] = hessian[:, 1, 0] = -u / s2
    hessian[:, 1, 1] = (0.5 / s2 - u * u) / s2
    return value, gradient, hessian


def _probability(low: Array, high: Array) -> Array:
    """`Phi(high) - Phi(low)`, taken in the nearer tail so that no digits are lost."""
    swap = low > 0
    return np.asarray(special.ndtr(np.where(swap, -low, high)) - special.ndtr(np.where(swap, -high, low)))


def _hermite_normal(c: Array, top: int) -> Array:
    """`He_n(c) phi(c)` for n = 0 .. `top`, on a new first axis; 0 at infinity."""
    inside = np.where(np.isfinite(c), c, 0.0)
    values = np.empty((top + 1, *c.shape))
    values[0] = np.where(np.isfinite(c), np.exp(-0.5 * inside * inside) / np.sqrt(2.0 * np.pi), 0.0)
    values[1] = inside * values[0]
    for n in range(1, top):
        values[n + 1] = inside * values[n] - n * values[n - 1]
    return values
