"""Sampled posteriors behind a gate: R-hat, effective sizes and divergences decide whether there is an estimate at all.

`SampledPosterior` has numbers; `Failed` has reasons and none. Which of the two a sampler returns is a type, so that no
caller can print an estimate of a failed fit by oversight.

Rank-normalised split R-hat, effective sizes and Monte Carlo errors (Vehtari, Gelman, Simpson, Carpenter & Bürkner
2021) are those of ArviZ's array functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from replication.errors import ModelError
from replication.labels import Cell, Label
from replication.models.bayes.priors.record import PriorRecord
from replication.models.bayes.sampled.sampling import Draws, Settings
from replication.models.fit import Array, Note

__all__ = [
    "Convergence",
    "Diagnostics",
    "Failed",
    "Gate",
    "Parameter",
    "Probability",
    "SampledPosterior",
    "SampledSummary",
    "convergence",
    "diagnose",
    "ess_mean",
    "judge",
    "mcse_quantile",
]


@dataclass(frozen=True, slots=True)
class Convergence:
    """R-hat, effective sizes of bulk and tails, Monte Carlo errors of mean and sd. NaN: draws that never move."""

    rhat: float
    ess_bulk: float
    ess_tail: float
    mcse_mean: float
    mcse_sd: float


def convergence(draws: Array) -> Convergence:
    """Convergence of one quantity from its draws `(chains, draws)`.

    >>> x = np.random.default_rng(1).normal(size=(4, 1000))
    >>> c = convergence(x)
    >>> c.rhat < 1.01, 3000 < c.ess_bulk < 5000
    (True, True)
    """
    # NaN fails the gate: `not value < limit` below holds for it.
    if not np.isfinite(draws).all() or np.ptp(draws) == 0.0:
        # without this, ArviZ calls draws that never move as many as they are
        return Convergence(*[float("nan")] * 5)
    from arviz_stats.base import array_stats

    axes = {"chain_axis": 0, "draw_axis": 1}
    return Convergence(
        float(array_stats.rhat(draws, method="rank", **axes)),
        float(array_stats.ess(draws, method="bulk", **axes)),
        float(array_stats.ess(draws, method="tail", prob=(0.05, 0.95), **axes)),
        float(array_stats.mcse(draws, method="mean", **axes)),
        float(array_stats.mcse(draws, method="sd", **axes)),
    )


def ess_mean(draws: Array) -> float:
    """Effective number of draws behind the mean of `(chains, draws)`. NaN: values that never move."""
    from arviz_stats.base import array_stats

    # A share of hits has few distinct values, so bulk ESS by ranks would not fit; the plain one for means does.
    moves = np.isfinite(draws).all() and np.ptp(draws) > 0.0
    return float(array_stats.ess(draws, chain_axis=0, draw_axis=1, method="mean")) if moves else float("nan")


def mcse_quantile(draws: Array, probability: float) -> float:
    """Monte Carlo error of a quantile of `(chains, draws)`. NaN: values that never move."""
    from arviz_stats.base import array_stats

    moves = np.isfinite(draws).all() and np.ptp(draws) > 0.0
    if not moves:
        return float("nan")
    return float(array_stats.mcse(draws, chain_axis=0, draw_axis=1, method="quantile", prob=probability))


PROBABILITIES = (0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975)


@dataclass(frozen=True, slots=True)
class Gate:
    """What a sampled fit must meet to be reported.

    What a sampled fit must meet. Vehtari et al. (2021): rank-normalised split R-hat below 1.01, effective sizes of bulk
    and tails above 100 a chain (400 with four); Betancourt (2017): no divergent transition.
    """

    rhat: float = 1.01
    ess: float = 400.0
    divergences: int = 0


@dataclass(frozen=True, slots=True)
class Parameter:
    """One sampled quantity: its posterior, and how well it is known.

    `quantiles` holds (probability, value, Monte Carlo error); `mcse_mean` and `mcse_sd` are the Monte Carlo standard
    errors of mean and sd.
    """

    name: str
    mean: float
    sd: float
    quantiles: tuple[tuple[float, float, float], ...]
    mcse_mean: float
    mcse_sd: float
    rhat: float
    ess_bulk: float
    ess_tail: float

    def quantile(self, probability: float) -> float:
        """A quantile that was kept: .025, .05, .25, .5, .75, .95, .975."""
        for p, value, _ in self.quantiles:
            if p == probability:
                return value
        raise ModelError(f"quantile {probability:g} was not kept; choose one of {[p for p, _, _ in self.quantiles]}.")


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """The worst values over all sampled quantities, and the reasons to reject the fit (empty: it passes)."""

    rhat: float
    ess_bulk: float
    ess_tail: float
    divergences: int
    cut_trees: int
    gate: Gate
    reasons: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class Probability:
    """A posterior probability with its Monte Carlo standard error."""

    value: float
    mcse: float


@dataclass(frozen=True, slots=True)
class SampledSummary:
    """A sampled posterior as plain data for a report: everything but the draws, of which `thinned` keeps some."""

    model: str
    method: Mapping[str, str]
    parameters: tuple[Parameter, ...]
    diagnostics: Diagnostics
    settings: Settings
    priors: Mapping[str, PriorRecord]
    notes: tuple[Note, ...]
    thinned: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class SampledPosterior:
    """A posterior that passed its gate.

    `draws (chains, draws, q)` are those of the parameters, in their order; `settings` those of the attempt that passed.
    """

    model: str
    method: Mapping[str, str]
    parameters: tuple[Parameter, ...]
    diagnostics: Diagnostics
    settings: Settings
    priors: Mapping[str, PriorRecord]
    notes: tuple[Note, ...]
    draws: Array

    def parameter(self, name: str) -> Parameter:
        """The parameter called `name`."""
        return self.parameters[self._place(name)]

    def draws_of(self, name: str) -> Array:
        """All draws of one parameter `(chains * draws,)`."""
        return np.asarray(self.draws[:, :, self._place(name)].ravel())

    def thinned(self, name: str, most: int = 500) -> tuple[float, ...]:
        """Evenly spaced draws of one parameter, at most `most`: what a density plot needs."""
        values = self.draws_of(name)
        # The step is rounded up, so that there are never more than `most`; even spacing takes from every chain.
        return tuple(values[:: -(-len(values) // most)].tolist())

    def summary(self, most: int = 500) -> SampledSummary:
        """This posterior as plain data, with at most `most` draws of each parameter."""
        return SampledSummary(
            self.model,
            dict(self.method),
            self.parameters,
            self.diagnostics,
            self.settings,
            dict(self.priors),
            self.notes,
            {p.name: self.thinned(p.name, most) for p in self.parameters},
        )

    def probability(self, name: str, above: float) -> Probability:
        """P(parameter > `above`) with its Monte Carlo error."""
        hits = (self.draws[:, :, self._place(name)] > above).astype(float)
        value = float(hits.mean())
        if value in (0.0, 1.0):  # no draw on one side: known to 3 / n (the rule of three), and no better
            return Probability(value, 3.0 / hits.size)
        return Probability(value, float(hits.std(ddof=1) / np.sqrt(ess_mean(hits))))

    def _place(self, name: str) -> int:
        names = [p.name for p in self.parameters]
        if name not in names:
            raise ModelError(f"no parameter {name!r} in {self.model}; it has {', '.join(names)}.")
        return names.index(name)


@dataclass(frozen=True, slots=True)
class Failed:
    """A fit that did not pass: why, and with which settings. It has no estimates."""

    model: str
    method: Mapping[str, str]
    reasons: tuple[Note, ...]
    diagnostics: Diagnostics | None
    settings: Settings
    priors: Mapping[str, PriorRecord]
    notes: tuple[Note, ...]

    @property
    def why(self) -> str:
        """The reasons in one line of English, for terminals and errors."""
        return "; ".join(reason.message for reason in self.reasons)


def diagnose(name: str, values: Array) -> Parameter:
    """Posterior summary and convergence of one quantity `(chains, draws)`."""
    with np.errstate(all="ignore"):
        known = convergence(values)
        at = np.quantile(values, PROBABILITIES).tolist()
        errors = [mcse_quantile(values, p) for p in PROBABILITIES]
        return Parameter(
            name,
            float(values.mean()),
            float(values.std(ddof=1)),
            tuple(zip(PROBABILITIES, at, errors, strict=True)),
            known.mcse_mean,
            known.mcse_sd,
            known.rhat,
            known.ess_bulk,
            known.ess_tail,
        )


def judge(parameters: tuple[Parameter, ...], draws: Draws, gate: Gate) -> Diagnostics:
    """Hold all sampled quantities, and the log density itself, against the gate."""
    # Chains in different modes can agree on every parameter shown and still differ in the log density.
    every = (*parameters, diagnose("log density", draws.log_density))
    # Turned, what must lie above a limit is what must lie below one.
    reasons = [
        _over("rhat", "R-hat", {p.name: p.rhat for p in every}, gate.rhat, 1),
        _over("ess_bulk", "bulk ESS", {p.name: p.ess_bulk for p in every}, gate.ess, -1),
        _over("ess_tail", "tail ESS", {p.name: p.ess_tail for p in every}, gate.ess, -1),
        _divergent(draws.divergences, gate.divergences),
    ]
    return Diagnostics(
        # np.max, not max: it hands NaN on instead of dropping it.
        float(np.max([p.rhat for p in every])),
        float(np.min([p.ess_bulk for p in every])),
        float(np.min([p.ess_tail for p in every])),
        draws.divergences,
        draws.cut_trees,
        gate,
        tuple(reason for reason in reasons if reason is not None),
    )


def _over(code: str, word: str, values: Mapping[str, float], limit: float, sign: int) -> Note | None:
    """Why some values are not below `limit` (above it, with `sign` -1), naming the worst; None where all are.

    NaN, of draws that never move, fails and is the worst.
    """
    failing = {name: value for name, value in values.items() if not sign * value < sign * limit}
    if not failing:
        return None
    name = max(failing, key=lambda n: np.inf if np.isnan(failing[n]) else sign * failing[n])
    others = len(failing) - 1
    message = f"{word} of {name} is {failing[name]:.{3 if sign > 0 else 0}f} (limit {limit:g})"
    said: dict[str, Cell] = {"statistic": code, "name": name, "value": failing[name], "limit": limit}
    if not others:
        return Note(code, message, label=Label("gate_not_met", said))
    return Note(code, f"{message}, and {others} more", label=Label("gate_not_met_by", {**said, "others": others}))


def _divergent(found: int, limit: int) -> Note | None:
    if found <= limit:
        return None
    message = f"{found} divergent transitions (limit {limit})"
    return Note("divergences", message, label=Label("gate_divergences", {"found": found, "limit": limit}))
