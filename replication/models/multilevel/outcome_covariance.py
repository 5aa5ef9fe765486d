"""How the true effects of several outcomes (or occasions) of one study covary: the matrix G and its parameters.

Natural parameters phi are what is reported: variances `tau2` first, then correlations `rho`. The search moves in free
parameters psi, any real numbers, so that every step is a covariance matrix: a Cholesky factor for UN, roots of
variances and a squeezed correlation for the others. All functions take complex numbers, so that derivatives can be
read off imaginary steps without loss of digits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from replication.models.fit import Array
from replication.models.multilevel.groups import Codes, Numbers
from replication.models.options import OutcomeStructure

__all__ = ["OutcomeCovariance", "outcome_covariance"]

# Structures with one variance for all outcomes, and those whose correlation falls with the distance in time.
ONE_VARIANCE = ("ID", "CS", "AR", "CAR")
IN_TIME = ("AR", "HAR", "CAR")


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeCovariance:
    """A structure over q outcomes called `names`; `distance (q, q)` is theirs in time (AR, HAR, CAR).

    `lower` are the places of a Cholesky factor row by row, `pairs` those (column, row) below the diagonal, column by
    column: the order of the correlations.
    """

    structure: OutcomeStructure
    names: tuple[str, ...]
    distance: Array
    lower: tuple[Codes, Codes]
    pairs: tuple[Codes, Codes]

    @property
    def q(self) -> int:
        """The number of outcomes."""
        return len(self.names)

    @property
    def count(self) -> int:
        """The number of variances: one for all outcomes, or one for each."""
        return 1 if self.structure in ONE_VARIANCE else self.q

    @property
    def variances(self) -> tuple[str, ...]:
        """Names of the variances: tau2, or tau2[outcome] where each outcome has its own."""
        if self.structure in ONE_VARIANCE:
            return ("tau2",)
        return tuple(f"tau2[{name}]" for name in self.names)

    @property
    def correlations(self) -> tuple[str, ...]:
        """Names of the correlations: none, rho, or rho[outcome, outcome] for each pair."""
        if self.structure in ("ID", "DIAG") or self.q == 1:
            return ()
        if self.structure == "UN":
            return tuple(f"rho[{self.names[j]}, {self.names[i]}]" for j, i in zip(*self.pairs, strict=True))
        return ("rho",)

    @property
    def lowest(self) -> float:
        """The smallest correlation with which the structure is a covariance matrix."""
        if self.structure in ("CS", "HCS"):
            # Below it the sum of the outcomes, each in its own sd, would have a negative variance.
            return -1.0 / (self.q - 1)
        return 0.0 if self.structure == "CAR" else -1.0

    def start(self, tau2: Array, rho: float) -> Array:
        """Free parameters at which variances are `tau2 (q,)` and correlations about `rho`, within their range."""
        # Off the ends, where the logit is infinite and a search would not move.
        held = min(max(rho, self.lowest + 0.05), 0.95)
        roots = np.sqrt(tau2)
        if self.structure == "UN":
            # All correlations alike are a covariance only down to -1 / (q - 1).
            R = np.full((self.q, self.q), max(held, -0.9 / max(self.q - 1, 1)))
            np.fill_diagonal(R, 1.0)
            L = roots[:, None] * np.linalg.cholesky(R)
            return np.asarray(L[self.lower])
        spread = np.array([np.sqrt(tau2.mean())]) if self.structure in ONE_VARIANCE else roots
        # The logit of the place within its range: any real number is then a correlation that is allowed.
        share = (held - self.lowest) / (1.0 - self.lowest)
        return np.concatenate([spread, [np.log(share / (1.0 - share))] if self.correlations else []])

    def natural(self, psi: Numbers) -> Numbers:
        """Natural parameters phi `(..., m)` of free ones `(..., m)`."""
        if self.structure == "UN":
            L = np.zeros((*psi.shape[:-1], self.q, self.q), dtype=psi.dtype)
            L[..., self.lower[0], self.lower[1]] = psi
            G = L @ L.mT
            tau2 = np.diagonal(G, axis1=-2, axis2=-1)
            j, i = self.pairs
            return np.concatenate([tau2, G[..., i, j] / np.sqrt(tau2[..., i] * tau2[..., j])], axis=-1)
        count = self.count
        tau2 = psi[..., :count] ** 2
        if not self.correlations:
            return tau2
        logit = psi[..., count:]
        # a search may step so far that the exponential overflows, and its imaginary part with it
        logit = logit - (logit.real - np.clip(logit.real, -300.0, 300.0))
        share = 1.0 / (1.0 + np.exp(-logit))
        return np.concatenate([tau2, self.lowest + (1.0 - self.lowest) * share], axis=-1)

    def matrix(self, phi: Numbers) -> Numbers:
        """G `(..., q, q)` of natural parameters `(..., m)`."""
        count, (j, i) = self.count, self.pairs
        root = np.sqrt(phi[..., :count]) * np.ones(self.q)
        R = np.zeros((*phi.shape[:-1], self.q, self.q), dtype=phi.dtype)
        R[..., range(self.q), range(self.q)] = 1.0
        if phi.shape[-1] > count:
            rho = phi[..., count:]
            R[..., i, j] = rho ** self.distance[i, j] if self.structure in IN_TIME else rho
            R[..., j, i] = R[..., i, j]
        return root[..., :, None] * R * root[..., None, :]


def outcome_covariance(structure: OutcomeStructure, names: tuple[str, ...], times: Array | None) -> OutcomeCovariance:
    """The structure over outcomes called `names`, at `times (q,)` where the structure is one of time."""
    at = np.arange(len(names), dtype=float) if times is None else times
    pairs = np.triu_indices(len(names), 1)
    return OutcomeCovariance(structure, names, np.abs(at[:, None] - at[None, :]), np.tril_indices(len(names)), pairs)
