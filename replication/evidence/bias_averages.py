"""The average over models of effect, heterogeneity and publication bias, and the three numbers it gives.

The probability of an effect, the mean if there is one, and the mean with the models without one counted in are often
taken for one another. A median of exactly 0 of the last only says that more than half of the mass lies at 0: an
undecided probability, not an effect of zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from replication.analysis.outcome import Cell, Estimate, Label, Table, Text, of, plain
from replication.digests import digest_of, python_digest
from replication.effects.correlation import back_to_r
from replication.evidence.bias_models import body_key, direction_of, one_row_a_sample, sizes_of
from replication.evidence.estimators import centre_of
from replication.evidence.question import RHO, Evidence, sample_means
from replication.labels import restored
from replication.models.bayes import averaging
from replication.models.bayes.averaging.bias_models import bias_priors

if TYPE_CHECKING:
    from replication.models.bayes.averaging.averaging import Averaged

__all__ = ["AveragedBias", "Remember", "averaged_bias", "averaged_estimates", "averaged_tables"]

# Bayes factors between a third and three are "not worth more than a bare mention" (Jeffreys 1961, appendix B, in the
# wording of Kass & Raftery 1995); with even prior odds that is a probability between 1/4 and 3/4.
UNDECIDED = 3.0

# Numerical error that may be stated of the averages. The bound is cautious: from 2e-2 to this one no probability of the
# published bodies moved by more than 5e-5.
RTOL = 1e-3

Remember = Callable[[str, str, Callable[[], object]], object]
"""Keeps a slow result by name and content, and gives None for one that is postponed: `Context.remember`."""


@dataclass(frozen=True, slots=True)
class AveragedBias:
    """The average over 36 models of effect, heterogeneity and bias: three numbers that are often taken for one.

    `probability` that there is an effect at all; `conditional` mean and interval in r if there is one; `averaged` mean
    and interval with the models without an effect counted in as 0. On Fisher's z averaged = probability x conditional.
    `whole` are the probability, mean and interval where whole samples are selected; empty where each has one row.
    `parts` are (component, prior, posterior, log10 Bayes factor, remark), `models` (label, prior, posterior, mean r,
    mean tau).
    """

    probability: float
    prior: float
    conditional: tuple[float, float, float]
    averaged: tuple[float, float, float]
    parts: tuple[tuple[Cell, ...], ...]
    models: tuple[tuple[Cell, ...], ...]
    error: float
    k: int
    samples: int
    notes: tuple[Text, ...]
    reasons: tuple[Text, ...] = ()
    whole: tuple[float, ...] = ()

    @property
    def adequate(self) -> bool:
        """Whether it may be read: the funnel has samples enough of either size, by the rule of the single models."""
        return not self.reasons

    @property
    def decision(self) -> str:
        """Whether the data speak for an effect, against one, or neither: the Bayes factor against 3 and 1/3."""
        prior_odds = self.prior / (1.0 - self.prior)
        # A probability of 1 is one that rounding made: its odds are large, not infinite.
        odds = self.probability / max(1.0 - self.probability, 1e-300)
        factor = odds / prior_odds
        return "effect_likely" if factor > UNDECIDED else "effect_unlikely" if factor < 1 / UNDECIDED else "undecided"


def averaged_bias(found: Evidence, sign: int, remember: Remember | None = None) -> AveragedBias | None:
    """The average over models on all rows, those of a sample as a cluster (Bartoš et al. 2023, with clusters).

    The mechanism is that rows are printed or not one by one, each by its own p value. Where a sample has several rows,
    `whole` holds the other extreme: whole samples printed or not, by the p value of the mean of their rows.

    None where `remember` postpones it: what is kept is of other rows.

    Raises `ModelError` where the numbers cannot carry it.
    """
    means = sample_means(found)

    def compute() -> object:
        # A kept average is read without what integrates it.
        from replication.models.bayes.averaging.averaging import average_models

        priors, direction = bias_priors("z"), direction_of(sign)
        rows = average_models(
            found.y, found.v, priors=priors, clusters=found.samples, correlation=RHO, direction=direction, rtol=RTOL
        )
        read = _read(rows)
        if len(means.y) < len(found.y):
            whole = average_models(means.y, means.v, priors=priors, direction=direction, rtol=RTOL)
            read = replace(read, whole=(_probability(whole), *_conditional(whole)))
        return plain(read)

    # Not kept: a reason is worded by key, and costs no time to find again.
    reasons = sizes_of(found, centre_of(found)).reasons
    if remember is None:
        return _restored(compute(), reasons)
    n = one_row_a_sample(found).v.tolist()  # decides, beside the rows, whether the average may be read
    code = python_digest(Path(averaging.__file__).parent)
    # twelve digits: the last ones differ between machines, and the result would not
    given = ([f"{x:.12g}" for x in values] for values in (found.y, found.v, n))
    key = digest_of(code, *map(repr, (*given, found.samples.tolist(), RHO, sign, bias_priors("z"))))
    kept = remember(f"bias-{found.question.id}", key, compute)
    return None if kept is None else _restored(kept, reasons)


def _probability(averaged: Averaged) -> float:
    return next(part.posterior for part in averaged.inclusion if part.component == "effect")


def _conditional(averaged: Averaged) -> tuple[float, float, float]:
    """Mean and interval in r of the models with an effect."""
    present = averaged.effect_if_present
    assert present is not None  # the default 36 models include some with an effect
    low, high = back_to_r(present.ppf([0.025, 0.975])).tolist()
    return float(back_to_r(present.mean)), low, high


def _read(averaged: Averaged) -> AveragedBias:
    effect = next(part for part in averaged.inclusion if part.component == "effect")
    low, high = (back_to_r(averaged.effect.ppf([0.025, 0.975])) + 0.0).tolist()  # + 0.0: no -0 for mass at zero
    # The likeliest first: 36 rows are read from the top.
    models = sorted(averaged.models, key=lambda model: -model.posterior)
    return AveragedBias(
        probability=effect.posterior,
        prior=effect.prior,
        conditional=_conditional(averaged),
        averaged=(float(back_to_r(averaged.effect.mean)), low, high),
        parts=tuple((i.component, i.prior, i.posterior, i.log10, i.reason) for i in averaged.inclusion),
        models=tuple((m.text, m.prior, m.posterior, float(back_to_r(m.mean_effect)), m.mean_tau) for m in models),
        error=averaged.error,
        k=averaged.k,
        samples=averaged.clusters,
        notes=tuple(note.text for note in averaged.notes),
    )


def _restored(kept: object, reasons: tuple[Text, ...]) -> AveragedBias:
    """The record from what a store keeps, with why it may not be read: JSON has lists where the record has tuples."""
    assert isinstance(kept, Mapping)
    rows = {name: tuple(tuple(map(restored, row)) for row in kept[name]) for name in ("parts", "models")}
    means = {name: tuple(map(restored, kept[name])) for name in ("conditional", "averaged", "notes", "whole")}
    return AveragedBias(**{**kept, **rows, **means, "reasons": reasons})


def averaged_estimates(found: Evidence, averaged: AveragedBias) -> list[Estimate]:
    """The three numbers of the average, each an estimate of its own: P(effect), the conditional and averaged mean."""
    common: dict[str, Text] = {"models": Label("bias_models_averaged", {"models": len(averaged.models)}),
              "priors": bias_priors("z").name, "numerical error": f"{averaged.error:.1g}",
              "selection": "selection_by_rows"}  # fmt: skip
    shown: tuple[tuple[str, str, str, tuple[float, ...], Text], ...] = (
        ("averaged-probability", "averaged_probability", "probability",
         (averaged.probability, float("nan"), float("nan")), "value_probability"),
        ("averaged-conditional", "averaged_conditional", "r", averaged.conditional,
         "value_conditional"),
        ("averaged", "averaged_over_all", "r", averaged.averaged,
         "value_averaged"),
    )  # fmt: skip
    if averaged.whole:
        shown += (
            ("averaged-whole", "averaged_whole", "r", averaged.whole[1:],
             Label("value_whole", {"probability": averaged.whole[0]})),
        )  # fmt: skip
    return [
        Estimate(
            id=f"{body_key(found)}-{name}",
            label=of(found.question.label, label),
            metric=metric,
            value=value,
            low=low,
            high=high,
            k=averaged.k,
            samples=averaged.samples,
            group="bias",
            method={**common, "value": what},
            notes=averaged.notes,
            rows=tuple(found.rows["effect_id"]),
        )
        for name, label, metric, (value, low, high), what in shown
    ]


def averaged_tables(found: Evidence, averaged: AveragedBias) -> list[Table]:
    key, title = body_key(found), found.question.label
    return [
        Table(
            id=f"bias-inclusion-{key}",
            title=of(title, "what_the_data_say"),
            columns=("component", "prior_probability", "posterior_probability", "log10_bayes_factor", "remark"),
            rows=averaged.parts,
        ),
        Table(
            id=f"bias-averaged-{key}",
            title=of(title, "models_averaged_over"),
            columns=("model", "prior_probability", "posterior_probability", "mean_r", "mean_tau_z"),
            rows=averaged.models,
        ),
    ]
