"""Convergence and Monte Carlo error of draws: rank-normalised split R-hat, effective sizes, standard errors.

One idea: everything is a mean of some function of the draws (the draws, their ranks, whether they lie below a
quantile), so one effective size, that of a mean over split chains, serves all. Source: Vehtari, Gelman, Simpson,
Carpenter & Bürkner (2021); autocorrelations summed as in Geyer (1992).

ArviZ 0.23 has the same numbers, but its Monte Carlo errors stop with numpy 2.4; a test holds these to its R-hat and
effective sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, special

from replication.models.fit import Array

__all__ = ["Convergence", "convergence", "ess_mean", "mcse_quantile", "rank_normalised", "rhat", "split_chains"]


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
