"""The Bayesian answer: exact posteriors under stated priors, a published pool as a prior, and what priors change.

Everything is on Fisher's z; medians and intervals are shown in r (the transformation is monotone, so quantiles move
with it). Dependent rows enter with the working covariance of the frequentist estimators (rho 0.6).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from replication.analysis.outcome import Estimate, Figure, Table
from replication.dataset import Selection
from replication.evidence.published import Published
from replication.evidence.question import Evidence, sample_means
from replication.models.bayes.exact.exact import exact_three_level, exact_two_level
from replication.models.bayes.exact.marginals import Marginal
from replication.models.bayes.exact.posterior import ExactPosterior
from replication.models.bayes.exact.summaries import density_curve
from replication.models.bayes.priors.coefficient import CoefficientPrior, Flat
from replication.models.bayes.priors.informed import (
    InformedPrior,
    PriorSet,
    correlation_priors,
    prior_from_published,
    sensitivity_priors,
)
from replication.models.multilevel.structure import BlockV
from replication.printed import parse_printed

__all__ = ["Bayesian", "bayesian_answer", "posterior_estimate", "posterior_of", "prior_update"]

RHO = 0.6
THRESHOLDS = (0.0, 0.1, 0.2)
NORMAL_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Bayesian:
    """Estimates, tables and figures of one Bayesian answer."""

    estimates: tuple[Estimate, ...]
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...] = ()


def posterior_of(found: Evidence, priors: PriorSet, mean: CoefficientPrior | None = None) -> ExactPosterior:
    """The exact posterior: three levels where samples have several rows, two levels otherwise."""
    chosen = mean or priors.mean
    samples = found.samples
    if len(set(samples)) == len(samples):
        return exact_two_level(found.y, found.v, tau=priors.tau, coefficients=chosen)
    V = BlockV.constant_correlation(found.v, samples, RHO)
    return exact_three_level(found.y, V, samples, between=priors.between, within=priors.within, coefficients=chosen)


def bayesian_answer(found: Evidence, expected: int) -> Bayesian:
    """Posterior under the default priors, a new sample, probabilities, and the sensitivity grid.

    `expected` is the sign expected: probabilities are of an association that strong in that direction.
    """
    key, title = f"{found.question.id}-{found.source}", found.question.label
    grid = {priors.name: posterior_of(found, priors) for priors in sensitivity_priors()}
    default = correlation_priors()
    main = grid.get(default.name) or posterior_of(found, default)
    estimates = [
        posterior_estimate(main, found.selection, id=f"{key}-bayes", label=f"exact posterior, {default.name} priors")
    ]
    summaries = {name: (_in_r(one.coefficient()), _in_r(one.predict())) for name, one in grid.items()}
    rows: tuple[tuple[str | float, ...], ...] = tuple(
        (name, *summaries[name][0], *summaries[name][1][1:], *_above(posterior, expected))
        for name, posterior in grid.items()
    )
    columns = ("priors", "r (median)", "low", "high", "new sample low", "new sample high",
               *(f"P(stronger than {t:g})" for t in THRESHOLDS))  # fmt: skip
    table = Table(id=f"priors-{key}", title=f"{title}: posterior under each set of priors", columns=columns, rows=rows,
                  note=f"Numerical error: at most {main.accuracy.error:.1g} relative.")  # fmt: skip
    shown: dict[str, list[str | float]] = {
        "label": list(grid),
        "value": [average[0] for average, _ in summaries.values()],
        "low": [average[1] for average, _ in summaries.values()],
        "high": [average[2] for average, _ in summaries.values()],
    }
    figure = Figure(id=f"priors-{key}", kind="prior_sensitivity", title=table.title, columns=shown,
                    settings={"metric": "r"})  # fmt: skip
    return Bayesian(tuple(estimates), (table,), (figure,))


def prior_update(found: Evidence, pool: Published, expected: int) -> Bayesian:
    """A printed pool as the prior of the mean, updated by samples it never saw; the three curves in one figure."""
    key = f"{found.question.id}-{pool.claim.id}"
    informed = _informed(pool)
    priors = correlation_priors()
    posterior = posterior_of(found, priors, informed.prior)
    alone = posterior_of(found, priors, Flat())
    label = f"{pool.claim.printed['value']} of {pool.claim.work} updated by the new samples"
    estimate = posterior_estimate(posterior, found.selection, id=f"{key}-updated", label=label)
    steps = Table(id=f"recipe-{key}", title=f"How {pool.claim.work} became a prior", columns=("step",),
                  rows=tuple((step,) for step in informed.steps))  # fmt: skip
    body = Table(
        id=f"prior-update-{key}",
        title=f"{found.question.label}: prior, new samples, posterior",
        columns=("what", "r (median)", "low", "high", *(f"P(stronger than {t:g})" for t in THRESHOLDS)),
        rows=(
            ("prior", *_normal_in_r(informed.prior.mean, informed.prior.sd), None, None, None),
            ("new samples alone", *_in_r(alone.coefficient()), *_above(alone, expected)),
            ("posterior", *_in_r(posterior.coefficient()), *_above(posterior, expected)),
        ),
    )
    curves = _curves(informed.prior.mean, informed.prior.sd, alone.coefficient(), posterior.coefficient())
    figure = Figure(id=f"density-{key}", kind="density", title=body.title, columns=curves, settings={"metric": "r"})
    return Bayesian((estimate,), (body, steps, _predictive_check(found, pool, informed.prior.sd, key)), (figure,))


def _informed(pool: Published) -> InformedPrior:
    """The printed pool as a normal prior of the same average, from its printed interval where there is one."""
    source = f"{pool.claim.id}; standard error from {pool.se_from}"
    if {"ci_low", "ci_high"} <= set(pool.claim.printed):
        value, low, high = (parse_printed(pool.claim.printed[end]).value for end in ("value", "ci_low", "ci_high"))
        return prior_from_published(value, low, high, source=source)
    half = NORMAL_95 * max(pool.se, 1e-6)
    return prior_from_published(pool.z, pool.z - half, pool.z + half, scale="identity", source=source)


def _predictive_check(found: Evidence, pool: Published, sd: float, key: str) -> Table:
    """Each new sample's place in the prediction of the printed pool, averaged over the posterior of tau."""
    means = sample_means(found)
    tau = posterior_of(means, correlation_priors()).sd("tau")
    taus = np.asarray(tau.ppf((np.arange(200) + 0.5) / 200))
    spread = np.sqrt(sd**2 + taus[:, None] ** 2 + means.v)
    place = np.asarray(special.ndtr((means.y - pool.z) / spread)).mean(axis=0)
    labels = [str(label or s) for label, s in zip(means.rows["label"], means.samples, strict=True)]
    rows = tuple((label, float(np.tanh(y)), float(p)) for label, y, p in zip(labels, means.y, place, strict=True))
    title = f"{found.question.label}: where each new sample lies in the prediction of {pool.claim.work}"
    note = f"Share of the predictive distribution below the sample; averaged over tau (posterior mean {tau.mean:.3f})."
    return Table(id=f"predictive-{key}", title=title, columns=("sample", "r", "place"), rows=rows, note=note,
                 links=tuple(str(s) for s in means.samples))  # fmt: skip


