"""Samples without known schools: the assumed design effect is measured on the others and touches nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from replication.analysis.outcome import Label
from replication.dataset import Dataset
from replication.evidence.design_effects import typical_design_effect, unknown_designs
from replication.evidence.question import Question, evidence

QUESTION = Question("positive-achievement", "x", ("positive",), "achievement")


def test_the_typical_effect_by_hand(dataset: Dataset) -> None:
    """Every row with a design set to half its n: the median is (n - 3) / (n / 2 - 3) of the middle row."""
    effects = dataset.effects.copy()
    held = (effects["unit"] == "student") & effects["n_effective_df"].notna()
    effects.loc[held, ["n", "n_effective"]] = (1003.0, 503.0)
    found = typical_design_effect(replace(dataset, tables={**dataset.tables, "effects.csv": effects}))
    assert found.median == found.low == found.high == pytest.approx(2.0)
    assert found.rows == held.sum() and found.samples == effects.loc[held, "sample_id"].nunique()


def test_only_rows_without_a_design_weigh_less(dataset: Dataset) -> None:
    found = evidence(dataset, QUESTION, "open")
    unknown = found.rows["n_effective"].isna()
    assert unknown.any() and not unknown.all()
    page = unknown_designs(dataset, found)
    assert page.tables[0].rows[0][4] == len(found.y)
    note = page.tables[0].note
    assert isinstance(note, Label) and note.values["rows"] == unknown.sum()


def test_where_every_design_is_known_nothing_is_assumed(dataset: Dataset) -> None:
    found = evidence(dataset, QUESTION, "open")
    known = found.take(np.asarray(found.rows["n_effective"].notna()))
    assert not unknown_designs(dataset, known).estimates
