"""Why the new samples differ: measure, informant of achievement, facet of engagement, survey, and age."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from replication.analysis.outcome import Cell, Label, Table, of
from replication.dataset import Dataset, select
from replication.effects.correlation import back_to_r
from replication.errors import ModelError
from replication.evidence.estimators import che
from replication.evidence.question import RHO, Evidence
from replication.models.fit import Fit
from replication.models.multilevel.robust import wald_test

__all__ = ["age_table", "moderator_table"]

LABELS = {
    "relationship": "positive_or_negative_relationship",
    "form_rel": "how_the_relationship_is_measured",
    "facet": "facet_of_engagement",
    "form_out": "how_the_outcome_is_measured",
    "survey": "survey",
    "school_level": "school_level",
    "scope": "relationship_scope",
    "informants": "informants_of_the_two_sides",
    "sampling": "how_the_sample_was_come_by",
    "status": "publication_status",
    "body": "body_of_evidence",
}
FEWEST = 2


def moderator_table(found: Evidence, fit: Fit | None) -> Table:
    """Means by level of each moderator, from one working model a moderator, and the test that the levels are equal.

    A level needs rows from two samples to be tested; others are shown as left out. `fit` is the one without moderators.
    """
    rows: list[tuple[Cell, ...]] = []
    # A survey's cycles share instruments and sampling, so they are one level: pisa2015 and pisa2018 are "pisa".
    survey = [re.match(r"[a-z]+", work).group() for work in found.rows["work"]]  # type: ignore[union-attr]
    for column, label in LABELS.items():
        # An empty cell is no level.
        levels = np.array(survey if column == "survey" else found.rows[column].fillna("").tolist(), dtype=object)
        if len(set(levels) - {""}) > 1:
            rows += _levels(found, levels, label, fit)
    columns = ("moderator", "level", "r", "low", "high", "effects", "samples", "p_of_equality")
    title = of(found.question.label, "means_by_moderator")
    note = Label("moderators_note", {"rho": RHO})
    return Table(id=f"moderators-{found.question.id}", title=title, columns=columns, rows=tuple(rows), note=note)


def age_table(data: Dataset, found: Evidence) -> Table:
    """The same correlation in the age groups of a survey: parts of one sample, kept out of every pool."""
    rows = []
    for relationship in found.question.relationships:
        selection = select(data, pair=(relationship, found.question.outcome))
        cells = [
            selection.rows[name].tolist() for name in ("subgroup_of", "label", "measure_a", "measure_b", "value", "n")
        ]
        rows += [
            (label, relationship, f"{first} / {second}", value, n)
            for whole, label, first, second, value, n in zip(*cells, strict=True)
            if whole != ""
        ]
    columns = ("part_of_a_sample", "relationship", "measures", "r", "n")
    title = of(found.question.label, "parts_of_samples")
    return Table(id=f"parts-{found.question.id}", title=title, columns=columns, rows=tuple(rows))


def _levels(found: Evidence, levels: NDArray[np.object_], label: str, near: Fit | None) -> list[tuple[Cell, ...]]:
    samples = {level: len(set(found.samples[levels == level])) for level in sorted(set(levels) - {""})}
    # A level of one sample has no variance between samples of its own; it is shown and not tested.
    tested = [level for level, count in samples.items() if count >= FEWEST]
    alone = [level for level, count in samples.items() if count < FEWEST]
    rows: list[tuple[Cell, ...]] = []
    if len(tested) > 1:
        x = np.column_stack([levels == level for level in tested]).astype(float)
        mask = np.asarray(x.any(axis=1))
        part, x = found.take(mask), x[mask]
        # A column per level and no intercept: each coefficient is that level's own mean.
        fit = che(part, x=x, names=tested, near=near)
        intervals, p = back_to_r(fit.interval()), _equality(fit)
        rows += [
            (
                label,
                level,
                float(back_to_r(fit.beta[j])),
                *map(float, intervals[j]),
                int(x[:, j].sum()),
                int(samples[level]),
                p,
            )
            for j, level in enumerate(tested)
        ]
    rows += [
        (
            label,
            Label("one_sample_untested", {"level": level}),
            None,
            None,
            None,
            int((levels == level).sum()),
            int(samples[level]),
            None,
        )
        for level in alone
    ]
    return rows


def _equality(fit: Fit) -> float | None:
    p = len(fit.names)
    contrasts = np.column_stack([np.ones(p - 1), -np.eye(p - 1)])
    try:
        return float(wald_test(fit, contrasts).p)
    # Too few clusters for the contrasts: the means stand, and no p is better than a wrong one.
    except ModelError:
        return None
