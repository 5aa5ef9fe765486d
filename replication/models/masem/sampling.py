"""Sampling covariances of the correlations of one study, and the four rules for the correlations they rest on.

The large-sample covariance of two correlations of one sample needs the population correlations of up to four
variables. They are replaced by the study's own correlations, or by a mean over the studies; that choice moves the
results (see `SamplingRule`).
"""

from __future__ import annotations

import numpy as np

from replication.models.fit import Array, Note
from replication.models.literals import SamplingRule, check_choice
from replication.models.masem.correlations import CorrelationSet, pair_indices, symmetric

__all__ = ["average_correlations", "correlation_covariance", "sampling_covariances"]


def correlation_covariance(matrix: Array) -> Array:
    """n times the large-sample covariance `(..., p, p)` of the correlations of one sample.

    Parameters
    ----------
    matrix : (..., v, v) population correlations

    Source: Olkin & Siotani (1976); Steiger (1980), equation 3.

    >>> correlation_covariance(symmetric([0.6])).round(4).tolist()  # (1 - 0.6 ** 2) ** 2
    [[0.4096]]
    """
    first, second = pair_indices(matrix.shape[-1])
    s, t, u, w = first[:, None], second[:, None], first[None, :], second[None, :]
    st, uw = matrix[..., s, t], matrix[..., u, w]
    su, sw, tu, tw = matrix[..., s, u], matrix[..., s, w], matrix[..., t, u], matrix[..., t, w]
    squares = 0.5 * st * uw * (su**2 + sw**2 + tu**2 + tw**2)
    triples = st * su * sw + st * tu * tw + su * tu * uw + sw * tw * uw
    return np.asarray(squares + su * tw + sw * tu - triples)


def average_correlations(data: CorrelationSet, rule: SamplingRule) -> Array:
    """The mean correlations `(p,)` behind the sampling covariances; NaN where no study gives a pair.

    "weighted": by n, over the studies that give the correlation, used or not. "unweighted": their plain mean.
    "weighted-missing-as-zero": the sum of n r over the n of *all* studies, so that a missing correlation counts as 0
    (metaSEM up to 1.2.5). "individual" has no mean of its own; the weighted one fills its gaps.
    """
    known = np.isfinite(data.given)
    r = np.where(known, data.given, 0.0)
    with np.errstate(invalid="ignore"):
        if rule == "unweighted":
            return np.asarray(r.sum(axis=0) / known.sum(axis=0))
        if rule == "weighted-missing-as-zero":
            return np.where(known.any(axis=0), data.n @ r / data.n.sum(), np.nan)
        return np.asarray(data.n @ r / (data.n @ known))


def sampling_covariances(data: CorrelationSet, rule: SamplingRule) -> tuple[Array, tuple[Note, ...]]:
    """The sampling covariance `(k, p, p)` of the correlations of every study, with notes on what was filled in.

    Cells that belong to correlations a study does not use are there too (with a mean rule) and carry no meaning.
    A pair that no study gives counts as 0 where the covariance of two other pairs needs it.
    """
    check_choice(rule, SamplingRule, "sampling")
    mean = average_correlations(data, rule)
    notes = _unknown_pairs(data, mean)
    mean = np.where(np.isfinite(mean), mean, 0.0)
    if rule != "individual":
        return correlation_covariance(symmetric(mean)) / data.n[:, None, None], notes
    own = np.where(data.used, data.given, mean)
    filled = _filled_gaps(data)
    if filled:
        notes = (*notes, Note("sampling-filled", _fill_message(filled)))
    return correlation_covariance(symmetric(own)) / data.n[:, None, None], notes


def _unknown_pairs(data: CorrelationSet, mean: Array) -> tuple[Note, ...]:
    unknown = [pair for pair, value in zip(data.pairs, mean, strict=True) if not np.isfinite(value)]
    if not unknown:
        return ()
    message = f"no study gives {', '.join(unknown)}; where sampling covariances of other pairs need it, it counts as 0."
    return (Note("sampling-filled", message),)


def _filled_gaps(data: CorrelationSet) -> list[str]:
    """Pairs a study lacks although both of its variables are in use: other covariances of the study need them."""
    first, second = pair_indices(len(data.variables))
    used = data.used
    measured = np.zeros((len(data.studies), len(data.variables)), dtype=bool)
    study, pair = np.nonzero(used)
    measured[study, first[pair]] = measured[study, second[pair]] = True
    gap = measured[:, first] & measured[:, second] & ~used
    return [f"{data.pairs[p]} in study {data.studies[i]}" for i, p in zip(*np.nonzero(gap), strict=True)]


def _fill_message(filled: list[str]) -> str:
    shown = ", ".join(filled[:5]) + (f" and {len(filled) - 5} more" if len(filled) > 5 else "")
    return f"sampling covariances need correlations that are not there; the weighted mean stands in for {shown}."
