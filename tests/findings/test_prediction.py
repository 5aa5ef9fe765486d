"""Leaving out and predicting: what is left out with a sample, the variance of a sample's mean, and exact coverage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from replication.analysis.outcome import Ref
from replication.dataset import Dataset, Selection
from replication.evidence import prediction
from replication.evidence.main_model import Estimated, estimate_body
from replication.evidence.prediction import (
    Predicted,
    binomial_interval,
    coverage,
    left_out_by,
    predict_body,
    prediction_tables,
)
from replication.evidence.question import Evidence, Question
from replication.report.words import worded


def body(z: list[float], samples: str, countries: str) -> Evidence:
    """Open rows of 403 persons each: a letter a row for its sample, and one for its country (a space: unknown)."""
    rows = pd.DataFrame(
        {
            "effect_id": [f"e{i}" for i in range(len(z))],
            "sample_id": list(samples),
            "label": ["", *samples.upper()[1:]],
            "n": 403.0,
            "country": [country.strip() for country in countries],
        }
    )
    question = Question("q", "x", ("positive",), "engagement")
    return Evidence(question, "open", Selection(rows), rows, np.array(z), np.full(len(z), 1 / 400))


def alone(found: Evidence, names: str) -> Estimated:
    """The estimate of some samples of a body and of no others."""
    return estimate_body(found.take(np.isin(found.samples, list(names))))


def ends(predicted: Predicted) -> tuple[float, ...]:
    return (predicted.value, predicted.low, predicted.high, predicted.place)


FIVE = body([0.1, 0.5, 0.2, 0.6, 0.3], "abcde", "PPQQR")


def test_two_samples_predict_nothing_and_what_leaves_one_sample_is_left_undone(dataset: Dataset) -> None:
    two = estimate_body(FIVE.take(np.array([True, True, False, False, False])))
    assert left_out_by(dataset, two, "sample") == ()
    three = estimate_body(body([0.1, 0.5, 0.2], "abc", "PPQ"))
    assert [p.sample for p in left_out_by(dataset, three, "sample")] == ["a", "b", "c"]
    assert [p.sample for p in left_out_by(dataset, three, "country")] == ["c"]


def test_a_country_is_predicted_from_the_others_and_unknown_ones_are_of_their_own(dataset: Dataset) -> None:
    answer = estimate_body(FIVE)
    found = {p.sample: p for p in left_out_by(dataset, answer, "country")}
    (expected,) = predict_body(alone(FIVE, "cde"), FIVE.take(FIVE.samples == "a"))
    assert ends(found["a"]) == pytest.approx(ends(expected), abs=2e-3)
    assert (found["a"].country, found["a"].label, found["b"].label) == ("P", "a", "B")
    unknown = body([0.1, 0.5, 0.2, 0.6, 0.3], "abcde", "  QQR")
    found = {p.sample: p for p in left_out_by(dataset, estimate_body(unknown), "country")}
    (expected,) = predict_body(alone(unknown, "bcde"), unknown.take(unknown.samples == "a"))
    assert ends(found["a"]) == pytest.approx(ends(expected), abs=2e-3) and found["a"].country == ""


def test_samples_that_overlap_are_left_out_together_from_either_side(dataset: Dataset) -> None:
    table = pd.DataFrame({"sample_id": list("abcde"), "overlaps": ["c", None, "", "", ""]})
    data = replace(dataset, tables={**dataset.tables, "samples.csv": table})
    found = {p.sample: p for p in left_out_by(data, estimate_body(FIVE), "sample")}
    for sample, others in (("a", "bde"), ("c", "bde"), ("b", "acde")):
        (expected,) = predict_body(alone(FIVE, others), FIVE.take(FIVE.samples == sample))
        assert ends(found[sample]) == pytest.approx(ends(expected), abs=2e-3), sample


def test_of_very_many_samples_some_are_predicted_evenly_spread_and_it_says_so(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, others = estimate_body(FIVE), body([0.1, 0.2, 0.3, 0.4], "wxyz", "YYZZ")
    every = {p.sample: ends(p) for p in left_out_by(dataset, answer, "sample")}
    monkeypatch.setattr(prediction, "MOST_PREDICTED", 3)
    some = left_out_by(dataset, answer, "sample")
    assert {p.sample: ends(p) for p in some} == {name: every[name] for name in "ace"}
    assert [p.sample for p in predict_body(answer, others)] == ["w", "y", "z"]
    (table, _) = prediction_tables("k", "x", [("each_sample_left_out", some)], 5)
    assert worded(table.note).startswith("Of the 5 samples 3 are predicted") and {row[3] for row in table.rows} == {3}
    assert prediction_tables("k", "x", [("each_sample_left_out", some)], 3)[0].note == "coverage_note"


def test_the_mean_of_rows_that_covary_is_predicted_with_its_own_variance() -> None:
    """Two rows with errors correlated by .6: variance (v1 + v2 + 1.2 sqrt(v1 v2)) / 4, and half the variance within."""
    answer = estimate_body(FIVE)
    others = body([0.2, 0.4], "xx", "YY")
    others = replace(others, v=np.array([0.01, 0.04]))
    (found,) = predict_body(answer, others)
    sampling = (0.01 + 0.04 + 1.2 * 0.1 * 0.2) / 4
    expected = answer.posterior.further_mean(2, sampling)
    assert (found.low, found.high) == pytest.approx(np.tanh(expected.ppf([0.025, 0.975])).tolist(), abs=1e-9)
    assert found.value == pytest.approx(np.tanh(0.3)) and found.place == pytest.approx(float(expected.cdf(0.3)))


def placed_at(place: float, sample: str = "s") -> Predicted:
    return Predicted(sample, sample.upper(), "Norway", 0.3, 0.1, 0.5, place)


def test_coverage_counts_places_within_each_central_part() -> None:
    found = coverage([placed_at(p) for p in (0.02, 0.03, 0.09, 0.12, 0.24, 0.26, 0.5, 0.74, 0.91, 0.98)])
    assert [(c.level, c.inside, c.total) for c in found] == [(0.5, 3, 10), (0.8, 5, 10), (0.95, 8, 10)]
    for c in found:
        test = stats.binomtest(c.inside, c.total).proportion_ci(0.95, method="exact")
        assert (c.low, c.high) == pytest.approx((test.low, test.high), abs=1e-9)


@pytest.mark.parametrize(("successes", "trials"), [(0, 4), (1, 4), (3, 4), (4, 4), (1, 1), (0, 1)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_exact_intervals_of_a_share(successes: int, trials: int, level: float) -> None:
    expected = stats.binomtest(successes, trials).proportion_ci(level, method="exact")
    assert binomial_interval(successes, trials, level) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_tables_show_coverage_of_each_check_and_the_farthest_samples_first() -> None:
    checks = (("left_out", (placed_at(0.4, "near"), placed_at(0.01, "low"), placed_at(0.97, "high"))), ("empty", ()))
    first, *others = prediction_tables("k", "x", checks)
    assert [table.id for table in (first, *others)] == ["prediction-coverage-k", "prediction-0-k"]
    assert [row[:5] for row in first.rows] == [
        ("left_out", 0.5, 1, 3, 1 / 3), ("left_out", 0.8, 1, 3, 1 / 3), ("left_out", 0.95, 2, 3, 2 / 3),
    ]  # fmt: skip
    assert [c[5:] for c in first.rows] == [binomial_interval(n, 3) for n in (1, 1, 2)]
    assert [row[0] for row in others[0].rows] == ["LOW", "HIGH", "NEAR"]
    assert others[0].links == (Ref("row", "low"), Ref("row", "high"), Ref("row", "near"))
    assert others[0].rows[0][1:] == ("Norway", 0.3, 0.1, 0.5, 0.01)
