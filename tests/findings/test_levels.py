"""Within and between schools: the same pairs at three levels, and sentences that turn with the data.

Copies of the dataset in which the rows of one level are changed: what is not asked about must not move.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from replication.analysis.outcome import Estimate, Label, Number, Ref
from replication.dataset import Dataset
from replication.evidence import levels
from replication.evidence.levels import matched_levels, within_between
from replication.evidence.main_model import estimate_body, working_fit
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


def test_the_table_holds_the_three_models_the_slope_and_how_alike_schools_are(dataset: Dataset) -> None:
    body = evidence(dataset, QUESTION, "open")
    matched, found = matched_levels(dataset, body), within_between(dataset, body)
    (table,), estimates = found.tables, {e.id: e for e in found.estimates}
    k, samples = len(matched.plain.y), matched.samples
    rows = {str(row[0]): row[1:] for row in table.rows}
    links = {str(row[0]): link for row, link in zip(table.rows, table.links, strict=True)}
    for level, part in (("plain", matched.plain), ("within", matched.within), ("between", matched.between)):
        expected = estimate_body(part)
        shown = rows[f"level_{level}"]
        assert shown[:3] == pytest.approx((expected.centre, expected.mean.low, expected.mean.high), abs=1e-9), level
        assert shown[3:] == (k, samples, part.persons)
        e = estimates[f"levels-{QUESTION.id}-{level}-open-{'cr2' if expected.leads == 'CR2' else 'posterior'}"]
        assert links[f"level_{level}"] == Ref("estimate", e.id) and e.group == "levels"
    known = np.isfinite(matched.contextual) & (matched.contextual_se > 0)
    fit = working_fit(replace(matched.plain, y=matched.contextual, v=matched.contextual_se**2).take(known))
    slope = rows["contextual_effect_slope"]
    assert slope[:3] == pytest.approx((fit.beta[0], *fit.interval()[0])) and slope[3:5] == (known.sum(), samples)
    context = estimates[f"levels-{QUESTION.id}-contextual"]
    assert (context.se, context.p, context.k) == pytest.approx((fit.se[0], fit.p[0], known.sum()))
    own = dataset.effects.set_index("effect_id").loc[matched.within.rows["effect_id"], ["icc_a", "icc_b"]]
    for name, column in (("icc_exposure", "icc_a"), ("icc_outcome", "icc_b")):
        assert rows[name] == (pytest.approx(own[column].median()), None, None, k, samples, None) and links[name] is None
    assert isinstance(table.note, Label) and table.note.values["withheld"] == matched.withheld
    said = {n: v.value for n, v in found.sentences[0].values.items() if isinstance(v, Number)}
    assert said["within"] == rows["level_within"][0] and said["between_high"] == rows["level_between"][2]
    assert said["samples"] == samples
    (figure,) = found.figures
    assert figure.columns["value"] == [rows[f"level_{level}"][0] for level in ("plain", "within", "between")]


@pytest.mark.parametrize(
    ("low", "high", "inside", "word"),
    [
        (0.0, 0.2, 0.3, "unclear"),
        (-0.2, 0.0, 0.3, "unclear"),
        (0.001, 0.2, 0.3, "school_too"),
        (0.001, 0.2, -0.3, "student_only"),
        (-0.2, -0.001, -0.3, "school_too"),
        (-0.2, -0.001, 0.3, "student_only"),
    ],
)
def test_an_interval_that_touches_zero_says_nothing_of_schools(
    low: float, high: float, inside: float, word: str
) -> None:
    context = Estimate(id="c", label="", metric="b", value=(low + high) / 2, low=low, high=high)
    assert levels._reading(Estimate(id="w", label="", metric="r", value=inside), context) == word


def test_two_samples_are_too_few_to_pool(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    body = evidence(dataset, QUESTION, "open")
    samples = matched_levels(dataset, body).samples
    for least, shown in ((samples, True), (samples + 1, False)):
        monkeypatch.setattr(levels, "FEWEST_SAMPLES", least)
        assert bool(within_between(dataset, body).estimates) is shown


def test_a_slope_without_an_error_is_left_out_and_a_side_that_is_the_outcome_is_no_slope(dataset: Dataset) -> None:
    """Contextual effects with an error of 0 or none do not enter; nor does a row whose first measure is the outcome."""
    body = evidence(dataset, QUESTION, "open")
    whole = matched_levels(dataset, body)
    effects = dataset.effects.copy()
    first, second = whole.within.rows["effect_id"].iloc[[0, 1]]
    effects.loc[effects["effect_id"] == first, "contextual_se"] = 0.0
    effects.loc[effects["effect_id"] == second, "contextual_se"] = np.nan
    found = within_between(replace(dataset, tables={**dataset.tables, "effects.csv": effects}), body)
    context = next(e for e in found.estimates if "contextual" in e.id)
    assert context.k == np.isfinite(whole.contextual).sum() - 2 and not {first, second} & set(context.rows)
    turned_rows = body.rows.assign(var_a=body.rows["var_b"], var_b=body.rows["var_a"])
    assert matched_levels(dataset, replace(body, rows=turned_rows)).samples == 0


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
