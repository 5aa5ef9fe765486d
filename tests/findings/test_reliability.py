"""Correction for attenuation: by hand, with what is recorded, assumed and left as it is kept apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from replication.analysis.outcome import Label, Number, Ref
from replication.dataset import Dataset
from replication.evidence import reliability
from replication.evidence.main_model import estimate_body
from replication.evidence.question import Question, evidence
from replication.evidence.reliability import attenuation, corrected_evidence

QUESTION = Question("positive-victimization", "x", ("positive",), "victimization")


def with_reliabilities(dataset: Dataset, value: float | None) -> Dataset:
    """A copy in which every recorded reliability is `value`, or in which none is recorded."""
    table = dataset.table("descriptives.csv").copy()
    table["reliability"] = np.where(table["reliability"].notna() & (value is not None), value or np.nan, np.nan)
    return replace(dataset, tables={**dataset.tables, "descriptives.csv": table})


def test_a_row_by_hand(dataset: Dataset) -> None:
    """ICCS Italy, two scales with recorded alphas: r over the root of both, its standard error alike."""
    found = evidence(dataset, QUESTION, "open")
    made = corrected_evidence(dataset, found)
    at = int(np.flatnonzero((made.found.rows["sample_id"] == "iccs2016_ita").to_numpy())[0])
    table = dataset.table("descriptives.csv").set_index(["sample_id", "measure"])["reliability"]
    alphas = table["iccs2016_ita", "s-stutrel"] * table["iccs2016_ita", "s-abuse"]
    r, v = np.tanh(made.found.y[at]), made.found.v[at]
    assert bool(made.recorded[at])
    assert np.tanh(made.body.y[at]) == pytest.approx(r / np.sqrt(alphas))
    se_r = np.sqrt(v) * (1 - r**2) / np.sqrt(alphas)
    assert np.sqrt(made.body.v[at]) == pytest.approx(se_r / (1 - r**2 / alphas))


def test_one_question_stays_as_it_is_and_is_counted(dataset: Dataset) -> None:
    found = evidence(dataset, QUESTION, "open")
    made = corrected_evidence(dataset, found)
    one = (made.found.rows["form_rel"] == "single item").to_numpy()
    assert one.any() and made.bare[one].all() and not made.recorded[one].any()
    both = one & (made.found.rows["form_out"] == "single item").to_numpy()
    assert made.body.y[both] == pytest.approx(made.found.y[both])


def test_an_index_without_a_reliability_takes_the_median_and_says_so(dataset: Dataset) -> None:
    table = dataset.table("descriptives.csv").copy()
    gone = (table["sample_id"] == "iccs2016_ita") & (table["measure"] == "s-stutrel")
    table.loc[gone, "reliability"] = np.nan
    copy = replace(dataset, tables={**dataset.tables, "descriptives.csv": table})
    made = corrected_evidence(copy, evidence(copy, QUESTION, "open"))
    at = (made.found.rows["sample_id"] == "iccs2016_ita").to_numpy()
    assert made.assumed[at].all() and not made.recorded[at].any()
    median = table.loc[table["variable"] == "positive", "reliability"].median()
    own = table.set_index(["sample_id", "measure"])["reliability"]["iccs2016_ita", "s-abuse"]
    assert np.tanh(made.body.y[at]) == pytest.approx(np.tanh(made.found.y[at]) / np.sqrt(median * own))


def test_a_test_is_not_corrected(dataset: Dataset) -> None:
    question = Question("positive-achievement", "x", ("positive",), "achievement")
    made = corrected_evidence(dataset, evidence(dataset, question, "open"))
    tests = (made.found.rows["form_out"] == "test").to_numpy() & made.recorded.astype(bool)
    ratio = np.tanh(made.body.y[tests]) / np.tanh(made.found.y[tests])
    table = dataset.table("descriptives.csv")
    alphas = set((1 / np.sqrt(table.loc[table["variable"] == "positive", "reliability"].dropna())).round(6))
    assert tests.any() and {round(float(x), 6) for x in ratio} <= alphas


def test_reliabilities_of_one_change_nothing_and_low_ones_much(dataset: Dataset) -> None:
    perfect, poor = with_reliabilities(dataset, 1.0), with_reliabilities(dataset, 0.5)
    found = {name: attenuation(d, evidence(d, QUESTION, "open")) for name, d in (("perfect", perfect), ("poor", poor))}
    before, after = found["perfect"].estimates[:2]
    assert after.value == pytest.approx(before.value)
    assert found["poor"].estimates[1].value == pytest.approx(2 * before.value, rel=0.05)
    assert found["poor"].sentences[0].key == "reliability.corrected"


def test_without_recorded_reliabilities_nothing_is_said(dataset: Dataset) -> None:
    copy = with_reliabilities(dataset, None)
    assert not attenuation(copy, evidence(copy, QUESTION, "open")).estimates


def test_the_table_holds_the_same_rows_before_and_after_and_all_rows(dataset: Dataset) -> None:
    found = evidence(dataset, QUESTION, "open")
    made, page = corrected_evidence(dataset, found), attenuation(dataset, found)
    whole = made.recorded.astype(bool)
    assert (whole == ~(made.assumed.astype(bool) | made.bare.astype(bool))).all() and 0 < whole.sum() < len(whole)
    bodies = (made.found.take(whole), made.body.take(whole), made.body)
    (table,) = page.tables
    for body, row, estimate in zip(bodies, table.rows, page.estimates, strict=True):
        expected = estimate_body(body)
        assert row[1:4] == pytest.approx((expected.centre, expected.mean.low, expected.mean.high), abs=1e-9)
        assert row[1:] == (estimate.value, estimate.low, estimate.high, len(body.y), len(set(body.samples)))
    assert [str(row[0]) for row in table.rows] == ["uncorrected_recorded", "corrected_recorded", "corrected_all"]
    assert table.links == tuple(Ref("estimate", e.id) for e in page.estimates)
    assert isinstance(table.note, Label)
    assert dict(table.note.values) == {"assumed": made.assumed.sum(), "bare": made.bare.sum(), "beyond": 0}
    said = {n: v.value for n, v in page.sentences[0].values.items() if isinstance(v, Number)}
    before, after = table.rows[:2]
    assert said == {
        "before": before[1], "before_low": before[2], "before_high": before[3], "after": after[1],
        "after_low": after[2], "after_high": after[3], "samples": before[5],
    }  # fmt: skip


def test_a_value_that_would_pass_one_is_left_out_and_counted(dataset: Dataset) -> None:
    found = evidence(dataset, QUESTION, "open")
    at = int(np.flatnonzero((found.rows["sample_id"] == "iccs2016_ita").to_numpy())[0])
    far = replace(found, y=np.where(np.arange(len(found.y)) == at, np.arctanh(-0.9), found.y))
    made = corrected_evidence(dataset, far)
    assert made.beyond == 1 and len(made.body.y) == len(made.found.y) == len(found.y) - 1
    assert found.rows["effect_id"].iloc[at] not in set(made.body.rows["effect_id"])
    assert len(made.recorded) == len(made.body.y) and corrected_evidence(dataset, found).beyond == 0


def test_fewer_than_three_samples_are_not_pooled(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    found = evidence(dataset, QUESTION, "open")
    made = corrected_evidence(dataset, found)
    samples = len(set(made.body.samples[made.recorded.astype(bool)]))
    for least, shown in ((samples, True), (samples + 1, False)):
        monkeypatch.setattr(reliability, "FEWEST_SAMPLES", least)
        assert bool(attenuation(dataset, found).estimates) is shown
