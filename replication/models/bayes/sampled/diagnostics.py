"""Convergence and Monte Carlo error of draws: rank-normalised split R-hat, effective sizes, standard errors.

One idea: everything is a mean of some function of the draws (the draws, their ranks, whether they lie below a
quantile), so one effective size, that of a mean over split chains, serves all. Source: Vehtari, Gelman, Simpson,
Carpenter & Bürkner (2021); autocorrelations summed as in Geyer (1992).

ArviZ 0.23 has the same numbers, but its Monte Carlo errors stop with numpy 2.4; a test holds these to its R-hat and
effective sizes.

Sampled posteriors behind a gate: R-hat, effective sizes and divergences decide whether there is an estimate at all.

`SampledPosterior` has numbers; `Failed` has reasons and none. Which of the two a sampler returns is a type, so that no
caller can print an estimate of a failed fit by oversight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import fft, special

from replication.errors import ModelError
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
    "rank_normalised",
    "rhat",
    "split_chains",
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
    x = split_chains(draws)
    if not np.isfinite(x).all() or np.ptp(x) == 0.0:
        return Convergence(*[float("nan")] * 5)
    z = rank_normalised(x)
    folded = rank_normalised(np.abs(x - np.median(x)))
    tails = [ess_mean((x <= np.quantile(x, p)).astype(float)) for p in (0.05, 0.95)]
    return Convergence(
        max(rhat(z), rhat(folded)),
        ess_mean(z),
        min(tails),
        float(x.std(ddof=1) / np.sqrt(ess_mean(x))),
        _mcse_sd(x),
    )


def split_chains(draws: Array) -> Array:
    """Each chain as two halves `(2 chains, draws // 2)`; the middle draw of an odd number is left out."""
    half = draws.shape[1] // 2
    return np.concatenate([draws[:, :half], draws[:, -half:]])


def rank_normalised(x: Array) -> Array:
    """Normal scores of the ranks over all chains (Blom's, equation 14)."""
    from scipy import stats

    ranks = stats.rankdata(x, axis=None).reshape(x.shape)
    return np.asarray(special.ndtri((ranks - 0.375) / (x.size + 0.25)))


def rhat(x: Array) -> float:
    """Potential scale reduction of chains `(m, n)`: the root of pooled over within variance (equations 1-4)."""
    n = x.shape[1]
    within = x.var(axis=1, ddof=1).mean()
    between = x.mean(axis=1).var(ddof=1)
    return float(np.sqrt((n - 1.0) / n + between / within))


def ess_mean(x: Array) -> float:
    """Effective number of draws behind the mean of chains `(m, n)` (equations 10-13). NaN: values that never move."""
    m, n = x.shape
    covariance = _autocovariance(x)
    within = covariance[:, 0].mean() * n / (n - 1.0)
    pooled = within * (n - 1.0) / n + x.mean(axis=1).var(ddof=1)
    if not pooled > 0.0:
        return float("nan")
    rho = 1.0 - (within - covariance.mean(axis=0)) / pooled
    rho[0] = 1.0
    time = max(_geyer_sum(rho), 1.0 / np.log10(m * n))
    return float(m * n / time)


def mcse_quantile(draws: Array, probability: float) -> float:
    """Monte Carlo error of a quantile: half the width of the order statistics one standard error around it."""
    x = split_chains(draws)
    size = ess_mean((x <= np.quantile(x, probability)).astype(float))
    if not np.isfinite(size):
        return float("nan")
    a, b = size * probability + 1.0, size * (1.0 - probability) + 1.0
    around = special.betaincinv(a, b, special.ndtr([-1.0, 1.0]))
    place = np.clip(np.array([np.floor(around[0] * x.size), np.ceil(around[1] * x.size)]) - 1, 0, x.size - 1)
    low, high = np.sort(x, axis=None)[place.astype(int)]
    return float((high - low) / 2.0)


def _autocovariance(x: Array) -> Array:
    """Autocovariances `(m, n)` of each chain at every lag, by the fast Fourier transform."""
    n = x.shape[1]
    centred = x - x.mean(axis=1, keepdims=True)
    spectrum = fft.rfft(centred, fft.next_fast_len(2 * n), axis=1)
    return np.asarray(fft.irfft(np.abs(spectrum) ** 2, fft.next_fast_len(2 * n), axis=1)[:, :n] / n)


def _geyer_sum(rho: Array) -> float:
    """The autocorrelation time: pairs of lags are added while positive, and never allowed to rise again."""
    last = max((len(rho) - 3) // 2, 1)
    pairs = rho[0 : 2 * last : 2] + rho[1 : 2 * last : 2]
    stop = np.flatnonzero(~(pairs > 0.0))
    used = int(stop[0]) if len(stop) else last
    tail = max(float(rho[2 * used]), 0.0) if 2 * used < len(rho) else 0.0
    return float(-1.0 + 2.0 * np.minimum.accumulate(pairs[:used]).sum() + tail)


def _mcse_sd(x: Array) -> float:
    """Monte Carlo error of the sd, from that of the variance (delta method)."""
    square = (x - x.mean()) ** 2
    variance = square.mean()
    error = (np.mean(square**2) - variance**2) / ess_mean(square)
    return float(np.sqrt(error / variance) / 2.0)


PROBABILITIES = (0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975)


@dataclass(frozen=True, slots=True)
class Gate:
    """What a sampled fit must meet. Vehtari et al. (2021): rank-normalised split R-hat below 1.01, effective sizes of
    bulk and tails above 100 a chain (400 with four); Betancourt (2017): no divergent transition."""

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
    reasons: tuple[str, ...]


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
        return Probability(value, float(hits.std(ddof=1) / np.sqrt(ess_mean(split_chains(hits)))))

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
    reasons: tuple[str, ...]
    diagnostics: Diagnostics | None
    settings: Settings
    priors: Mapping[str, PriorRecord]
    notes: tuple[Note, ...]


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
    every = (*parameters, diagnose("log density", draws.log_density))
    reasons = [
        _over("R-hat", {p.name: p.rhat for p in every}, gate.rhat),
        _under("bulk ESS", {p.name: p.ess_bulk for p in every}, gate.ess),
        _under("tail ESS", {p.name: p.ess_tail for p in every}, gate.ess),
        f"{draws.divergences} divergent transitions (limit {gate.divergences})"
        * (draws.divergences > gate.divergences),
    ]
    return Diagnostics(
        float(np.max([p.rhat for p in every])),
        float(np.min([p.ess_bulk for p in every])),
        float(np.min([p.ess_tail for p in every])),
        draws.divergences,
        draws.cut_trees,
        gate,
        tuple(reason for reason in reasons if reason),
    )


def _over(word: str, values: Mapping[str, float], limit: float) -> str:
    """The reason why values that must lie below `limit` fail (NaN fails), naming the worst; empty when none does."""
    failing = {name: value for name, value in values.items() if not value < limit}
    if not failing:
        return ""
    name = max(failing, key=lambda n: np.inf if np.isnan(failing[n]) else failing[n])
    return f"{word} of {name} is {failing[name]:.3f} (limit {limit:g}){_others(failing)}"


def _under(word: str, values: Mapping[str, float], limit: float) -> str:
    """As `_over`, for values that must lie above `limit`."""
    failing = {name: value for name, value in values.items() if not value > limit}
    if not failing:
        return ""
    name = min(failing, key=lambda n: -np.inf if np.isnan(failing[n]) else failing[n])
    return f"{word} of {name} is {failing[name]:.0f} (limit {limit:g}){_others(failing)}"


def _others(failing: Mapping[str, float]) -> str:
    return f", and {len(failing) - 1} more" if len(failing) > 1 else ""
