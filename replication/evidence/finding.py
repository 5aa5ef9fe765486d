"""A finding, put together: published, the 45 samples, the new samples, prediction, update.

A finding in short: its main estimates and a forest plot of each body of evidence, for a preview in seconds.

The most evidence there is also gets the exact posterior, so that a preview shows how a new study updates it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from replication.analysis.outcome import (
    Cell,
    Context,
    Estimate,
    Figure,
    Findings,
    Number,
    Ref,
    Section,
    Sentence,
    Table,
    numbers,
    placed,
)
from replication.claims import Claim, claims_by_id
from replication.dataset import Dataset, Exclusion
from replication.evidence.bayes import Bayesian, bayesian_answer, posterior_estimate, posterior_of, prior_update
from replication.evidence.estimators import agreement, back_transform, che, estimator_estimates
from replication.evidence.moderators import age_table, moderator_table
from replication.evidence.published import Prediction, predict_samples, published_pools, published_table
from replication.evidence.question import Evidence, Question, Source, evidence, sample_means
from replication.evidence.update import entering, leave_one_sample_out, update_table
from replication.models.bayes.priors.informed import correlation_priors
from replication.models.two_level.random_effects import fit_random_effects

__all__ = ["Asked", "finding", "quick_finding"]

SOURCES: tuple[tuple[Source, str], ...] = (
    ("samples45", "the 45 public samples"),
    ("new", "new samples"),
    ("together", "both together"),
)


SECTION_OF: Mapping[Source, Section] = {"samples45": "known", "new": "new", "together": "update"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question with the claims that print an answer, and those among them that are pools to predict from."""

    question: Question
    claims: tuple[str, ...]
    predict_from: tuple[str, ...] = ()


@dataclass(slots=True)
class _Parts:
    """What is collected on the way; local to one finding."""

    estimates: list[Estimate] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    sentences: list[Sentence] = field(default_factory=list)
    exclusions: dict[Exclusion, None] = field(default_factory=dict)


def finding(context: Context, asked: tuple[Asked, ...]) -> Findings:
    """Every question of a finding, answered by every body of evidence that bears on it."""
    claims = claims_by_id(context.data)
    parts = _Parts()
    for one in asked:
        _answer(context, one, claims, parts)
    return Findings(
        estimates=tuple(parts.estimates),
        tables=tuple(parts.tables),
        figures=tuple(parts.figures),
        sentences=tuple(parts.sentences),
        exclusions=tuple(parts.exclusions),
    )


def _answer(context: Context, asked: Asked, claims: Mapping[str, Claim], parts: _Parts) -> None:
    question = asked.question
    parts.tables += placed("published", [published_table(claims, asked.claims, question.id)])
    bodies = {source: evidence(context.data, question, source) for source, _ in SOURCES}
    bodies = {source: body for source, body in bodies.items() if len(body.y)}
    if "samples45" not in bodies:
        bodies.pop("together", None)  # nothing public to join the new samples with
    steps = []
    for source, label in SOURCES:
        if source in bodies:
            main = _estimators(bodies[source], label, parts)
            steps.append((label, main))
    parts.sentences.append(_how_sure(question, steps))
    new = bodies.get("new")
    if new is None:
        return
    parts.tables += placed("robustness", [moderator_table(new), age_table(context.data, new)])
    heterogeneity, source_of = _heterogeneity(steps)
    for pool in published_pools(claims, asked.predict_from, heterogeneity):
        prediction = predict_samples(pool, heterogeneity, source_of, new)
        _add_prediction(prediction, pool.claim, question, parts)
    widest = bodies.get("together", new)
    expected = _expected(context.data, question)
    _add_bayes(bayesian_answer(widest, expected), parts)
    for pool in published_pools(claims, asked.predict_from[:1], heterogeneity):
        _add_bayes(prior_update(new, pool, expected), parts)
    table, figure = leave_one_sample_out(widest, steps[-1][1])
    parts.tables += placed("drivers", [table, *entering(widest, steps[-1][1])])
    parts.tables += placed("update", [update_table(question.id, question.label, steps)])
    parts.figures += placed("drivers", [figure])
    _update_sentence(question, steps, parts)
    parts.tables += placed("care", [_caveats(context.data, widest)])


def _how_sure(question: Question, steps: list[tuple[str, Estimate]]) -> Sentence:
    """A rule, not a mood: do old and new samples each exclude zero on one side, and would a further sample too?"""
    signs = {np.sign(e.low) if e.low * e.high > 0 else 0.0 for _, e in steps}
    agree = len(steps) > 1 and len(signs) == 1 and signs != {0.0}
    last = steps[-1][1]
    how = "low"
    if agree:
        how = "high" if last.prediction_low * last.prediction_high > 0 else "moderate"
    return Sentence("finding.sure", {"question": question.id, "how": how}, "sure")


