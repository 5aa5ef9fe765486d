"""A printed pool as the prior of samples it does not contain, and what other priors would have said.

Three rules: a prior shares no sample with its data; a conflict of prior and data is said, by a statistic; and the
prior is a mixture fixed in advance (four fifths the print, one fifth the default), never chosen after a conflict.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from replication.analysis.outcome import Cell, Estimate, Figure, Label, Number, Ref, Sentence, Table, Text, of, refs
from replication.effects.correlation import back_to_r, to_fisher_z
from replication.evidence.main_model import Estimated, posterior_of_body
from replication.evidence.published import Published
from replication.evidence.question import Evidence
from replication.models.bayes.exact.marginals import Blend, Marginal, NormalMixture
from replication.models.bayes.exact.summaries import density_curve
from replication.models.bayes.priors.coefficient import Normal
from replication.models.bayes.priors.informed import correlation_priors, sensitivity_priors
from replication.models.probability import NORMAL_95

__all__ = [
    "CONFLICT",
    "PRINTED_WEIGHT",
    "PriorAnswer",
    "conflict",
    "prior_and_data",
    "prior_sensitivity",
    "shares_samples",
]

PRINTED_WEIGHT = 0.8
"""Weight of the printed pool in the mixture; the rest is the default prior. Robust mixture priors of this kind lose
the print where the data contradict it (Schmidli et al. 2014, who use weights of .8 to .9)."""
CONFLICT = NORMAL_95
"""Prior and data conflict where their means are further apart than this many standard deviations."""
THRESHOLDS = (0.0, 0.1, 0.2)


@dataclass(frozen=True, slots=True)
class PriorAnswer:
    """Estimates, tables, figures and sentences of prior and data."""

    estimates: tuple[Estimate, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    sentences: tuple[Sentence, ...] = ()


def shares_samples(pool: Published, found: Evidence) -> bool:
    """Whether rows of the evidence belong to the printed pool: rows of its work, or rows recorded as used in it."""
    work = pool.claim.work
    used = found.rows["used_in"].fillna("") if "used_in" in found.rows else ()
    return bool((found.rows["work"] == work).any() or any(work in cell.split(";") for cell in used))


def conflict(prior: tuple[float, float], data: tuple[float, float], tau2: float) -> float:
    """|m_p - m_d| / sqrt(se_p^2 + se_d^2 + tau^2): how far prior and data are apart, in standard deviations.

    tau^2 is there because two pools of different samples may differ as two samples do.

    >>> round(conflict((0.35, 0.02), (0.24, 0.06), 0.01), 2)
    0.93
    """
    return abs(prior[0] - data[0]) / float(np.sqrt(prior[1] ** 2 + data[1] ** 2 + tau2))


def prior_and_data(answer: Estimated, pool: Published, expected: int) -> PriorAnswer:
    """The printed pool, the data alone, and the data under the mixture; refused where they share samples."""
    found, claim = answer.found, pool.claim
    key = f"{found.question.id}-{claim.id}"
    # Shared samples would count twice, and a prior without spread would not listen to any data.
    if shares_samples(pool, found) or not pool.se > 0:
        why = "prior.shares" if pool.se > 0 else "prior.no_error"
        return PriorAnswer(sentences=(Sentence(why, {"question": found.question.id, "claim": claim.id}),))
    informed, alone = posterior_of_body(found, mean=Normal(pool.z, pool.se, source=claim.id)), answer.posterior
    data = alone.coefficient()
    weight = _weight(informed.log_marginal, alone.log_marginal)
    # Mixed after the data and not before: how much the print still counts is itself learnt from them.
    mixed = _blend(weight, (informed.coefficient(), data))
    tau2 = alone.variance("between") + alone.variance("country")
    distance = conflict((pool.z, pool.se), (data.mean, data.sd), tau2)
    estimate = _estimate(answer, mixed, pool)
    table = _beside_each_other(answer, pool, (data, mixed), expected, weight)
    sentence = _said(found, pool, estimate, table, distance, weight)
    return PriorAnswer((estimate,), (table,), (_curves(key, table.title, pool, data, mixed),), (sentence,))


def _beside_each_other(
    answer: Estimated, pool: Published, posteriors: tuple[Marginal, Marginal], expected: int, weight: float
) -> Table:
    """The printed pool, the posterior of the data alone and that under the mixture, a row each."""
    found, claim, (data, mixed) = answer.found, pool.claim, posteriors
    key = f"{found.question.id}-{claim.id}"
    return Table(
        id=f"prior-{key}",
        title=of(found.question.label, Label("work_as_prior", {"work": claim.work})),
        columns=("what", "r_median", "low", "high", *(Label("stronger_than", {"r": t}) for t in THRESHOLDS)),
        rows=(
            # A print says nothing of how sure its authors would be beyond a threshold: these cells stay empty.
            ("printed_pool", *_normal(pool), None, None, None),
            ("data_alone_default_prior", *_back_transformed(data), *_beyond(data, expected)),
            ("data_with_the_mixture_prior", *_back_transformed(mixed), *_beyond(mixed, expected)),
        ),
        links=(
            Ref("claim", claim.id),
            *refs("estimate", (f"{found.question.id}-{found.source}-posterior", _updated(found, pool))),
        ),
        note=Label(
            "prior_note",
            {"share": PRINTED_WEIGHT, "z": pool.z, "se": pool.se, "source": pool.se_from, "weight": weight},
        ),
    )


def _said(
    found: Evidence, pool: Published, estimate: Estimate, table: Table, distance: float, weight: float
) -> Sentence:
    """Whether print and data conflict, and the updated estimate; each number leads to where it stands."""
    to, ref = Ref("estimate", estimate.id), Ref("table", table.id)
    values: dict[str, Cell | Number] = {"question": found.question.id, "claim": pool.claim.id}
    values |= {"r": Number(estimate.value, to), "low": Number(estimate.low, to), "high": Number(estimate.high, to)}
    values |= {"distance": Number(distance, ref), "limit": Number(CONFLICT, ref), "weight": Number(weight, ref)}
    return Sentence("prior.conflict" if distance > CONFLICT else "prior.no_conflict", values)


def _updated(found: Evidence, pool: Published) -> str:
    """The id of the estimate under the mixture."""
    return f"{found.question.id}-{pool.claim.id}-updated"


def _weight(informed: float, default: float) -> float:
    """The weight of the printed part after the data: prior weights times marginal likelihoods."""
    # exp overflows beyond 709; at 700 the weight is 0 or 1 to every digit.
    gap = np.clip(default - informed, -700.0, 700.0)
    return float(1.0 / (1.0 + (1.0 - PRINTED_WEIGHT) / PRINTED_WEIGHT * np.exp(gap)))


def _blend(weight: float, parts: tuple[Marginal, Marginal]) -> Marginal:
    """Both posteriors mixed; as one mixture of normals where both are, whose quantiles take a tenth of the time."""
    weights = np.array([weight, 1.0 - weight])
    means = np.array([part.mean for part in parts])
    mean = float(weights @ means)
    sd = float(np.sqrt(weights @ (np.square([part.sd for part in parts]) + np.square(means - mean))))
    first, second = parts
    if isinstance(first, NormalMixture) and isinstance(second, NormalMixture):
        return NormalMixture(
            mean=mean, sd=sd,
            weights=np.concatenate([weight * first.weights, (1.0 - weight) * second.weights]),
            centers=np.concatenate([first.centers, second.centers]),
            sds=np.concatenate([first.sds, second.sds]),
        )  # fmt: skip
    return Blend(mean=mean, sd=sd, weights=weights, parts=parts)


def prior_sensitivity(answer: Estimated, expected: int) -> tuple[Table, Figure]:
    """The same posterior under every set of priors beside the default one."""
    found = answer.found
    key = f"{found.question.id}-{found.source}"
    default = correlation_priors().name
    rows: list[tuple[Cell, ...]] = []
    for priors in sensitivity_priors():
        if not isinstance(priors.mean, Normal):
            continue  # a Cauchy mean is one more variance to integrate over; the other sets cover the ground
        posterior = answer.posterior if priors.name == default else posterior_of_body(found, priors)
        mean = posterior.coefficient()
        rows.append(
            (
                priors.name,
                *_back_transformed(mean),
                *_back_transformed(posterior.further_sample())[1:],
                *_beyond(mean, expected),
            )
        )
    columns: tuple[Text, ...] = ("priors", "r_median", "low", "high", "further_sample_low", "further_sample_high",
               *(Label("stronger_than", {"r": t}) for t in THRESHOLDS))  # fmt: skip
    # The numerical error stands with the table: a difference between priors below it would be none.
    title = of(found.question.label, "posterior_under_priors")
    table = Table(id=f"priors-{key}", title=title, columns=columns, rows=tuple(rows),
                  note=Label("numerical_error", {"error": answer.posterior.accuracy.error}))  # fmt: skip
    shown = {name: [row[at] for row in rows] for at, name in enumerate(("label", "value", "low", "high"))}
    figure = Figure(id=f"priors-{key}", kind="prior_sensitivity", title=title, columns=shown, settings={"metric": "r"})
    return table, figure


def _estimate(answer: Estimated, mixed: Marginal, pool: Published) -> Estimate:
    found, (median, low, high) = answer.found, _back_transformed(mixed)
    return Estimate(
        id=_updated(found, pool),
        label=Label("print_updated", {"printed": pool.claim.printed["value"], "work": pool.claim.work}),
        metric="r",
        value=median,
        low=low,
        high=high,
        k=len(found.y),
        samples=len(set(found.samples)),
        n=found.persons,
        group="bayes",
        method={
            "prior": Label("prior_of_the_print", {"weight": PRINTED_WEIGHT, "mean": pool.z, "sd": pool.se}),
            "standard error of the print": pool.se_from,
        },
        rows=tuple(found.rows["effect_id"]),
    )


def _back_transformed(marginal: Marginal) -> tuple[float, float, float]:
    low, median, high = (float(x) for x in back_to_r(marginal.ppf(np.array([0.025, 0.5, 0.975]))))
    return median, low, high


def _normal(pool: Published) -> tuple[float, float, float]:
    low, median, high = back_to_r(Normal(pool.z, pool.se).ppf([0.025, 0.5, 0.975])).tolist()
    return median, low, high


def _beyond(marginal: Marginal, expected: int) -> tuple[float, ...]:
    cuts = to_fisher_z(np.array(THRESHOLDS)) * expected
    return tuple(float(p) for p in np.atleast_1d(marginal.sf(cuts) if expected > 0 else marginal.cdf(cuts)))


def _curves(key: str, title: Text, pool: Published, data: Marginal, mixed: Marginal) -> Figure:
    grid = np.linspace(pool.z - 4 * pool.se, pool.z + 4 * pool.se, 121)
    parts = [("prior", grid, np.asarray(Normal(pool.z, pool.se).pdf(grid)))]
    for name, marginal in (("data_alone", data), ("posterior", mixed)):
        curve = density_curve(marginal, points=121)
        parts.append((name, curve.x, curve.density))
    columns: dict[str, list[Cell]] = {
        "curve": [name for name, x, _ in parts for _ in x],
        "x": [float(back_to_r(value)) for _, x, _ in parts for value in x],
        # A density in r is that in z times dz/dr = 1 / (1 - r^2).
        "y": [float(d / (1 - back_to_r(value) ** 2)) for _, x, y in parts for value, d in zip(x, y, strict=True)],
    }
    return Figure(id=f"density-{key}", kind="density", title=title, columns=columns, settings={"metric": "r"})
