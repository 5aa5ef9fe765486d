"""The likelihood of a selection model, with exact gradient and Hessian: one kernel for step and beta weights.

An effect `y ~ N(mu, s2)`, `s2 = tau2 + v`, is seen with a chance proportional to `w(p)`, so its density is
`w(p) N(y; mu, s2) / A` with `A = integral of w N` (Vevea & Hedges 1995, eq. 3-5). Three ideas:

1. Nearly every weight function is log-linear, `w = exp(T(z)' eta)` in the study's `z = y / se`: steps have indicators
   as T and log weights as eta, the beta function has `T = (log p, log(1 - p))` and `eta = delta - 1`. The logistic one
   and the exponential of a power of p are not: their log weights bend in eta, and the derivatives carry that bend.
2. A is a sum over atoms of mass times weight. An atom is a cell of z, with its normal probability, or a node of a
   quadrature rule, with density times step.
3. Derivatives of a mass in mu are Hermite polynomials, and a normal density obeys the heat equation: one derivative
   in s2 is half of two in mu. So the masses' first four derivatives in mu give the whole Hessian.

Find the highest peak of a selection likelihood: Newton steps from several starts, inside and on the edge tau2 = 0.

The search runs over `(beta, log tau2, eta)`, in which tau2 cannot turn negative; the edge tau2 = 0 is searched apart
and kept when nothing inside is higher. A peak counts only where the Hessian is negative definite and the next Newton
step would gain nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from replication.models.fit import Array

__all__ = ["Atoms", "Derivatives", "EtaRange", "Peak", "SelectionLikelihood", "WeightForm", "highest_peak"]

# How log weights depend on eta: `T eta`; `log 2 - log(1 + exp(T eta))` with the p value as the one T; or, with
# `T = (log p, 1)`, `-eta1 p^(1 / eta2)`.
WeightForm = Literal["log-linear", "logistic", "power of p"]


@dataclass(frozen=True, slots=True, eq=False)
class Atoms:
    """Cells `[low, high)` of z `(c,)`, then quadrature `nodes (n,)` with `steps (n,)`; `features (c + n, d)` are T.

    `of_effects`: the cells are of effects y, the same for all studies, as where selection looks at the effect itself.
    """

    low: Array
    high: Array
    nodes: Array
    steps: Array
    features: Array
    of_effects: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Derivatives:
    """A log-likelihood with its gradient `(m,)` and Hessian `(m, m)`."""

    value: float
    gradient: Array
    hessian: Array


@dataclass(frozen=True, slots=True, eq=False)
class SelectionLikelihood:
    """Log-likelihood over `theta = (beta (p,), tau2, eta (d,))` of effects `y (k,)` with design `x (k, p)`.

    `observed (k, d)` are the features T at the effects. Rows that are not `selected (k,)` are seen whatever they found.
    `pull (k,)` multiplies the features of each row, where selection presses harder on some than on others.
    """

    y: Array
    v: Array
    x: Array
    observed: Array
    atoms: Atoms
    form: WeightForm = "log-linear"
    selected: NDArray[np.bool_] | None = None
    pull: Array | None = None

    def log_normaliser(self, theta: Array) -> Array:
        """`log A (k,)`: the log of each study's chance to be seen, up to the constant in w."""
        return self._normaliser(*self._unpack(theta))[0]

    def derivatives(self, theta: Array) -> Derivatives:
        """Value, gradient and Hessian at `theta`."""
        mu, s2, eta = self._unpack(theta)
        density, d1, d2 = _normal(self.y - mu, s2)
        seen, gradient, hessian = self._seen(mu, s2, eta)
        value = float((density + seen).sum())
        gradient[:, :2] += d1
        hessian[:, :2, :2] += d2
        return Derivatives(value, *self._to_theta(gradient, hessian))

    def _unpack(self, theta: Array) -> tuple[Array, Array, Array]:
        p = self.x.shape[1]
        return self.x @ theta[:p], theta[p] + self.v, theta[p + 1 :]

    def _seen(self, mu: Array, s2: Array, eta: Array) -> tuple[Array, Array, Array]:
        """`log (w / A) (k,)`, what selection adds to the density, with gradient and Hessian in `(mu, s2, eta)`."""
        log_a, a1, a2 = self._normaliser(mu, s2, eta)
        observed = self.observed if self.pull is None else self.observed * self.pull[:, None]
        log_w, slope, bend = _log_weights(observed, eta, self.form)
        value, gradient, hessian = log_w - log_a, -a1, -a2
        gradient[:, 2:] += slope
        if bend is not None:
            hessian[:, 2:, 2:] += bend
        if self.selected is not None:
            for part in (value, gradient, hessian):
                part[~self.selected] = 0.0
        return value, gradient, hessian

    def _normaliser(self, mu: Array, s2: Array, eta: Array) -> tuple[Array, Array, Array]:
        """`log A (k,)` with gradient and Hessian in `(mu, s2, eta)`."""
        # With a pull of each row's own the weights are `(k, n)`, else `(n,)` for all rows alike.
        features = self.atoms.features if self.pull is None else self.atoms.features * self.pull[:, None, None]
        log_w, T, bend = _log_weights(features, eta, self.form)
        # Only ratios of weights matter, so the largest is taken out: log weights of 30 or more cannot overflow.
        top = log_w.max(axis=-1, keepdims=True)
        w = np.exp(log_w - top)
        weighted = self._masses(mu, s2) * w
        A = weighted.sum(axis=2)
        k, d = len(mu), T.shape[-1]
        if self.pull is None:
            AT, squares = weighted[:3] @ T, (T[:, :, None] * T[:, None, :]).reshape(-1, d * d)
            ATT = (weighted[0] @ squares).reshape(k, d, d)
        else:
            AT = np.einsum("mkc,kca->mka", weighted[:3], T)
            ATT = np.einsum("kc,kca,kcb->kab", weighted[0], T, T)
        a1, a2 = np.empty((k, 2 + d)), np.empty((k, 2 + d, 2 + d))
        # The heat equation: d/ds2 = 1/2 d2/dmu2, so s2 needs no derivatives of its own.
        a1[:, 0], a1[:, 1], a1[:, 2:] = A[1], 0.5 * A[2], AT[0]
        a2[:, 0, 0], a2[:, 0, 1], a2[:, 1, 1] = A[2], 0.5 * A[3], 0.25 * A[4]
        a2[:, 1, 0] = a2[:, 0, 1]
        a2[:, 0, 2:], a2[:, 1, 2:] = AT[1], 0.5 * AT[2]
        a2[:, 2:, :2] = a2[:, :2, 2:].swapaxes(1, 2)
        a2[:, 2:, 2:] = ATT
        if bend is not None:
            own = "" if self.pull is None else "k"
            a2[:, 2:, 2:] += np.einsum(f"kc,{own}cab->kab", weighted[0], bend)
        a1 /= A[0][:, None]
        a2 /= A[0][:, None, None]
        return np.log(A[0]) + top[..., 0], a1, a2 - a1[:, :, None] * a1[:, None, :]

    def _masses(self, mu: Array, s2: Array) -> Array:
        """Masses of the atoms and their first four derivatives in mu `(5, k, c + n)`."""
        s = np.sqrt(s2)[:, None]
        se = np.ones_like(s) if self.atoms.of_effects else np.sqrt(self.v)[:, None]
        ends = (np.stack([self.atoms.low, self.atoms.high])[:, None] * se - mu[:, None]) / s
        # A cell's n-th derivative in mu is the difference of He_(n-1) phi at its ends; a node's is He_n phi.
        edges = _hermite_normal(ends, 3)
        masses = np.concatenate([_probability(*ends)[None], edges[:, 0] - edges[:, 1]])
        if len(self.atoms.nodes):
            node = (self.atoms.nodes * se - mu[:, None]) / s
            densities = _hermite_normal(node, 4) * (self.atoms.steps * se / s)
            masses = np.concatenate([masses, densities], axis=2)
        return np.asarray(masses * s ** -np.arange(5.0)[:, None, None])

    def _to_theta(self, gradient: Array, hessian: Array) -> tuple[Array, Array]:
        """From `(mu_i, s2_i, eta)` of every study to `theta`, by the chain rule with `mu = x beta`, `s2 = tau2 + v`."""
        x, p = self.x, self.x.shape[1]
        inner = hessian[:, 1:, 1:].sum(0)
        cross = x.T @ hessian[:, 0, 1:]
        bb = (x.T * hessian[:, 0, 0]) @ x
        full = np.empty((p + len(inner), p + len(inner)))
        full[:p, :p], full[:p, p:], full[p:, :p], full[p:, p:] = bb, cross, cross.T, inner
        return np.concatenate([x.T @ gradient[:, 0], gradient[:, 1:].sum(0)]), full