def _expected(data: Dataset, question: Question) -> int:
    """The sign expected when good goes with good; relationship quality counts as positive."""
    relationship = "positive" if question.quality else question.relationships[0]
    return data.vocabulary.expected_sign(relationship, question.outcome)


def _add_bayes(answer: Bayesian, parts: _Parts) -> None:
    parts.estimates += placed("bayes", answer.estimates)
    parts.tables += placed("bayes", answer.tables)
    parts.figures += placed("bayes", answer.figures)


def _caveats(data: Dataset, found: Evidence) -> Table:
    """What trips a reader of these rows: the traps recorded for the works they come from."""
    works = set(found.rows["work"])
    rows = tuple((trap.title, trap.text) for trap in data.traps if works & set(trap.works))
    title = f"{found.question.label}: read this before using the numbers"
    return Table(id=f"caveats-{found.question.id}", title=title, columns=("caveat", "what it means"), rows=rows)


def _estimators(found: Evidence, label: str, parts: _Parts) -> Estimate:
    """All estimators on one body of evidence; returns the main one: CHE with rho 0.6, or REML where rows are single."""
    estimates = estimator_estimates(found)
    table, figure = agreement(found, estimates, f"{found.question.label}: {label}")
    section = SECTION_OF[found.source]
    parts.estimates += placed(section, estimates)
    parts.tables += placed(section, [table])
    parts.figures += placed(section, [figure])
    parts.exclusions |= dict.fromkeys(found.selection.excluded)
    by_estimator = {e.id.removeprefix(f"{found.question.id}-{found.source}-"): e for e in estimates}
    main = by_estimator.get("che-0.6", by_estimator["reml"])
    usable = [e.value for e in estimates if e.group == "heterogeneity" and e.value == e.value]
    shown = {
        "r": main.value,
        "low": main.low,
        "high": main.high,
        "prediction_low": main.prediction_low,
        "prediction_high": main.prediction_high,
        "samples": main.samples,
        "effects": main.k,
    }
    parts.sentences.append(
        Sentence(
            "finding.estimate",
            {
                "question": found.question.id,
                "source": found.source,
                **numbers(shown, Ref("estimate", main.id)),
                **numbers({"engine_low": min(usable), "engine_high": max(usable)}, Ref("table", table.id)),
            },
            section,
        )
    )
    return main


def _heterogeneity(steps: list[tuple[str, Estimate]]) -> tuple[float, str]:
    """tau2 for predictions: from the 45 samples where they bear on the question, else from the new samples."""
    label, estimate = steps[0]
    return estimate.tau2, f"from {label} (no source prints one)"


def _add_prediction(prediction: Prediction, claim: Claim, question: Question, parts: _Parts) -> None:
    parts.estimates += placed("prediction", [prediction.estimate, prediction.difference])
    parts.tables += placed("prediction", [prediction.table])
    parts.figures += placed("prediction", [prediction.figure])
    counts = {
        **numbers({"inside": prediction.inside, "total": prediction.total}, Ref("table", prediction.table.id)),
        "p": Number(prediction.estimate.p, Ref("estimate", prediction.estimate.id)),
        "difference_p": Number(prediction.difference.p, Ref("estimate", prediction.difference.id)),
    }
    values: dict[str, Cell | Number] = {"question": question.id, "claim": claim.id, **counts}
    parts.sentences.append(Sentence("finding.prediction", values, "prediction"))


def _update_sentence(question: Question, steps: list[tuple[str, Estimate]], parts: _Parts) -> None:
    if len(steps) < 3:
        return
    before, after = steps[0][1], steps[-1][1]
    moved = after.value - before.value
    values: dict[str, Cell | Number] = {
        "question": question.id,
        "before": Number(before.value, Ref("estimate", before.id)),
        "after": Number(after.value, Ref("estimate", after.id)),
        "moved": Number(moved, Ref("table", f"update-{question.id}")),
    }
    parts.sentences.append(Sentence("finding.update", values, "update"))


_SOURCES: tuple[Source, ...] = ("samples45", "new", "together")
_NORMAL = 1.959963984540054


def quick_finding(context: Context, asked: tuple[Asked, ...]) -> Findings:
    """Random effects (REML, Knapp–Hartung), CHE model and posterior on each question and body of evidence."""
    bodies = [body for one in asked for body in _bodies(context.data, one.question)]
    answered = [list(_estimates(body)) for body in bodies]
    figures = tuple(_forest(body, estimates[-1]) for body, estimates in zip(bodies, answered, strict=True))
    exclusions = dict.fromkeys(excluded for body in bodies for excluded in body.selection.excluded)
    return Findings(
        estimates=placed("more", (e for estimates in answered for e in estimates)),
        figures=placed("more", figures),
        exclusions=tuple(exclusions),
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
    yield replace(back_transform(fit, means, "reml", f"{label}: REML, Knapp–Hartung, one value a sample"), rows=rows)
    if len(means.y) < len(found.y):
        yield back_transform(che(found), found, "che-0.6", f"{label}: three levels, CHE rho 0.6, CR2")
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