def posterior_estimate(
    posterior: ExactPosterior,
    selection: Selection,
    *,
    id: str,  # noqa: A002
    label: str,
    group: str = "bayes",
) -> Estimate:
    """The average of an exact posterior on Fisher z as an `Estimate` in r: median and central 95 % intervals."""
    value, low, high = _in_r(posterior.coefficient())
    _, new_low, new_high = _in_r(posterior.predict())
    per_sample = selection.sample_sizes
    sds = [posterior.sd(name) for name in posterior.sds]
    return Estimate(
        id=id,
        label=label,
        metric="r",
        value=value,
        low=low,
        high=high,
        prediction_low=new_low,
        prediction_high=new_high,
        tau2=float(sum(sd.mean**2 + sd.sd**2 for sd in sds)),
        k=len(selection.rows),
        samples=len(per_sample),
        n=float(per_sample.sum()),
        group=group,
        method={
            "model": "normal hierarchical, exact posterior by quadrature",
            "value": "posterior median; central 95 % interval; tau2 is its posterior mean",
            "priors": "; ".join(map(str, (*posterior.data.priors, posterior.data.within, posterior.data.between))),
            "numerical error": f"{posterior.accuracy.error:.1g} relative",
        },
        rows=tuple(selection.rows["effect_id"]),
    )


def _in_r(marginal: Marginal) -> tuple[float, float, float]:
    low, median, high = (float(x) for x in np.tanh(marginal.ppf([0.025, 0.5, 0.975])))
    return median, low, high


def _normal_in_r(mean: float, sd: float) -> tuple[float, float, float]:
    return tuple(float(np.tanh(mean + z * sd)) for z in (0.0, -NORMAL_95, NORMAL_95))  # type: ignore[return-value]


def _above(posterior: ExactPosterior, expected: int) -> tuple[float, ...]:
    cuts = np.arctanh(np.array(THRESHOLDS)) * expected
    mass = posterior.coefficient().sf(cuts) if expected > 0 else posterior.coefficient().cdf(cuts)
    return tuple(float(p) for p in np.atleast_1d(mass))


def _curves(mean: float, sd: float, alone: Marginal, posterior: Marginal) -> dict[str, list[str | float]]:
    grid = np.linspace(mean - 4 * sd, mean + 4 * sd, 121)
    normal = np.exp(-0.5 * ((grid - mean) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
    parts = [("prior", grid, normal)]
    for name, marginal in (("new samples alone", alone), ("posterior", posterior)):
        curve = density_curve(marginal, points=121)
        parts.append((name, curve.x, curve.density))
    return {
        "curve": [name for name, x, _ in parts for _ in x],
        "x": [float(np.tanh(value)) for _, x, _ in parts for value in x],
        "y": [float(d / (1 - np.tanh(value) ** 2)) for _, x, y in parts for value, d in zip(x, y, strict=True)],
    }
