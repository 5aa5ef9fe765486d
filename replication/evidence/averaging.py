"""Averaging over effect, heterogeneity and bias: does the answer survive not knowing which bias model is right?"""

from __future__ import annotations

import numpy as np

from replication.analysis.outcome import Estimate, Table
from replication.evidence.question import Evidence, sample_means
from replication.models.bayes.averaging.averaging import Averaged, average_models
from replication.models.bayes.averaging.bias_models import bias_priors

__all__ = ["averaged_answer"]


def averaged_answer(found: Evidence, expected: int) -> tuple[Estimate, tuple[Table, ...]]:
    """The averaged estimate on one value a sample, the inclusion Bayes factors, and every model's probability."""
    means = sample_means(found)
    averaged = average_models(
        means.y, means.v, priors=bias_priors("z"), direction="positive" if expected > 0 else "negative"
    )
    key, title = f"{found.question.id}-{found.source}", found.question.label
    low, median, high = (float(x) for x in np.tanh(averaged.effect.ppf([0.025, 0.5, 0.975])))
    estimate = Estimate(
        id=f"{key}-averaged",
        label=f"{title}: averaged over effect, heterogeneity and bias",
        metric="r",
        value=median,
        low=low,
        high=high,
        k=averaged.k,
        samples=averaged.k,
        group="bias",
        method={
            "models": f"{len(averaged.models)} with stated prior probabilities",
            "priors": averaged.priors.name,
            "value": "median of the averaged posterior, which keeps a share at exactly 0",
            "numerical error": f"{averaged.error:.1g}",
        },
        notes=tuple(note.message for note in averaged.notes),
        rows=tuple(means.rows["effect_id"]),
    )
    return estimate, (_inclusion(averaged, key, title), _models(averaged, key, title))


def _inclusion(averaged: Averaged, key: str, title: str) -> Table:
    rows = tuple((i.component, i.prior, i.posterior, i.log10, i.reason) for i in averaged.inclusion)
    columns = ("component", "prior probability", "posterior probability", "log10 Bayes factor", "remark")
    return Table(id=f"inclusion-{key}", title=f"{title}: what the data say is there", columns=columns, rows=rows)


def _models(averaged: Averaged, key: str, title: str) -> Table:
    best = sorted(averaged.models, key=lambda m: -m.posterior)
    rows = tuple((m.label, m.prior, m.posterior, float(np.tanh(m.mean_effect)), m.mean_tau) for m in best)
    columns = ("model", "prior probability", "posterior probability", "mean r", "mean tau (z)")
    return Table(id=f"models-{key}", title=f"{title}: the models averaged over", columns=columns, rows=rows)