def _log_weights(T: Array, eta: Array, form: WeightForm) -> tuple[Array, Array, Array | None]:
    """Log weights `(..., n)` at features `T (..., n, d)`, their slopes in eta, shaped as T, and `(..., n, d, d)` bends.

    None for the second derivatives where they are 0, so that the log-linear forms do no work for them.
    """
    if form == "log-linear":
        return T @ eta, T, None
    if form == "power of p":
        return _power_of_p(T, eta)
    share = special.expit(T * eta)
    bend = -(T**2) * share * (1.0 - share)
    return np.log(2.0) - np.logaddexp(0.0, T * eta)[..., 0], -T * share, bend[..., None]


def _power_of_p(T: Array, eta: Array) -> tuple[Array, Array, Array]:
    """`-eta1 c p^(1 / eta2)` with slopes and bends at `T = c (log p, 1)`, where c is the pull of the row, 1 without."""
    c, u = T[..., 1], T[..., 0] / T[..., 1] / eta[1]
    q = c * np.exp(u)
    slopes, bends = np.empty((*q.shape, 2)), np.zeros((*q.shape, 2, 2))
    # u is log p / eta2, so that d q / d eta2 = -q u / eta2
    slopes[..., 0], slopes[..., 1] = -q, eta[0] * q * u / eta[1]
    bends[..., 0, 1] = bends[..., 1, 0] = q * u / eta[1]
    bends[..., 1, 1] = -eta[0] * q * u * (u + 2.0) / eta[1] ** 2
    return -eta[0] * q, slopes, bends


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
    # At an open end phi wins over any polynomial, but inf * 0 would give NaN.
    inside = np.where(np.isfinite(c), c, 0.0)
    values = np.empty((top + 1, *c.shape))
    values[0] = np.where(np.isfinite(c), np.exp(-0.5 * inside * inside) / np.sqrt(2.0 * np.pi), 0.0)
    values[1] = inside * values[0]
    for n in range(1, top):
        values[n + 1] = inside * values[n] - n * values[n - 1]
    return values


