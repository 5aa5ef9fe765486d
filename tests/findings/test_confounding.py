"""Adjusted associations: computed from the sample's own correlations, on the same rows, and never more than that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from replication.analysis.outcome import Label
from replication.dataset import Dataset, Selection
from replication.effects.correlation import partial_from_correlations
from replication.errors import UserError
from replication.evidence.confounding import adjusted_rows, confounding, covariates
from replication.evidence.question import Evidence, Question, evidence
from replication.report.words import load_words

QUESTION = Question("positive-achievement", "positive relationship with achievement", ("positive",), "achievement")


@pytest.fixture(scope="module")
def pool(dataset: Dataset) -> Evidence:
    return evidence(dataset, QUESTION, "pool")


def test_one_covariate_by_the_formula_of_every_textbook() -> None:
    x, y, z = 0.5, 0.4, 0.3  # r of 1 with 2, 1 with 3, 2 with 3
    expected = (x - y * z) / np.sqrt((1 - y**2) * (1 - z**2))
    assert partial_from_correlations([[1, x, y], [x, 1, z], [y, z, 1]]) == pytest.approx(expected, rel=1e-12)


def test_partial_correlations_are_those_of_regression_residuals() -> None:
    """Brute force on data: the correlation of what is left of both after regressing them on the rest."""
    data = np.random.default_rng(3).normal(size=(200, 4)) @ np.random.default_rng(4).normal(size=(4, 4))
    rest = np.column_stack([np.ones(200), data[:, 2:]])
    left = data[:, :2] - rest @ np.linalg.lstsq(rest, data[:, :2], rcond=None)[0]
    assert partial_from_correlations(np.corrcoef(data.T)) == pytest.approx(np.corrcoef(left.T)[0, 1], rel=1e-9)


def test_correlations_that_contradict_each_other_have_no_partial() -> None:
    with pytest.raises(UserError, match="contradict"):
        partial_from_correlations([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])


def test_a_lagged_row_of_real_data_by_hand(dataset: Dataset, pool: Evidence) -> None:
    """NELS:88, grade 8 to grade 12: .2283 alone, .0556 given the tests of grade 8 (.2383 with them, .8326 with it)."""
    (row,) = [r for r in adjusted_rows(dataset, pool, ["earlier_achievement"]) if r.effect_id.startswith("nels1988")]
    expected = (0.2283 - 0.2383 * 0.8326) / np.sqrt((1 - 0.2383**2) * (1 - 0.8326**2))
    assert row.plain == pytest.approx(0.2283) and row.adjusted == pytest.approx(expected)
    assert row.n == 491 and row.variance == pytest.approx(1 / (491 - 1 - 3))


def test_the_smallest_of_all_pairs_counts(dataset: Dataset, pool: Evidence) -> None:
    """Given both covariates the pair with fewest complete cases is earlier with later tests, and not the last one."""
    (row,) = [r for r in adjusted_rows(dataset, pool, covariates(dataset)[2]) if r.effect_id.startswith("nels1988")]
    assert row.n == 491 and row.variance == pytest.approx(1 / (491 - 2 - 3))


def test_plain_is_the_row_of_the_pool_not_one_within_schools(dataset: Dataset, pool: Evidence) -> None:
    pooled = dict(zip(pool.rows["effect_id"], np.tanh(pool.y), strict=True))
    rows = adjusted_rows(dataset, pool, ["ses"])
    assert [row.plain for row in rows] == pytest.approx([pooled[row.effect_id] for row in rows])


def test_a_test_is_not_held_constant_for_itself(dataset: Dataset, pool: Evidence) -> None:
    rows = {row.effect_id for row in adjusted_rows(dataset, pool, ["earlier_achievement"])}
    by_measure = pool.rows.set_index("effect_id").loc[sorted(rows), "measure_b"]
    assert not {"tests-grade-8", "mathematics-test"} & set(by_measure) and len(rows) == 2


def test_a_turned_row_is_turned_after_adjusting(dataset: Dataset) -> None:
    quality = evidence(dataset, replace(QUESTION, relationships=("positive", "negative")), "pool")
    negative = evidence(dataset, replace(QUESTION, relationships=("negative",)), "pool")
    turned = {row.effect_id: row for row in adjusted_rows(dataset, quality, ["ses"])}
    alone = adjusted_rows(dataset, negative, ["ses"])
    assert alone and all(turned[row.effect_id].adjusted == pytest.approx(-row.adjusted) for row in alone)


def test_plain_and_adjusted_means_rest_on_the_same_rows(dataset: Dataset, pool: Evidence) -> None:
    found = confounding(dataset, pool)
    estimates = {e.id: e for e in found.estimates}
    one, other = (estimates[f"positive-achievement-given-ses-{name}"] for name in ("plain", "adjusted"))
    assert one.rows == other.rows and one.samples == other.samples >= 10
    assert set(one.rows) == {row.effect_id for row in adjusted_rows(dataset, pool, ["ses"])}
    assert other.method["held constant"] == "ses" and one.method["held constant"] == "nothing"


def test_two_samples_give_rows_and_no_mean(dataset: Dataset, pool: Evidence) -> None:
    found = confounding(dataset, pool)
    assert not any("earlier" in estimate.id for estimate in found.estimates)
    keys = [sentence.key for sentence in found.sentences]
    assert keys == ["confounding.means", "confounding.rows", "confounding.rows", "confounding.limits"]


def test_a_mean_needs_samples_enough(dataset: Dataset, pool: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {row.effect_id for row in adjusted_rows(dataset, pool, ["ses"])}
    samples = pool.rows.loc[pool.rows["effect_id"].isin(rows), "sample_id"].nunique()
    for least, made in ((samples, 2), (samples + 1, 0)):
        monkeypatch.setattr("replication.evidence.confounding.FEWEST_SAMPLES", least)
        assert len(confounding(dataset, pool).estimates) == made


def test_heads_name_one_covariate_and_count_several(dataset: Dataset, pool: Evidence) -> None:
    (table,) = confounding(dataset, pool).tables
    heads = [Label("r_given", {"construct": given[0]}) if len(given) == 1 else "r_given_both"
             for given in covariates(dataset) if len(given) < 3]  # fmt: skip
    assert list(table.columns[:3]) == ["row", "months_later", "r"] and "r_given_both" in heads
    assert [head for head in table.columns[3:] if head != "r_given_all"] == heads


def test_the_table_says_how_much_later(dataset: Dataset, pool: Evidence) -> None:
    (table,) = confounding(dataset, pool).tables
    rows = dict(zip((link.id for link in table.links if link), table.rows, strict=True))
    assert rows["nels1988_usa_subset-004"][1] == 48 and rows["nels1988_usa_subset-003"][1] == 0
    assert rows["nels1988_usa_subset-003"][4] is None, "the tests of grade 8 are their own earlier tests"


def test_a_body_without_covariates_gets_nothing(dataset: Dataset) -> None:
    found = confounding(dataset, evidence(dataset, QUESTION, "published"))
    assert not (found.estimates or found.tables or found.sentences)


def test_contradicting_correlations_are_said_and_not_averaged(dataset: Dataset, pool: Evidence) -> None:
    """A made sample in which the relationship cannot have these three correlations at once."""
    own = {("positive", "achievement"): 0.9, ("positive", "ses"): -0.9, ("achievement", "ses"): 0.9}
    template = dataset.effects.iloc[[0]]
    made = pd.concat(
        [
            template.assign(
                effect_id=f"x{i}", sample_id="x", var_a=a, var_b=b, measure_a=a, measure_b=b, value=r, n=100.0,
                n_effective=np.nan, value_weighted=np.nan, statistic="r",
            )
            for i, ((a, b), r) in enumerate(own.items())
        ]
    )  # fmt: skip
    data = replace(dataset, tables={**dataset.tables, "effects.csv": made})
    rows = made.iloc[[0]].assign(sign=1.0, label="x").reset_index(drop=True)
    one = Evidence(QUESTION, "open", Selection(rows), rows, np.arctanh([0.9]), np.array([0.01]))
    assert np.isnan(adjusted_rows(data, one, ["ses"])[0].adjusted)
    found = confounding(data, one)
    assert found.tables[0].rows[0][3] == "correlations_contradict_each_other" and found.estimates == ()


@pytest.mark.parametrize("language", ["en", "nb"])
def test_every_sentence_is_worded(dataset: Dataset, pool: Evidence, language: str) -> None:
    for sentence in confounding(dataset, pool).sentences:
        values = {name: getattr(value, "value", value) for name, value in sentence.values.items()}
        text = str(load_words(language).sentence(sentence.key, values))
        assert "{" not in text and "given_" not in text
