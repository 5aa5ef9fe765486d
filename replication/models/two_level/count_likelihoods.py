"""Likelihoods of counts given a study's effect: binomial, Poisson, and the conditional ones of two groups.

Called by `count_models`, which integrates the effect out. One idea: whatever the counts, the log-likelihood of a study
is a function of its effect `theta` (a log odds ratio, a log rate ratio, a logit or a log rate) and, where two groups
are modelled unconditionally, of its baseline `alpha`; the models need its value and its first and second derivatives,
for `(k, Q)` points at once. Group 1 has alpha + theta/2, group 2 alpha - theta/2, so that both groups vary alike.

Sources: Stijnen, Hamza & Özdemir (2010); Jackson et al. (2018) for the coding by halves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import expit, gammaln, logsumexp

from replication.models.fit import Array

__all__ = [
    "Binomial",
    "Hypergeometric",
    "Likelihood",
    "Poisson",
    "Terms",
    "TwoBinomials",
    "TwoPoissons",
]


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """The log-likelihood `(k, Q)` and its derivatives: `d_theta, d_alpha`, then `tt, ta, aa` for the second ones."""

    value: Array
    d_theta: Array
    d_alpha: Array
    tt: Array
    ta: Array
    aa: Array


class Likelihood(Protocol):
    """What the models need of counts."""

    def at(self, theta: Array, alpha: Array) -> Terms:
        """Value and derivatives at `theta, alpha (k, Q)`."""

    def take(self, rows: Array) -> Likelihood:
        """The same of some studies."""


def _choose(n: Array, x: Array) -> Array:
    """log of the binomial coefficient."""
    # The log gamma function takes cells of any size; factorials overflow at 171.
    return np.asarray(gammaln(n + 1.0) - gammaln(x + 1.0) - gammaln(n - x + 1.0))


def _logit_terms(x: Array, n: Array, eta: Array) -> tuple[Array, Array, Array]:
    """Value and two derivatives of a binomial log-likelihood in its logit, without the binomial coefficient."""
    p = expit(eta)
    # logaddexp is log(1 + e^eta) where e^eta overflows or vanishes, in groups with all events or none.
    return x * eta - n * np.logaddexp(0.0, eta), x - n * p, -n * p * (1.0 - p)


@dataclass(frozen=True, slots=True, eq=False)
class Binomial:
    """`x` of `n` with logit theta + offset `(k, 1)`: proportions, and two rates given their total."""

    x: Array
    n: Array
    offset: Array

    def at(self, theta: Array, alpha: Array) -> Terms:
        """Value and derivatives; there is no baseline."""
        value, first, second = _logit_terms(self.x, self.n, theta + self.offset)
        none = np.zeros_like(alpha)
        return Terms(value + _choose(self.n, self.x), first, none, second, none, none)

    def take(self, rows: Array) -> Binomial:
        """The same of some studies."""
        return Binomial(self.x[rows], self.n[rows], self.offset[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Poisson:
    """`x` events in the time exp(`offset`) `(k, 1)` at the rate exp(theta)."""

    x: Array
    offset: Array

    def at(self, theta: Array, alpha: Array) -> Terms:
        """Value and derivatives; there is no baseline."""
        eta = theta + self.offset
        mean, none = np.exp(eta), np.zeros_like(alpha)
        return Terms(self.x * eta - mean - gammaln(self.x + 1.0), self.x - mean, none, -mean, none, none)

    def take(self, rows: Array) -> Poisson:
        """The same of some studies."""
        return Poisson(self.x[rows], self.offset[rows])


def _both(value: Array, first: tuple[Array, Array], second: tuple[Array, Array]) -> Terms:
    """Two groups by halves: alpha + theta/2 and alpha - theta/2."""
    (d1, d2), (h1, h2) = first, second
    return Terms(value, 0.5 * (d1 - d2), d1 + d2, 0.25 * (h1 + h2), 0.5 * (h1 - h2), h1 + h2)


@dataclass(frozen=True, slots=True, eq=False)
class TwoBinomials:
    """`x1` of `n1` and `x2` of `n2 (k, 1)`; theta is the log odds ratio, alpha the mean of the two logits."""

    x1: Array
    n1: Array
    x2: Array
    n2: Array

    def at(self, theta: Array, alpha: Array) -> Terms:
        """Value and derivatives."""
        one = _logit_terms(self.x1, self.n1, alpha + 0.5 * theta)
        two = _logit_terms(self.x2, self.n2, alpha - 0.5 * theta)
        constant = _choose(self.n1, self.x1) + _choose(self.n2, self.x2)
        return _both(one[0] + two[0] + constant, (one[1], two[1]), (one[2], two[2]))

    def take(self, rows: Array) -> TwoBinomials:
        """The same of some studies."""
        return TwoBinomials(self.x1[rows], self.n1[rows], self.x2[rows], self.n2[rows])


@dataclass(frozen=True, slots=True, eq=False)
class TwoPoissons:
    """`x1, x2` events in the times `t1, t2 (k, 1)`; theta is the log rate ratio, alpha the mean of the log rates."""

    x1: Array
    t1: Array
    x2: Array
    t2: Array

    def at(self, theta: Array, alpha: Array) -> Terms:
        """Value and derivatives."""
        # Time enters as an offset: it scales the expected count and leaves the rate ratio alone.
        m1, m2 = self.t1 * np.exp(alpha + 0.5 * theta), self.t2 * np.exp(alpha - 0.5 * theta)
        value = self.x1 * np.log(m1) - m1 + self.x2 * np.log(m2) - m2
        value = value - gammaln(self.x1 + 1.0) - gammaln(self.x2 + 1.0)
        return _both(value, (self.x1 - m1, self.x2 - m2), (-m1, -m2))

    def take(self, rows: Array) -> TwoPoissons:
        """The same of some studies."""
        return TwoPoissons(self.x1[rows], self.t1[rows], self.x2[rows], self.t2[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Hypergeometric:
    """`x (k, 1)` events in group 1 given the margins: the noncentral hypergeometric with log odds ratio theta.

    `support (k, S)` are the counts that the margins allow and `weight (k, S)` the logs of their number of ways, -inf
    beyond the end of a study's support.
    """

    x: Array
    support: Array
    weight: Array

    @classmethod
    def of_table(cls, x1: Array, n1: Array, x2: Array, n2: Array) -> Hypergeometric:
        """From the four cells of each study, `(k, 1)` each."""
        # Given the margins only one cell is free, and the baselines of the studies drop out (Fisher's conditioning).
        total = x1 + x2
        low, high = np.maximum(0.0, total - n2), np.minimum(n1, total)
        steps = np.arange(int((high - low).max()) + 1, dtype=float)
        support = low + steps
        inside = support <= high
        kept = np.where(inside, support, low)  # any allowed count: what lies beyond weighs nothing
        weight = np.where(inside, _choose(n1, kept) + _choose(n2, total - kept), -np.inf)
        return cls(x1, kept, weight)

    def at(self, theta: Array, alpha: Array) -> Terms:
        """Value and derivatives: mean and variance of the count under theta; there is no baseline."""
        # (k, Q, S) in one array: Q is some twenty points and S at most the smaller margin
        terms = self.weight[:, None, :] + theta[:, :, None] * self.support[:, None, :]
        # Sums of ways overflow long before the counts are large; their logs do not.
        whole = logsumexp(terms, axis=2)
        share = np.exp(terms - whole[:, :, None])
        mean = np.einsum("kqs,ks->kq", share, self.support)
        spread = np.einsum("kqs,kqs->kq", share, (self.support[:, None, :] - mean[:, :, None]) ** 2)
        at_x = np.take_along_axis(self.weight, (self.x - self.support[:, :1]).astype(np.int64), axis=1)
        none = np.zeros_like(alpha)
        return Terms(at_x + theta * self.x - whole, self.x - mean, none, -spread, none, none)

    def take(self, rows: Array) -> Hypergeometric:
        """The same of some studies."""
        return Hypergeometric(self.x[rows], self.support[rows], self.weight[rows])
