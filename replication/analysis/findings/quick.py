"""A finding in short: its main estimates and a forest plot of each body of evidence, for a preview in seconds.

The most evidence there is also gets the exact posterior, so that a preview shows how a new study updates it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from replication.analysis.findings.assemble import Asked
from replication.analysis.findings.bayes import posterior_estimate, posterior_of
from replication.analysis.findings.engines import che, in_r
from replication.analysis.findings.question import Evidence, Question, Source, evidence, sample_means
from replication.analysis.outcome import Context, Estimate, Figure, Findings
from replication.dataset import Dataset
from replication.models.bayes.informed import correlation_priors
from replication.models.random_effects import fit_random_effects

__all__ = ["quick_finding"]

_SOURCES: tuple[Source, ...] = ("samples45", "new", "together")
_NORMAL = 1.959963984540054


def quick_finding(context: Context, asked: tuple[Asked, ...]) -> Findings:
    """Random effects (REML, Knapp–Hartung), CHE model and posterior on each question and body of evidence."""
    bodies = [body for one in asked for body in _bodies(context.data, one.question)]
    answered = [list(_estimates(body)) for body in bodies]
    figures = tuple(_forest(body, estimates[-1]) for body, estimates in zip(bodies, answered, strict=True))
    exclusions = dict.fromkeys(excluded for body in bodies for excluded in body.selection.excluded)
    return Findings(
        estimates=tuple(e for estimates in answered for e in estimates), figures=figures, exclusions=tuple(exclusions)
    )


def _bodies(data: Dataset, question: Question) -> list[Evidence]:
    """What there is to pool: the 45 samples and new ones, and both together where there are both."""
    found = [evidence(data, question, source) for source in _SOURCES]
    apart = [body for body in found[:2] if len(body.y) > 1]
    return [*apart, *found[2:]] if all(len(body.y) for body in found[:2]) else apart


def _estimates(found: Evidence) -> Iterator[Estimate]:
    means = sample_means(found)
    fit = fit_random_effects(means.y, means.v, method="REML", test="knha")
    label = f"{found.question.label}, {found.source}"
    rows = tuple(found.rows["effect_id"])
    yield replace(in_r(fit, means, "reml", f"{label}: REML, Knapp–Hartung, one value a sample"), rows=rows)
    if len(means.y) < len(found.y):
        yield in_r(che(found), found, "che-0.6", f"{label}: three levels, CHE rho 0.6, CR2")
    if found.source != "samples45":
        yield posterior_estimate(
            posterior_of(found, correlation_priors()),
            found.selection,
            id=f"{found.question.id}-{found.source}-bayes",
            label=f"{label}: exact posterior, default priors",
        )


def _forest(found: Evidence, main: Estimate) -> Figure:
    """One row an effect, in the order of the dataset, with the main estimate below."""
    weights = 1.0 / (found.v + max(0.0, main.tau2))
    half = _NORMAL * np.sqrt(found.v)
    rows = found.rows
    columns = {
        "row": [str(row) for row in rows["effect_id"]],
        "label": [str(label or sample) for label, sample in zip(rows["label"], rows["sample_id"], strict=True)],
        "value": np.tanh(found.y).tolist(),
        "low": np.tanh(found.y - half).tolist(),
        "high": np.tanh(found.y + half).tolist(),
        "weight": (100 * weights / weights.sum()).tolist(),
        "n": rows["n"].tolist(),
    }
    settings: dict[str, str | float | int | bool | None] = {
        "metric": "r",
        "summary": main.value,
        "summary_low": main.low,
        "summary_high": main.high,
        "prediction_low": main.prediction_low,
        "prediction_high": main.prediction_high,
        "estimate": main.id,
    }
    title = f"{found.question.label} ({found.source})"
    return Figure(
        id=f"forest-{found.question.id}-{found.source}", kind="forest", title=title, columns=columns, settings=settings
    )
