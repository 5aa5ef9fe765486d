"""As published and as of today, and what to read next: the tables rest on the rows, and their steps add up."""

from __future__ import annotations

import math

import numpy as np
import pytest

from replication.analysis.outcome import Label, Ref
from replication.dataset import Dataset
from replication.evidence import update
from replication.evidence.estimators import back_transform, che
from replication.evidence.question import Question, evidence
from replication.evidence.reading_list import ToRead, reading_findings, reading_list
from replication.evidence.update import entering
from replication.models.two_level.random_effects import fit_random_effects
from replication.report.words import worded

QUALITY = Question("quality-engagement", "quality with engagement", ("positive", "negative"), "engagement")
NEGATIVE = Question("negative-engagement", "negative with engagement", ("negative",), "engagement")


def test_the_steps_lead_from_the_published_rows_to_all_rows(dataset: Dataset) -> None:
    found = evidence(dataset, QUALITY, "pool")
    whole = back_transform(che(found), found, "che-0.6", "all rows")
    steps, came = entering(found, whole)
    published = np.array(["jakcheung2018" in cell for cell in found.rows["used_in"]])
    alone = found.take(published)
    assert steps.rows[0][:2] == ("as_published", published.sum())
    assert steps.rows[0][2] == pytest.approx(np.tanh(che(alone).beta[0]), rel=1e-9)
    moves = [float(str(row[3])) for row in steps.rows[1:-1]]
    assert sum(moves) == pytest.approx(float(str(steps.rows[-1][3])), abs=1e-9)
    assert steps.rows[-2][2] == pytest.approx(whole.value, rel=1e-9)
    assert steps.rows[1][0] == "roorda2011", "what the published analysis dropped comes before what is new"
    assert {link.id for link in came.links if link} == set(found.rows.loc[~published, "effect_id"])
    assert sum(int(str(row[1])) for row in steps.rows[:-1]) == len(published)


def test_of_many_works_the_smaller_ones_of_a_version_come_in_together(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = evidence(dataset, QUALITY, "pool")
    whole = back_transform(che(found), found, "che-0.6", "all rows")
    every, _ = entering(found, whole)
    monkeypatch.setattr(update, "MOST_STEPS", 3)
    steps, _ = entering(found, whole)
    alone = [row for row in steps.rows[1:-1] if isinstance(row[0], str)]
    others = [row for row in steps.rows[1:-1] if isinstance(row[0], Label)]
    counts = sorted((int(str(row[1])) for row in every.rows[1:-1]), reverse=True)
    assert sorted((int(str(row[1])) for row in alone), reverse=True) == counts[:3]
    assert sum(int(str(row[0].values["n"])) for row in others if isinstance(row[0], Label)) == len(counts) - 3
    assert sum(int(str(row[1])) for row in steps.rows[:-1]) == len(found.y)
    assert steps.rows[-2][2] == pytest.approx(every.rows[-2][2], rel=1e-9), "all rows are in at the end"
    assert [link is None for link in steps.links[1:-1]] == [isinstance(row[0], Label) for row in steps.rows[1:-1]]
    assert "of version 1." in worded(others[0][0])


def test_single_rows_a_sample_step_by_reml(dataset: Dataset) -> None:
    """Where every sample has one row, the first step is the two-level model on the published rows."""
    found = evidence(dataset, NEGATIVE, "published")
    whole = back_transform(fit_random_effects(found.y, found.v), found, "reml", "all rows")
    steps, _ = entering(found, whole)
    used = np.array(["jakcheung2018" in cell for cell in found.rows["used_in"]])
    expected = np.tanh(fit_random_effects(found.y[used], found.v[used]).beta[0])
    assert steps.rows[0][2] == pytest.approx(expected, rel=1e-12)


def test_rows_that_nobody_published_have_no_steps(dataset: Dataset) -> None:
    found = evidence(dataset, QUALITY, "open")
    whole = back_transform(che(found), found, "che-0.6", "new rows")
    assert entering(found, whole) == ()


def test_the_reading_list_ranks_by_what_it_would_tell(dataset: Dataset) -> None:
    entries = reading_list(dataset)
    (table,) = reading_findings(entries).tables
    assert len(table.rows) + sum(entry.kind == "lead" for entry in entries) == len(entries)
    weights = [row[4].values["share"] if isinstance(row[4], Label) else 0.0 for row in table.rows]
    assert weights == sorted(weights, reverse=True)
    assert table.links[0] == Ref("work", "marengo2021") and table.rows[0][0] == "marengo2021"


def test_a_guessed_n_stands_in_brackets() -> None:
    entry = ToRead(
        "work1999", True, "coefficient", ("a with b",), "table 2", (("a", "b"),), 250.0, False, 0.25, ("d01",)
    )
    (row,) = reading_findings([entry]).tables[0].rows
    assert (*row[:4], row[5]) == ("work1999", "only_direction", "a with b", "table 2", 1)
    assert worded(row[4]) == "25% of a with b, (n 250)"
    assert math.isfinite(entry.tells)