MAX_STEPS = 200
# The longest step of one coordinate; effects are measured in about one sd around their mean, the rest on log scales.
LONGEST = 2.0
# A Newton step that would raise the log-likelihood by less than this has arrived.
GAIN = 1e-18
# Below this share of the smallest sampling variance a falling tau2 is on its way to 0.
CREEP = 1e-6
# A search this near to a peak that is higher goes nowhere else.
CLOSE = 1e-2
# Log-likelihoods this close count as one; a rise beyond the peak by this much is worth a note.
SAME = 1e-8
NOTABLE = 1e-6


@dataclass(frozen=True, slots=True)
class EtaRange:
    """Selection parameters stop at `low`; a search that takes one beyond `far` follows a ridge that has no top.

    `low` is one for all, or one each. `nested`: where the first is at its low end, the others mean nothing.
    """

    low: float | tuple[float, ...]
    far: float
    nested: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Peak:
    """A maximum over the `free (m,)` parameters of `theta = (beta, tau2, eta)` and the covariance of those.

    Parameters at an edge of their range are not free. `converged` is False if no start ended at a maximum: then
    `theta` is only the last point. `others` are lower peaks; `beyond` is by how much a start that did not
    settle rose above this peak (0: none did).
    """

    theta: Array
    value: float
    gradient: Array
    covariance: Array
    free: NDArray[np.bool_]
    converged: bool
    others: tuple[Peak, ...] = ()
    beyond: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """What is searched: the likelihood over its `free (m,)` parameters."""

    likelihood: SelectionLikelihood
    free: NDArray[np.bool_]
    eta: EtaRange

    @property
    def tau(self) -> int:
        """Position of tau2 in theta."""
        return int(self.likelihood.x.shape[1])

    def evaluate(self, theta: Array) -> Derivatives:
        """The derivatives; not finite where a study has no chance to be seen, which the search steps back from."""
        with np.errstate(all="ignore"):
            return self.likelihood.derivatives(theta)

    def creeps(self, theta: Array, gradient: Array) -> bool:
        """Whether tau2 is tiny and the likelihood still rises towards 0."""
        return bool(gradient[self.tau] < 0.0 and theta[self.tau] < CREEP * self.likelihood.v.min())

    def lost(self, theta: Array, gradient: Array) -> bool:
        """Whether this search cannot end at a maximum inside: it creeps to tau2 = 0 or runs away along a ridge."""
        creeping = bool(self.free[self.tau]) and self.creeps(theta, gradient)
        return creeping or bool(theta[self.tau + 1 :].max() > self.eta.far)

    def held(self, theta: Array, gradient: Array) -> NDArray[np.bool_]:
        """Selection parameters at the low end of their range, where the likelihood would rise beyond it."""
        at_low = np.zeros(len(theta), dtype=bool)
        eta = slice(self.tau + 1, None)
        at_low[eta] = (theta[eta] <= self.eta.low) & (gradient[eta] <= 0.0)
        if self.eta.nested and at_low[self.tau + 1]:
            at_low[eta] = True  # the likelihood is flat in them there
        return at_low


