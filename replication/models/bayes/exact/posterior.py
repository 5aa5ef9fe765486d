"""The joint posterior density of the standard deviations and the coefficients.

The exact posterior of a normal hierarchical model: what can be asked of it, each answer with its numerical error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from replication.errors import ModelError
from replication.models.bayes.exact.gaussian import effect_moments
from replication.models.bayes.exact.integration import (
    Accuracy,
    ExactData,
    Solution,
    coefficient_marginal,
    intercept_only,
    mixture,
    sd_marginal,
    solve,
    without_coefficient,
    without_sd,
)
from replication.models.bayes.exact.marginals import Marginal
from replication.models.bayes.exact.model import conditional
from replication.models.bayes.exact.summaries import Summary, summarize
from replication.models.bayes.priors.record import LOG_2PI, PriorRecord
from replication.models.fit import Array, Note
from replication.models.prepare import as_numbers
from replication.models.readable import Readable

__all__ = ["BayesFactor", "ExactPosterior", "ExactSummary", "ShrunkenEffects", "joint_log_density"]


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
        # The model is integrated along arcsinh(sd / unit), fine near 0 and coarse far out; the density is asked for
        # in sd.
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
    # Out of the coordinates of the integration, where columns of the design are centred and of one scale.
    mean = (given.mean.reshape(*sds[0].shape, p) + model.units.center) * slope
    covariance = given.covariance.reshape(*sds[0].shape, p, p) * np.outer(slope, slope)
    gap = (beta - mean)[..., None]
    quad = (gap.swapaxes(-1, -2) @ np.linalg.solve(covariance, gap))[..., 0, 0]
    return np.asarray(log - 0.5 * (p * LOG_2PI + np.linalg.slogdet(covariance)[1] + quad))


# Elements of an (N, k) array worked on at once.
CHUNK = 50_000


@dataclass(frozen=True, slots=True)
class BayesFactor:
    """Evidence against a restriction: `log10` of p(y | free) / p(y | restricted); NaN with a reason where undefined."""

    restriction: str
    log10: float
    reason: str = ""

    @property
    def against(self) -> float:
        """How many times likelier the data are without the restriction."""
        # Beyond 10^308 infinity is the right word; the logarithm is there for who needs the number.
        with np.errstate(over="ignore"):
            return float(np.power(10.0, self.log10))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ShrunkenEffects(Readable):
    """True effects given everything: `mean (k,)`, `sd (k,)`, in the order of `rows`."""

    mean: Array
    sd: Array
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True, repr=False)
class ExactSummary(Readable):
    """The posterior as plain data for a report (`dataclasses.asdict` gives nested dictionaries)."""

    method: dict[str, str]
    k: int
    clusters: int | None
    level: float
    quantities: tuple[Summary, ...]
    prediction: Summary | None
    log_marginal: float
    log_marginal_reason: str
    bayes_factors: tuple[BayesFactor, ...]
    priors: dict[str, PriorRecord]
    accuracy: Accuracy
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ExactPosterior(Readable):
    """A posterior computed by quadrature. `names` are the coefficients; `sds` the random standard deviations by name.

    Methods return `Marginal` distributions with `pdf`, `cdf`, `sf`, `ppf`, `mean`, `sd`; `summary()` has everything
    a report prints.
    """

    method: Mapping[str, str]
    names: tuple[str, ...]
    sds: tuple[str, ...]
    k: int
    clusters: int | None
    level: float
    notes: tuple[Note, ...]
    data: ExactData = field(repr=False)
    solution: Solution = field(repr=False)

    @property
    def accuracy(self) -> Accuracy:
        """The stated numerical error."""
        return self.solution.accuracy

    @property
    def improper(self) -> str:
        """Why the marginal likelihood is not defined; empty where it is."""
        loose = [str(p) for p in (self.data.within, self.data.between, *self.data.priors) if not p.proper]
        return f"the priors {', '.join(loose)} are improper, so their constant is arbitrary" if loose else ""

    @property
    def log_marginal(self) -> float:
        """Log of the marginal likelihood p(y); NaN with an improper prior (see `improper`)."""
        return float("nan") if self.improper else self.solution.log_mass

    def sd(self, name: str | None = None) -> Marginal:
        """Posterior of a standard deviation of true effects: `tau`, or `within` and `between` with three levels."""
        return sd_marginal(self.solution, self._axis(name))

    def coefficient(self, name: str | None = None) -> Marginal:
        """Posterior of a coefficient (the first by default)."""
        return coefficient_marginal(self.solution, self._position(name))

    def probability_above(self, x: ArrayLike, name: str | None = None) -> Array:
        """P(coefficient > `x`)."""
        return self.coefficient(name).sf(x)

    def average(self, at: ArrayLike) -> Marginal:
        """Posterior of `at' beta`: the mean of effects with the moderators `at (p,)`."""
        row, nodes = self._row(at), self.solution.nodes
        variances = np.einsum("p,npq,q->n", row, nodes.covariance, row)
        return mixture(self.solution, nodes.mean @ row, variances, self._order(row))

    def predict(self, at: ArrayLike | None = None, v: float = 0.0) -> Marginal:
        """Posterior of a true effect in a new cluster with moderators `at (p,)`; with `v`, of an estimate of it.

        Without `at` the design must be an intercept alone.
        """
        if not (np.isfinite(v) and v >= 0.0):
            raise ModelError(f"v={v!r} must be a sampling variance, a finite number of 0 or more.")
        row, nodes, tails = self._row(at), self.solution.nodes, self.solution.tails
        # Given the sds all is normal, so variances add: of the mean, of a new cluster, of a row in it, of its
        # estimate.
        variances = np.einsum("p,npq,q->n", row, nodes.covariance, row) + nodes.within**2 + nodes.between**2 + v
        return mixture(self.solution, nodes.mean @ row, variances, min(self._order(row), tails.within, tails.between))

    def effects(self) -> ShrunkenEffects:
        """True effects of the k rows: posterior means and sds, shrunken towards what the model expects."""
        weights, parts = self.solution.nodes.weights, self._effect_parts()
        moved, spread = np.zeros(self.k), np.zeros(self.k)
        # Two passes, and sums of differences from y: the square of a mean would take the digits of a small variance.
        for at, mean, _ in parts:
            moved += np.einsum("n,nk->k", weights[at], mean - self.data.y)
        center = self.data.y + moved
        for at, mean, variance in parts:
            spread += np.einsum("n,nk->k", weights[at], variance + (mean - center) ** 2)
        return ShrunkenEffects(center, np.sqrt(spread), self.data.rows)

    def effect(self, row: int) -> Marginal:
        """Posterior of the true effect of one row, counted as in the arrays passed."""
        if row not in self.data.rows:
            raise ModelError(f"row {row} was not used; rows in use: {list(self.data.rows)}.")
        i = self.data.rows.index(row)
        parts = [(mean[:, i], variance[:, i]) for _, mean, variance in self._effect_parts()]
        centers, variances = (np.concatenate(column) for column in zip(*parts, strict=True))
        return mixture(self.solution, centers, variances, np.inf)

    def log_density(self, within: ArrayLike, between: ArrayLike = 0.0, coefficients: ArrayLike | None = None) -> Array:
        """Log joint posterior density of the sds (broadcast together), and of the coefficients `(..., p)` if given.

        Fixed sds are ignored; with t priors the mixing sd is not integrated here, so such models are refused.
        """
        return joint_log_density(self.solution, within, between, coefficients)

    def bayes_factor(self, name: str | None = None, value: float = 0.0) -> BayesFactor:
        """Evidence against `coefficient == value`."""
        if not np.isfinite(value):
            raise ModelError(f"value={value!r} must be a finite number: the one the coefficient is held at.")
        j = self._position(name)
        label = f"{name or self.names[0]} = {value:g}"
        # An improper density is known up to a constant alone, and the Bayes factor would be that constant.
        if not self.data.priors[j].proper:
            return BayesFactor(label, float("nan"), f"the prior of {self.names[j]} is improper")
        return self._compare(label, solve(without_coefficient(self.data, j, value), self.accuracy.asked))

    def bayes_factor_sd(self, name: str | None = None) -> BayesFactor:
        """Evidence against a standard deviation of 0."""
        axis = self._axis(name)
        which = name or self.sds[0]
        label = f"{which} = 0"
        if not (self.data.within, self.data.between)[axis].proper:
            return BayesFactor(label, float("nan"), f"the prior of {which} is improper")
        try:
            return self._compare(label, solve(without_sd(self.data, axis), self.accuracy.asked))
        except ModelError as error:
            return BayesFactor(label, float("nan"), str(error))

    def summary(self, *, bayes_factors: bool = True) -> ExactSummary:
        """Everything a report prints, as plain data."""
        quantities = [summarize(self.sd(name), name, self.level) for name in self.sds]
        quantities += [summarize(self.coefficient(name), name, self.level) for name in self.names]
        factors = [*map(self.bayes_factor, self.names), *map(self.bayes_factor_sd, self.sds)] if bayes_factors else []
        priors = {name: p.record() for name, p in zip(self.names, self.data.priors, strict=True)}
        sds = {name: (self.data.within, self.data.between)[self._axis(name)].record() for name in self.sds}
        return ExactSummary(
            dict(self.method), self.k, self.clusters, self.level, tuple(quantities),
            summarize(self.predict(), "prediction", self.level) if intercept_only(self.data.x) else None,
            self.log_marginal, self.improper, tuple(factors), {**sds, **priors}, self.accuracy, self.notes,
        )  # fmt: skip

    def _compare(self, label: str, restricted: Solution) -> BayesFactor:
        return BayesFactor(label, (self.solution.log_mass - restricted.log_mass) / float(np.log(10.0)))

    def _position(self, name: str | None) -> int:
        if name is None and self.names:
            return 0
        if name not in self.names:
            raise ModelError(f"no coefficient {name!r}; this model has {', '.join(self.names)}.")
        return self.names.index(name)

    def _axis(self, name: str | None) -> int:
        if not self.sds:
            raise ModelError("this model has no standard deviation to ask for: all are fixed.")
        name = name or self.sds[0]
        if name not in self.sds:
            raise ModelError(f"no standard deviation {name!r}; this model has {', '.join(self.sds)}.")
        return 1 if name == "between" else 0

    def _row(self, at: ArrayLike | None) -> Array:
        p = len(self.names)
        if at is None:
            if not intercept_only(self.data.x):
                raise ModelError(
                    f"say for which moderators: `at` needs {p} numbers, one for each of {', '.join(self.names)}."
                )
            return np.ones(1)
        row = as_numbers(at, "`at`")
        if not np.isfinite(row).all():
            raise ModelError("`at` holds a missing or infinite value; pass finite numbers.")
        if row.shape != (p,):
            raise ModelError(
                f"`at` needs {p} numbers, one for each of {', '.join(self.names)}; found shape {row.shape}."
            )
        return row

    def _order(self, row: Array) -> float:
        # A sum has as many moments as its part with the fewest, of those that enter it.
        return float(np.min(self.solution.tails.coefficients[row != 0], initial=np.inf))

    def _effect_parts(self) -> list[tuple[slice, Array, Array]]:
        """Moments of the effects for a part of the nodes at a time."""
        s, model = self.solution, self.solution.model
        u, out = model.units, []
        # Nodes by rows by coefficients would not fit in memory at once for thousands of rows.
        step = max(1, CHUNK // (self.k * max(1, len(self.names))))
        shift = self.data.x / u.columns @ u.center * u.y
        for i in range(0, len(s.nodes.weights), step):
            at = slice(i, i + step)
            beta = s.nodes.mean[at] / u.slope - u.center
            covariance = s.nodes.covariance[at] / np.outer(u.slope, u.slope)
            found = effect_moments(model.blocks, s.nodes.within[at] / u.y, s.nodes.between[at] / u.y, beta, covariance)
            out.append((at, found.mean * u.y + shift, found.variance * u.y**2))
        return out
