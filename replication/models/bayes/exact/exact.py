"""Exact Bayesian meta-analysis: normal hierarchical models with two or three levels, with moderators, by quadrature.

    y = X beta + Z b + w + e,   b ~ N(0, between^2),   w ~ N(0, within^2),   e ~ N(0, V known)

Coefficients and effects are integrated out by algebra, the standard deviations by adaptive quadrature with a stated
error; nothing is sampled. In the two-level model (Röver 2020) `within` is called `tau` and `Z b` is absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from replication.errors import ModelError
from replication.models.bayes.exact.integration import ExactData, Solution, solve
from replication.models.bayes.exact.posterior import ExactPosterior
from replication.models.bayes.priors.coefficient import CoefficientPrior
from replication.models.bayes.priors.positive import Fixed, PositivePrior
from replication.models.fit import Note
from replication.models.multilevel.groups import Codes, group_codes, refines
from replication.models.multilevel.structure import BlockV, as_block_v
from replication.models.prepare import as_numbers, check_level, prepare_effects

__all__ = ["exact_three_level", "exact_two_level"]


@dataclass(frozen=True, slots=True)
class _Priors:
    """The priors of both sds, and of all coefficients or one each."""

    within: PositivePrior
    between: PositivePrior
    coefficients: CoefficientPrior | Sequence[CoefficientPrior]

    def __post_init__(self) -> None:
        for prior in (self.within, self.between):
            if not isinstance(prior, PositivePrior):
                raise ModelError(
                    f"a prior of a standard deviation is a HalfNormal, HalfCauchy, ... or Fixed; found {prior!r}."
                )

    def of_each(self, names: tuple[str, ...]) -> tuple[CoefficientPrior, ...]:
        """One prior for each coefficient."""
        given = self.coefficients
        each = (given,) * len(names) if not isinstance(given, Sequence) else tuple(given)
        wrong = [prior for prior in each if not isinstance(prior, CoefficientPrior)]
        if wrong:
            raise ModelError(f"a prior of a coefficient is a Normal, StudentT, Cauchy or Flat; found {wrong[0]!r}.")
        if len(each) != len(names):
            raise ModelError(f"{len(each)} priors for the {len(names)} coefficients {', '.join(names)}; pass one each.")
        return each


def exact_two_level(
    y: ArrayLike,
    V: BlockV | ArrayLike,
    x: ArrayLike | None = None,
    *,
    tau: PositivePrior,
    coefficients: CoefficientPrior | Sequence[CoefficientPrior],
    names: Sequence[str] | None = None,
    level: float = 0.95,
    rtol: float = 1e-6,
) -> ExactPosterior:
    """The posterior of a random-effects meta-analysis or meta-regression.

    Parameters
    ----------
    y : (k,) effects
    V : (k,) sampling variances, a `BlockV`, or a full (k, k) covariance matrix
    x : (k, p) whole design, intercept column included; None fits an intercept only
    tau : prior of the sd of true effects, in the units of y; `Fixed(0.0)` is the common-effect model
    coefficients : prior of every coefficient, or one for each of the p columns
    names : names of the p coefficients
    level : level of intervals
    rtol : numerical error allowed, relative

    Returns
    -------
    ExactPosterior
        Its `accuracy` states the numerical error reached.

    Raises
    ------
    ModelError
        When the numbers cannot carry the model, or the priors give no proper posterior; the message says what to do.

    Notes
    -----
    Röver (2020), whose R package does the same for two levels.

    >>> from replication.models.bayes.priors import HalfNormal, Normal
    >>> fit = exact_two_level([0.1, 0.3, 0.5], [0.01, 0.02, 0.01], tau=HalfNormal(0.3), coefficients=Normal(0, 1))
    >>> round(fit.coefficient().mean, 4), round(fit.sd("tau").mean, 4)
    (0.2923, 0.2265)
    """
    # two levels are three with no variation between clusters: one way to integrate both
    priors = _Priors(tau, Fixed(0.0), coefficients)
    return _fit(y, V, None, x, priors=priors, names=names, level=level, rtol=rtol)


def exact_three_level(
    y: ArrayLike,
    V: BlockV | ArrayLike,
    cluster: ArrayLike,
    x: ArrayLike | None = None,
    *,
    between: PositivePrior,
    within: PositivePrior,
    coefficients: CoefficientPrior | Sequence[CoefficientPrior],
    names: Sequence[str] | None = None,
    level: float = 0.95,
    rtol: float = 1e-6,
) -> ExactPosterior:
    """The posterior of a three-level meta-analysis or meta-regression: effects within clusters (samples, studies).

    The model of Konstantopoulos (2011) and Van den Noortgate et al. (2013). What is not named here, the result and its
    errors are as in `exact_two_level`.

    Parameters
    ----------
    V : as there; covariances only between effects of one cluster (`BlockV.constant_correlation` makes such)
    cluster : (k,) labels
    between, within : priors of the sds of true effects between clusters and within them, in the units of y

    >>> from replication.models.bayes.priors import HalfNormal, Normal
    >>> tau = HalfNormal(0.3)
    >>> y, v, sample = [0.1, 0.3, 0.5], [0.01, 0.01, 0.01], ["a", "a", "b"]
    >>> fit = exact_three_level(y, v, sample, between=tau, within=tau, coefficients=Normal(0, 1))
    >>> round(fit.coefficient().mean, 4), round(fit.sd("between").mean, 4)
    (0.308, 0.2156)
    """
    priors = _Priors(within, between, coefficients)
    return _fit(y, V, cluster, x, priors=priors, names=names, level=level, rtol=rtol)


def _fit(
    y: ArrayLike,
    V: BlockV | ArrayLike,
    cluster: ArrayLike | None,
    x: ArrayLike | None,
    *,
    priors: _Priors,
    names: Sequence[str] | None,
    level: float,
    rtol: float,
) -> ExactPosterior:
    check_level(level)
    # below, rounding decides; above, the cells would miss whole peaks
    if not 1e-12 <= rtol <= 1e-2:
        raise ModelError(f"rtol={rtol!r} must lie between 1e-12 and 1e-2; 1e-6 is the default.")
    data, notes = _prepare(y, V, cluster, x, priors=priors, names=names)
    solution = solve(data, rtol)
    three = data.cluster is not None
    named = (("between", data.between), ("within" if three else "tau", data.within))
    return ExactPosterior(
        method=_method(data),
        names=data.names,
        sds=tuple(name for name, prior in named if not isinstance(prior, Fixed)),
        k=len(data.y),
        clusters=None if data.cluster is None else int(data.cluster.max()) + 1,
        level=level,
        notes=(*notes, *_notes(data, solution)),
        data=data,
        solution=solution,
    )


def _prepare(
    y: ArrayLike,
    V: BlockV | ArrayLike,
    cluster: ArrayLike | None,
    x: ArrayLike | None,
    *,
    priors: _Priors,
    names: Sequence[str] | None,
) -> tuple[ExactData, tuple[Note, ...]]:
    """Leave out rows with a missing value anywhere, with a note; check the rest."""
    values = np.atleast_1d(as_numbers(y, "y"))
    covariance, k = as_block_v(V), len(values)
    if covariance.k != k:
        raise ModelError(f"y has {k} effects, V has {covariance.k}; pass as many.")
    design = np.ones((k, 1)) if x is None else as_numbers(x, "x")
    if design.ndim != 2 or len(design) != k or not design.shape[1]:
        raise ModelError(f"x has shape {design.shape}; pass the whole design as ({k}, p), a row per effect.")
    codes = None if cluster is None else group_codes(cluster, k, "cluster")
    missing = covariance.missing() | np.isnan(design).any(axis=1) | (False if codes is None else codes < 0)
    # a row without label, design or covariance leaves by the same door as one without an effect
    effects, notes = prepare_effects(np.where(missing, np.nan, values), covariance.variances)
    kept = np.array(effects.rows)
    if not np.all(np.isfinite(design[kept])):
        raise ModelError("x holds an infinite value; correct it, or make it NaN to leave the row out.")
    labels = _labels(names, design.shape[1], alone=x is None)
    return ExactData(
        effects.y,
        covariance.take(kept),
        design[kept],
        labels,
        None if codes is None else _codes(codes[kept], covariance.take(kept)),
        priors.within,
        priors.between,
        priors.of_each(labels),
        effects.rows,
    ), notes


def _codes(cluster: Codes, V: BlockV) -> Codes:
    codes = np.unique(cluster, return_inverse=True)[1]
    # covariances across clusters would tie integrals together that are done cluster by cluster
    if not V.is_diagonal and V.codes is not None and not refines(V.codes, codes):
        raise ModelError(
            "V has covariances between effects of different clusters; the clusters must contain its blocks."
        )
    return np.asarray(codes, dtype=np.intp)


def _labels(names: Sequence[str] | None, p: int, *, alone: bool) -> tuple[str, ...]:
    labels = tuple(names) if names is not None else ("intercept",) if alone else tuple(f"x{j}" for j in range(p))
    if len(labels) != p or len(set(labels)) != p:
        raise ModelError(f"names={labels!r} does not name the {p} columns of the design; pass {p} different names.")
    return labels


def _method(data: ExactData) -> dict[str, str]:
    three = data.cluster is not None
    sds = {"between": data.between, "within": data.within} if three else {"tau": data.within}
    return {
        "model": "three-level" if three else "two-level",
        "posterior": "exact by adaptive quadrature",
        **data.V.choice,
        **{f"prior of {name}": str(prior) for name, prior in sds.items()},
        **{f"prior of {name}": str(prior) for name, prior in zip(data.names, data.priors, strict=True)},
    }


def _notes(data: ExactData, solution: Solution) -> tuple[Note, ...]:
    notes, accuracy = [], solution.accuracy
    if not accuracy.reached:
        text = (
            f"numerical error {accuracy.error:.1g} in {accuracy.worst}, more than the {accuracy.asked:.1g} asked for."
        )
        notes.append(Note("accuracy", text))
    names = ("within" if data.cluster is not None else "tau", "between")
    for name, prior, rank in zip(names, (data.within, data.between), solution.tails.ranks, strict=True):
        # a posterior equal to its prior is no finding; without this note it reads like one
        if rank == 0 and not isinstance(prior, Fixed):
            notes.append(Note("prior-only", f"these effects say nothing about {name}: its posterior is its prior."))
    # Allowed, as priors still identify both; but who reads the split must know whose it is.
    if data.cluster is not None and int(data.cluster.max()) + 1 == len(data.y):
        text = "every cluster has one effect: the data inform only between^2 + within^2, their split is the priors'."
        notes.append(Note("confounded", text))
    return tuple(notes)