def highest_peak(likelihood: SelectionLikelihood, starts: Array, free: NDArray[np.bool_], eta: EtaRange) -> Peak:
    """The highest maximum reached from `starts (n, m)`, with tau2 at 0 if the likelihood falls from there."""
    search = _Search(likelihood, free, eta)
    ends: list[Peak] = []
    for start in starts:
        ends.append(_climb(search, start, ends))
    if free[search.tau]:
        ends = _with_edge(search, starts[0], ends)
    peaks = _distinct([end for end in ends if end.converged])
    if not peaks:
        # Nothing settled: the highest point reached tells the reader most about where the search went.
        return max(ends, key=lambda end: end.value)
    best = peaks[0]
    beyond = max((end.value - best.value for end in ends if not end.converged), default=0.0)
    return replace(best, others=tuple(peaks[1:]), beyond=beyond if beyond > NOTABLE else 0.0)


def _distinct(peaks: list[Peak]) -> list[Peak]:
    """The peaks from the highest down, each once."""
    kept: list[Peak] = []
    for peak in sorted(peaks, key=lambda one: -one.value):
        if not kept or peak.value < kept[-1].value - SAME:
            kept.append(peak)
    return kept


def _with_edge(search: _Search, start: Array, ends: list[Peak]) -> list[Peak]:
    """The ends, with peaks on the edge tau2 = 0 in place of searches inside that only crept towards it."""
    tau = search.tau
    # log tau2 never reaches 0, so a maximum there shows as a search that creeps and must be started on the edge.
    held = search.free.copy()
    held[tau] = False
    found: list[Peak] = []
    for theta in [start, *(end.theta for end in ends if search.creeps(end.theta, end.gradient))]:
        at_zero = theta.copy()
        at_zero[tau] = 0.0
        point = _climb(replace(search, free=held), at_zero)
        # Where the likelihood rises away from 0, the edge is a saddle and no maximum.
        if point.converged and point.gradient[tau] <= 0.0:
            found.append(point)
    highest = max((point.value for point in found), default=-np.inf)
    return [end for end in ends if end.converged or end.value > highest + SAME] + found


