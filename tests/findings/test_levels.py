"""Within and between schools: the same pairs at three levels, and sentences that turn with the data.

Copies of the dataset in which the rows of one level are changed: what is not asked about must not move.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from replication.analysis.outcome import Number
from replication.dataset import Dataset
from replication.evidence.levels import matched_levels, within_between
from replication.evidence.question import Question, evidence

QUESTION = Question("positive-engagement", "positive relationship with engagement", ("positive",), "engagement")


def turned(dataset: Dataset, *, within: float = 0.0, between: float = 0.0, contextual: float | None = None) -> Dataset:
    """A copy whose rows within and between schools are moved on Fisher's z, and whose contextual effects are set."""
    effects = dataset.effects.copy()
    for unit, shift in (("student within school", within), ("school mean", between)):
        at = effects["unit"] == unit
        effects.loc[at, "value"] = np.tanh(np.arctanh(effects.loc[at, "value"].astype(float)) + shift)
    if contextual is not None:
        effects.loc[effects["contextual"].notna(), "contextual"] = contextual
    return replace(dataset, tables={**dataset.tables, "effects.csv": effects})


def keys(dataset: Dataset) -> list[str]:
    said = [s.key for s in within_between(dataset, evidence(dataset, QUESTION, "open")).sentences]
    return [key for key in said if key != "levels.withheld"]


def test_only_pairs_with_all_three_levels_enter(dataset: Dataset) -> None:
    found = evidence(dataset, QUESTION, "open")
    matched = matched_levels(dataset, found)
    effects = dataset.effects.set_index("effect_id")
    plain, within, between = (body.rows["effect_id"] for body in (matched.plain, matched.within, matched.between))
    pair = ["sample_id", "var_a", "measure_a", "var_b", "measure_b"]
    expected = effects.loc[plain, pair].to_numpy().tolist()
    assert effects.loc[within, pair].to_numpy().tolist() == expected
    assert effects.loc[between, pair].to_numpy().tolist() == expected
    assert set(effects.loc[within, "unit"]) == {"student within school"}
    assert set(effects.loc[between, "unit"]) == {"school mean"}
    assert matched.withheld == sum(
        tuple(row) in {tuple(r) for r in _pairs(dataset, "student within school")}
        and tuple(row) not in {tuple(r) for r in _pairs(dataset, "school mean")}
        for row in found.rows[pair].to_numpy().tolist()
    )


def _pairs(dataset: Dataset, unit: str) -> list[list[str]]:
    rows = dataset.effects[dataset.effects["unit"] == unit]
    pairs: list[list[str]] = rows[["sample_id", "var_a", "measure_a", "var_b", "measure_b"]].to_numpy().tolist()
    return pairs


def test_a_negative_relationship_is_turned_at_every_level(dataset: Dataset) -> None:
    question = Question("quality-achievement", "x", ("positive", "negative"), "achievement")
    effects = dataset.effects
    inside = effects[(effects["unit"] == "student within school") & (effects["var_a"] == "negative")]
    among = inside.assign(unit="school mean", effect_id=inside["effect_id"] + "-made", n_effective=50.0)  # made up
    copy = replace(dataset, tables={**dataset.tables, "effects.csv": pd.concat([effects, among], ignore_index=True)})
    matched = matched_levels(copy, evidence(copy, question, "open"))
    negative = (matched.plain.rows["relationship"] == "negative").to_numpy()
    assert negative.sum() == (inside["var_b"] == "achievement").sum() > 0
    raw = np.arctanh(matched.between.rows["value"].to_numpy(float))
    assert matched.between.y[negative] == pytest.approx(-raw[negative])
    assert matched.between.y[~negative] == pytest.approx(raw[~negative])


def test_moving_one_level_moves_that_estimate_alone(dataset: Dataset) -> None:
    before, after = (
        {e.id: e for e in within_between(d, evidence(d, QUESTION, "open")).estimates}
        for d in (dataset, turned(dataset, between=0.3))
    )
    for name, estimate in before.items():
        moved = after[name].value - estimate.value
        if "contextual" in name:
            continue
        assert (moved > 0.15) if "-between-" in name else moved == pytest.approx(0.0, abs=1e-9), name


@pytest.mark.parametrize(
    ("contextual", "within", "key"),
    [(0.3, 0.0, "school_too"), (0.3, -1.0, "student_only")],
)
def test_the_sentence_turns_with_the_contextual_effect(
    dataset: Dataset, contextual: float, within: float, key: str
) -> None:
    """A slope between beyond that within, in its direction, is the school's; against it, only the student's."""
    assert keys(turned(dataset, contextual=contextual, within=within)) == [
        "levels.three",
        f"levels.{key}",
        "levels.limits",
    ]


def test_a_contextual_effect_of_nothing_is_unclear(dataset: Dataset) -> None:
    rng = np.random.default_rng(1)
    effects = dataset.effects.copy()
    here = effects["contextual"].notna()
    effects.loc[here, "contextual"] = rng.normal(scale=0.1, size=int(here.sum()))
    copy = replace(dataset, tables={**dataset.tables, "effects.csv": effects})
    assert keys(copy)[1] == "levels.unclear"


def test_without_rows_between_schools_there_is_no_section(dataset: Dataset) -> None:
    effects = dataset.effects[dataset.effects["unit"] != "school mean"]
    copy = replace(dataset, tables={**dataset.tables, "effects.csv": effects})
    found = within_between(copy, evidence(copy, QUESTION, "open"))
    assert not found.estimates and not found.sentences and isinstance(effects, pd.DataFrame)


def test_every_number_in_a_sentence_leads_to_what_is_shown(dataset: Dataset) -> None:
    found = within_between(dataset, evidence(dataset, QUESTION, "open"))
    shown = {e.id for e in found.estimates} | {t.id for t in found.tables}
    behind = {v.ref.id for s in found.sentences for v in s.values.values() if isinstance(v, Number)}
    assert behind and behind <= shown
