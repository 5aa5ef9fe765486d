"""A finding, put together: published, the 45 samples, the new samples, prediction, update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from replication.analysis.findings.bayes import Bayesian, bayesian_answer, prior_update
from replication.analysis.findings.engines import agreement, engine_estimates
from replication.analysis.findings.entering import entering
from replication.analysis.findings.moderators import age_table, moderator_table
from replication.analysis.findings.published import (
    Prediction,
    predict_samples,
    published_pools,
    published_table,
)
from replication.analysis.findings.question import Evidence, Question, Source, evidence
from replication.analysis.findings.update import leave_one_sample_out, update_table
from replication.analysis.outcome import Context, Estimate, Figure, Findings, Sentence, Table
from replication.claims import Claim, claims_of
from replication.dataset import Dataset, Exclusion

__all__ = ["Asked", "finding"]

SOURCES: tuple[tuple[Source, str], ...] = (
    ("samples45", "the 45 public samples"),
    ("new", "new samples"),
    ("together", "both together"),
)


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
    claims = {claim.id: claim for claim in claims_of(context.data)}
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
    parts.tables.append(published_table(claims, asked.claims, question.id))
    bodies = {source: evidence(context.data, question, source) for source, _ in SOURCES}
    bodies = {source: body for source, body in bodies.items() if len(body.y)}
    if "samples45" not in bodies:
        bodies.pop("together", None)  # nothing public to join the new samples with
    steps = []
    for source, label in SOURCES:
        if source in bodies:
            main = _engines(bodies[source], label, parts)
            steps.append((label, main))
    parts.sentences.append(_how_sure(question, steps))
    new = bodies.get("new")
    if new is None:
        return
    parts.tables += [moderator_table(new), age_table(context.data, new)]
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
    parts.tables += [table, update_table(question.id, question.label, steps), *entering(widest, steps[-1][1])]
    parts.figures.append(figure)
    _update_sentence(question, steps, parts)
    parts.tables.append(_caveats(context.data, widest))


def _how_sure(question: Question, steps: list[tuple[str, Estimate]]) -> Sentence:
    """A rule, not a mood: do old and new samples each exclude zero on one side, and would a further sample too?"""
    signs = {np.sign(e.low) if e.low * e.high > 0 else 0.0 for _, e in steps}
    agree = len(steps) > 1 and len(signs) == 1 and signs != {0.0}
    last = steps[-1][1]
    how = "low"
    if agree:
        how = "high" if last.prediction_low * last.prediction_high > 0 else "moderate"
    return Sentence("finding.sure", {"question": question.id, "how": how, "bodies": len(steps)})


def _expected(data: Dataset, question: Question) -> int:
    """The sign expected when good goes with good; relationship quality counts as positive."""
    relationship = "positive" if question.quality else question.relationships[0]
    return data.vocabulary.expected_sign(relationship, question.outcome)


def _add_bayes(answer: Bayesian, parts: _Parts) -> None:
    parts.estimates += answer.estimates
    parts.tables += answer.tables
    parts.figures += answer.figures


def _caveats(data: Dataset, found: Evidence) -> Table:
    """What trips a reader of these rows: the traps recorded for the works they come from."""
    works = set(found.rows["work"])
    rows = tuple((trap.title, trap.text) for trap in data.traps if works & set(trap.works))
    title = f"{found.question.label}: read this before using the numbers"
    return Table(id=f"caveats-{found.question.id}", title=title, columns=("caveat", "what it means"), rows=rows)


def _engines(found: Evidence, label: str, parts: _Parts) -> Estimate:
    """All engines on one body of evidence; returns the main one: CHE with rho 0.6, or REML where rows are single."""
    estimates = engine_estimates(found)
    table, figure = agreement(found, estimates, f"{found.question.label}: {label}")
    parts.estimates += estimates
    parts.tables.append(table)
    parts.figures.append(figure)
    parts.exclusions |= dict.fromkeys(found.selection.excluded)
    by_engine = {e.id.removeprefix(f"{found.question.id}-{found.source}-"): e for e in estimates}
    main = by_engine.get("che-0.6", by_engine["reml"])
    usable = [e.value for e in estimates if e.group == "heterogeneity" and e.value == e.value]
    parts.sentences.append(
        Sentence(
            "finding.estimate",
            {
                "question": found.question.id,
                "source": found.source,
                "r": main.value,
                "low": main.low,
                "high": main.high,
                "prediction_low": main.prediction_low,
                "prediction_high": main.prediction_high,
                "samples": main.samples,
                "effects": main.k,
                "engine_low": min(usable),
                "engine_high": max(usable),
            },
        )
    )
    return main


def _heterogeneity(steps: list[tuple[str, Estimate]]) -> tuple[float, str]:
    """tau2 for predictions: from the 45 samples where they bear on the question, else from the new samples."""
    label, estimate = steps[0]
    return estimate.tau2, f"from {label} (no source prints one)"


def _add_prediction(prediction: Prediction, claim: Claim, question: Question, parts: _Parts) -> None:
    parts.estimates += [prediction.estimate, prediction.difference]
    parts.tables.append(prediction.table)
    parts.figures.append(prediction.figure)
    counts: dict[str, str | float] = {
        "inside": prediction.inside,
        "total": prediction.total,
        "p": prediction.estimate.p,
        "difference_p": prediction.difference.p,
    }
    parts.sentences.append(Sentence("finding.prediction", {"question": question.id, "claim": claim.id, **counts}))


def _update_sentence(question: Question, steps: list[tuple[str, Estimate]], parts: _Parts) -> None:
    if len(steps) < 3:
        return
    before, after = steps[0][1], steps[-1][1]
    values: dict[str, str | float] = {
        "question": question.id,
        "before": before.value,
        "after": after.value,
        "moved": after.value - before.value,
    }
    parts.sentences.append(Sentence("finding.update", values))
