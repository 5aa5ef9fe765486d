"""The main estimate of a body of evidence and its three intervals, each by its name.

Called by findings, the prediction checks and the rules of certainty. The model: Fisher z of effects in samples in
countries, a constant correlation of the sampling errors within a sample, REML, and cluster-robust inference (CR2,
Satterthwaite) at the outermost level; beside it the exact posterior of the same model. Why two: with few countries CR2
has next to no degrees of freedom, and the posterior then leads; with many, CR2 asks least of the model.

The three intervals (all shown in r; predictive ones are quantiles of the posterior):

1. the mean true correlation;
2. the mean true correlation, over measures, of a further sample in a further country: adds between + country variance;
3. one printed r of a further study of n persons: adds the variance within samples and 1 / (n - 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache, partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from replication.analysis.outcome import Estimate, Label, Text, of
from replication.dataset import kept_with
from replication.effects.correlation import back_to_r, fisher_z_variance
from replication.errors import ModelError
from replication.evidence.question import RHO, Evidence
from replication.models.bayes.exact.nested import NestedPosterior, exact_nested
from replication.models.bayes.priors.coefficient import CoefficientPrior
from replication.models.bayes.priors.informed import PriorSet, correlation_priors
from replication.models.bayes.priors.positive import Fixed
from replication.models.fit import Array, Fit, Interval
from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.multilevel.robust import robust

__all__ = [
    "FEWEST_COUNTRIES",
    "FEWEST_DF",
    "FURTHER_N",
    "Estimated",
    "Leads",
    "estimate_body",
    "estimates_of",
    "leading_estimate",
    "posterior_of_body",
    "why_none",
    "working_fit",
]

Leads = Literal["CR2", "posterior"]
_Quantity = Literal["mean", "further sample", "further row"]

FEWEST_COUNTRIES = 6
"""Fewer independent groups at the outermost level than this, and nothing is tested by CR2: the small-sample work on
cluster-robust meta-regression (Tipton 2015) does not go lower, and one odd country decides."""
FEWEST_DF = 4.0
"""Satterthwaite degrees of freedom below which the t approximation fails (Tipton 2015)."""
FURTHER_N = 200
"""Persons of the further study in interval (3): what a thesis collects."""
RTOL = 1e-3
"""Numerical error allowed of a posterior: a thousandth of a probability moves no printed digit."""


@dataclass(frozen=True, slots=True, eq=False)
class Estimated:
    """One body of evidence, estimated twice, and which of the two estimates leads, with the reason.

    `fit` is the working model with CR2, None where it cannot be fitted; `integrate` gives the exact posterior, the same
    one every time.
    """

    found: Evidence
    fit: Fit | None
    integrate: Callable[[], NestedPosterior] = field(repr=False)
    leads: Leads
    why: Text

    @property
    def posterior(self) -> NestedPosterior:
        """The exact posterior, integrated when it is first asked for: a mean that CR2 leads can do without."""
        return self.integrate()

    @property
    def mean(self) -> Interval:
        """Interval (1) in r, from whichever leads; `centre` gives its middle."""
        if self.leads == "CR2" and self.fit is not None:
            low, high = back_to_r(self.fit.interval()[0]).tolist()
            return Interval(low, high, self.fit.level, "CR2")
        low, _, high = _in_r(self.posterior, "mean")
        return Interval(low, high, self.posterior.level, "posterior")

    @property
    def centre(self) -> float:
        """The mean correlation, from whichever leads."""
        if self.leads == "CR2" and self.fit is not None:
            return float(back_to_r(self.fit.beta[0]))
        return _in_r(self.posterior, "mean")[1]

    @property
    def further_sample(self) -> Interval:
        """Interval (2) in r."""
        low, _, high = _in_r(self.posterior, "further sample")
        return Interval(low, high, self.posterior.level, "posterior")

    def further_row(self, n: int = FURTHER_N) -> Interval:
        """Interval (3) in r, for a study of `n` persons."""
        low, _, high = _in_r(self.posterior, "further row", float(fisher_z_variance(n)))
        return Interval(low, high, self.posterior.level, "posterior")

    @property
    def spread(self) -> float:
        """The sd of true sample means on z: the root of the posterior means of between + country variance."""
        # Variances add, standard deviations do not: the root comes last.
        return float(np.sqrt(self.posterior.variance("between") + self.posterior.variance("country")))


def working_fit(
    found: Evidence,
    rho: float = RHO,
    x: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    *,
    places: Array | None = None,
    near: Fit | None = None,
) -> Fit:
    """The working model with CR2 at the outermost level: countries, or samples for a published body alone.

    The countries of published samples are unknown, so there the variances of country and sample cannot be told apart
    and their sum is the sample's. The search begins at the variances of `near`, a fit to nearly the same rows.

    Raises
    ------
    ModelError
        when the rows cannot carry it (one sample, one country).
    """
    begin = None if near is None else tuple(component.estimate for component in near.components)
    # Only this form is asked for again and again; with moderators each fit is another.
    if x is None and places is None:
        return _plain_fit(found, rho, begin)
    return _working_fit(found, rho, x, names, places, begin)


@kept_with
def _plain_fit(found: Evidence, rho: float, begin: tuple[float, ...] | None) -> Fit:
    """The model without moderators, kept: several parts of a finding start from it."""
    return _working_fit(found, rho, None, None, None, begin)


def _working_fit(
    found: Evidence,
    rho: float,
    x: ArrayLike | None,
    names: Sequence[str] | None,
    places: Array | None,
    begin: tuple[float, ...] | None,
) -> Fit:
    countries = found.places if places is None else places
    # Inference at the outermost level: independence is claimed of countries, and of nothing below.
    outer = found.samples if found.source == "published" else countries
    levels = {"sample": found.samples} if found.source == "published" else {"country": outer, "sample": found.samples}
    fit = fit_multilevel(found.y, found.covariance(rho), levels, x, names=names, near=begin)
    return robust(fit, "CR2", clusters=outer)


def posterior_of_body(
    found: Evidence,
    priors: PriorSet | None = None,
    x: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    *,
    mean: CoefficientPrior | None = None,
    places: Array | None = None,
    rtol: float = RTOL,
) -> NestedPosterior:
    """The exact posterior of the same model under the default priors of a correlation, or under others.

    `mean` replaces the prior of the mean alone.
    """
    chosen = priors or correlation_priors()
    published = found.source == "published"
    # The first column is the intercept, the others are differences or slopes, with a prior of their own.
    coefficients = [mean or chosen.mean, *[chosen.slope] * ((1 if x is None else np.shape(x)[1]) - 1)]
    return exact_nested(
        found.y,
        found.covariance(),
        found.samples,
        found.places if places is None else places,
        x,
        within=chosen.within,
        between=chosen.between,
        # Each published sample would be a country of its own, and the two variances one.
        country_sd=Fixed(0.0, reason="countries unknown") if published else chosen.between,
        coefficients=coefficients,
        names=names,
        rtol=rtol,
    )


def estimate_body(found: Evidence, near: Fit | None = None) -> Estimated:
    """Fit one body both ways and decide which leads: CR2 needs six outer groups and four degrees of freedom.

    `near` is as for `working_fit`.
    """
    # Kept with the answer and not by the rows: an answer nobody keeps frees its posterior.
    integrate = cache(partial(posterior_of_body, found))
    try:
        fit = working_fit(found, near=near)
    except ModelError as error:
        return Estimated(found, None, integrate, "posterior", why_none(found, error))
    groups, df = fit.clusters or 0, float(fit.df[0])
    # Before the degrees of freedom, as the plainer reason of the two.
    if groups < FEWEST_COUNTRIES:
        return Estimated(found, fit, integrate, "posterior", Label("few_groups", {"groups": groups}))
    # Written so that NaN degrees of freedom do not let CR2 lead.
    if not df >= FEWEST_DF:
        return Estimated(found, fit, integrate, "posterior", Label("few_degrees_of_freedom", {"df": df}))
    return Estimated(found, fit, integrate, "CR2", Label("groups_and_df", {"groups": groups, "df": df}))


def why_none(found: Evidence, error: ModelError) -> Text:
    """Why there is no working model: all rows in one group, or what the model says of numbers it cannot take."""
    outer = found.samples if found.source == "published" else found.places
    return "all_in_one_group" if len(set(outer)) < 2 else str(error)


def estimates_of(answer: Estimated, label: Text) -> tuple[Estimate, ...]:
    """The body's estimates as records: mean by CR2, mean by the posterior, intervals (2) and (3).

    No p value is given where CR2 does not lead.
    """
    posterior = _by_posterior(answer, label)
    made = [posterior] if answer.fit is None else [_by_cr2(answer, answer.fit, label), posterior]
    for name, ends, words in (
        ("further-sample", answer.further_sample, Label("further_sample_mean")),
        ("further-row", answer.further_row(), Label("further_row", {"n": FURTHER_N})),
    ):
        about = {"interval": words, **posterior.method}
        one = replace(posterior, id=f"{_key(answer)}-{name}", label=of(label, words), low=ends.low, high=ends.high)
        made.append(replace(one, group="prediction", method=about))
    return tuple(made)


def leading_estimate(answer: Estimated, label: Text) -> Estimate:
    """Of `estimates_of` the one that leads, for who asks for no other: each interval is a search for quantiles."""
    fit = answer.fit if answer.leads == "CR2" else None
    return _by_posterior(answer, label) if fit is None else _by_cr2(answer, fit, label)


def _key(answer: Estimated) -> str:
    return f"{answer.found.question.id}-{answer.found.source}"


def _common(answer: Estimated, value: float, low: float, high: float) -> Estimate:
    """What estimates of a body share, however its mean is estimated."""
    found, posterior, further = answer.found, answer.posterior, answer.further_sample
    return Estimate(
        id=_key(answer),
        label="",
        metric="r",
        value=value,
        low=low,
        high=high,
        prediction_low=further.low,
        prediction_high=further.high,
        tau2=posterior.variance("between") + posterior.variance("country"),
        k=len(found.y),
        samples=len(set(found.samples)),
        n=found.persons,
        method=_said(answer),
        notes=tuple(note.text for note in posterior.notes),
        rows=tuple(found.rows["effect_id"]),
    )


def _by_posterior(answer: Estimated, label: Text) -> Estimate:
    low, middle, high = _in_r(answer.posterior, "mean")
    return replace(
        _common(answer, middle, low, high),
        id=f"{_key(answer)}-posterior",
        label=of(label, "mean_exact_posterior"),
        group="main" if answer.leads == "posterior" else "beside",
    )


def _by_cr2(answer: Estimated, fit: Fit, label: Text) -> Estimate:
    leads = answer.leads == "CR2"
    low, high = back_to_r(fit.interval()[0]).tolist()
    return replace(
        _common(answer, float(back_to_r(fit.beta[0])), low, high),
        id=f"{_key(answer)}-cr2",
        label=of(label, "mean_reml_cr2"),
        se=float(fit.se[0]),
        # A p value beside a posterior that leads would be read as the test it failed to qualify for.
        p=float(fit.p[0]) if leads else float("nan"),
        # Without the variance within samples: tau2 is about true sample means, as interval (2) is.
        tau2=float(sum(c.estimate for c in fit.components if c.name != "effect")),
        group="main" if leads else "beside",
        method={**fit.method, "df": Label("df_satterthwaite", {"df": float(fit.df[0])}), **_said(answer)},
        notes=tuple(note.text for note in fit.notes),
    )


def _said(answer: Estimated) -> dict[str, Text]:
    found, posterior = answer.found, answer.posterior
    known, unknown = len(found.countries), found.unknown_countries
    return {
        "scale": "scale_main",
        "levels": "levels_two" if found.source == "published" else "levels_three",
        "errors": Label("errors_rho_shared" if found.shared else "errors_rho", {"rho": RHO}),
        "countries": Label("countries_known", {"known": known, "unknown": unknown}),
        "leads": Label("leads_because", {"leads": answer.leads, "why": answer.why}),
        "variance within, between, country (posterior means)": ", ".join(
            f"{posterior.variance(name):.4f}" for name in ("within", "between", "country")
        ),
        **{f"prior of {name}": prior.text for name, prior in posterior.priors.items()},
        "numerical error": f"{posterior.accuracy.error:.1g}",
    }


# A search for quantiles takes as long as a fit, and a page asks for the same ones in tables, figures and sentences.
@lru_cache(maxsize=16)
def _in_r(posterior: NestedPosterior, what: _Quantity, variance: float = 0.0) -> tuple[float, float, float]:
    """Low end, median and high end in r: of the mean, a further sample, or one row with a sampling `variance`."""
    if what == "mean":
        marginal = posterior.coefficient()
    elif what == "further sample":
        marginal = posterior.further_sample()
    else:
        marginal = posterior.further_row(variance)
    half = posterior.level / 2
    low, middle, high = back_to_r(marginal.ppf([0.5 - half, 0.5, 0.5 + half])).tolist()
    return low, middle, high