def _climb(search: _Search, start: Array, known: Sequence[Peak] = ()) -> Peak:
    """Where a search ends; one that comes close below a `known` peak ends on it."""
    theta, at = start, search.evaluate(start)
    for _ in range(MAX_STEPS if np.isfinite(at.hessian).all() else 0):
        for peak in known:
            if peak.converged and at.value <= peak.value and np.abs(theta - peak.theta).max() < CLOSE:
                return peak
        if search.lost(theta, at.gradient):
            break
        free = search.free & ~search.held(theta, at.gradient)
        gradient, hessian, scale = _working(search.tau, theta, at, free)
        if _arrived(gradient, hessian):
            covariance = scale[:, None] * np.linalg.inv(-hessian) * scale
            return Peak(theta, at.value, at.gradient, covariance, free, True)
        moved = _line_search(search, theta, at, free, _step(gradient, hessian))
        if moved is None:
            break
        theta, at = moved
    m = int(search.free.sum())
    return Peak(theta, at.value, at.gradient, np.full((m, m), np.nan), search.free, False)


def _working(tau: int, theta: Array, at: Derivatives, free: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """Gradient and Hessian over the free parameters with log tau2 for tau2, and the scale `d theta / d working`."""
    scale = np.ones(len(theta))
    hessian = at.hessian
    if free[tau]:
        scale[tau] = theta[tau]
        hessian = scale[:, None] * hessian * scale
        # The chain rule's second term: away from the peak the gradient is not 0.
        hessian[tau, tau] += theta[tau] * at.gradient[tau]
    return (at.gradient * scale)[free], hessian[np.ix_(free, free)], scale[free]


def _arrived(gradient: Array, hessian: Array) -> bool:
    try:
        # Cholesky fails unless the Hessian is negative definite: a flat or saddle point never counts as arrived.
        root = np.linalg.cholesky(-hessian)
    except np.linalg.LinAlgError:
        return False
    decrement = np.linalg.solve(root, gradient)
    return bool(decrement @ decrement < GAIN)


def _step(gradient: Array, hessian: Array) -> Array:
    """Newton's step with every curvature taken as downward, cut to a length that can be trusted."""
    # Plain Newton walks to saddles as gladly as to maxima; with |curvature| every step goes uphill.
    curvature, axes = np.linalg.eigh(hessian)
    size = np.maximum(np.abs(curvature), 1e-10 * np.abs(curvature).max() + 1e-300)
    step = axes @ ((axes.T @ gradient) / size)
    return np.asarray(step * min(1.0, LONGEST / max(float(np.abs(step).max()), 1e-300)))


def _line_search(
    search: _Search, theta: Array, at: Derivatives, free: NDArray[np.bool_], step: Array
) -> tuple[Array, Derivatives] | None:
    """The first of step, step / 2, step / 4, ... that does not lower the likelihood; None when none does."""
    full = np.zeros(len(theta))
    full[free] = step
    for share in 0.5 ** np.arange(30):
        new = theta + share * full
        if free[search.tau]:
            new[search.tau] = theta[search.tau] * np.exp(share * full[search.tau])
        new[search.tau + 1 :] = np.maximum(new[search.tau + 1 :], search.eta.low)
        trial = search.evaluate(new)
        # The slack is rounding: close to the peak a good step may seem to lose the last digit.
        if np.isfinite(trial.hessian).all() and trial.value >= at.value - 1e-12 * abs(at.value):
            return new, trial
    return None
