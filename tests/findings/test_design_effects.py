"""Samples without known schools: the assumed design effect is measured on the others and touches nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from replication.analysis.outcome import Label, Ref
from replication.dataset import Dataset
from replication.evidence.design_effects import typical_design_effect, unknown_designs
from replication.evidence.main_model import estimate_body
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


def with_sizes(dataset: Dataset, sizes: list[float]) -> Dataset:
    """A copy whose rows with a design have n = 1003 and these effective n in turn, and no other has a design."""
    effects = dataset.effects.copy()
    held = np.flatnonzero((effects["unit"] == "student") & effects["n_effective_df"].notna())
    effects.loc[effects.index[held], "n_effective_df"] = np.nan
    chosen = effects.index[held[: len(sizes)]]
    effects.loc[chosen, "n_effective_df"], effects.loc[chosen, "n"] = 40.0, 1003.0
    effects.loc[chosen, "n_effective"] = sizes
    return replace(dataset, tables={**dataset.tables, "effects.csv": effects})


def test_the_middle_half_of_design_effects_and_none_from_an_effective_n_without_a_variance(dataset: Dataset) -> None:
    """Effects of 1, 2, 4, 5 and 2,000, of which the middle half ends at 2 and 5; an effective n of 3 has none."""
    found = typical_design_effect(with_sizes(dataset, [1003.0, 503.0, 253.0, 203.0, 3.5, 3.0]))
    assert (found.low, found.median, found.high, found.rows) == (*(pytest.approx(x) for x in (2.0, 4.0, 5.0)), 5)
    none = typical_design_effect(with_sizes(dataset, []))
    assert (none.median, none.low, none.high, none.rows, none.samples) == (1.0, 1.0, 1.0, 0, 0)


def test_the_estimate_is_the_model_with_the_wider_rows(dataset: Dataset) -> None:
    """The same body by hand: rows without a design get their variance times the median, the others keep theirs."""
    found = evidence(dataset, QUESTION, "open")
    typical, unknown = typical_design_effect(dataset), found.rows["n_effective"].isna().to_numpy()
    expected = estimate_body(replace(found, v=np.where(unknown, typical.median, 1.0) * found.v))
    page = unknown_designs(dataset, found)
    (estimate,), (table,) = page.estimates, page.tables
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
        (expected.centre, expected.mean.low, expected.mean.high), abs=1e-9
    )
    assert typical.median > 1.0 and estimate.group == "sensitivity" and estimate.id.startswith(QUESTION.id)
    assert table.rows[0][1:] == (estimate.value, estimate.low, estimate.high, len(found.y), len(set(found.samples)))
    assert table.links == (Ref("estimate", estimate.id),)
    note = table.note
    assert isinstance(note, Label)
    assert dict(note.values) == {
        "rows": unknown.sum(), "samples": len(set(found.samples[unknown])), "factor": typical.median,
        "known_rows": typical.rows, "known_samples": typical.samples, "low": typical.low, "high": typical.high,
    }  # fmt: skip


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
