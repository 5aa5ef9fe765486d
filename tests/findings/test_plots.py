"""Figures of a pool: every pooled sample once, by a name of its own, with its weight; long ones over pages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import replication.analysis  # noqa: F401
from replication.analysis.outcome import Estimate, Figure, plain
from replication.dataset import Selection
from replication.evidence import deletions as deleting
from replication.evidence import plots
from replication.evidence.deletions import deletions, influence_table, leave_one_out_figures
from replication.evidence.estimators import che
from replication.evidence.plots import (
    Subgroup,
    forest_figures,
    funnel_figure,
    paged,
    row_names,
    sample_names,
)
from replication.evidence.question import Evidence, Question
from replication.models.multilevel.results import row_sum_weights
from replication.models.two_level.random_effects import fit_random_effects
from replication.report.figures import draw, read_figure
from replication.report.words import load_words, worded

QUESTION = Question("q", "positive relationship with engagement", ("positive",), "engagement")
MAIN = Estimate(id="main", label="", metric="r", value=0.3, low=0.2, high=0.4, prediction_low=-0.1, prediction_high=0.6)


def body(samples: list[str], labels: list[str] | None = None, seed: int = 1) -> Evidence:
    rng = np.random.default_rng(seed)
    n = rng.integers(40, 900, len(samples)).astype(float)
    rows = pd.DataFrame(
        {
            "effect_id": [f"e{i}" for i in range(len(samples))],
            "sample_id": samples,
            "label": labels or [""] * len(samples),
            "n": n,
            "measure_a": [f"m{i}" for i in range(len(samples))],
            "measure_b": ["grades"] * len(samples),
        }
    )
    return Evidence(QUESTION, "open", Selection(rows), rows, rng.normal(0.3, 0.1, len(samples)), 1.0 / (n - 3.0))


def drawn(figure: Figure, language: str = "en") -> tuple[str, str]:
    """All text of the wide and of the narrow drawing."""
    data = plain(figure)
    assert isinstance(data, dict)
    drawing = draw(read_figure(data, load_words(language)), load_words(language), lambda name: f"#{name}")
    assert drawing.wide is not None and drawing.narrow is not None, drawing.missing
    return tuple(" ".join(label.words for label in canvas.labels) for canvas in (drawing.wide, drawing.narrow))  # type: ignore[return-value]


def test_a_sample_is_one_row_and_weighs_the_row_sums_of_all_its_rows() -> None:
    found = body(["a", "a", "a", "b", "c", "d"])
    fit = che(found)
    (figure,) = forest_figures(found, fit, MAIN)
    weights = dict(zip(figure.columns["row"], figure.columns["weight"], strict=True))
    assert sorted(weights) == ["a", "b", "c", "d"]
    assert sum(map(float, weights.values())) == pytest.approx(100)  # type: ignore[arg-type]
    assert weights["a"] == pytest.approx(row_sum_weights(fit)[:3].sum())
    values = dict(zip(figure.columns["row"], figure.columns["value"], strict=True))
    assert values["a"] == pytest.approx(np.tanh(found.y[:3].mean()))


def test_parts_stand_together_with_their_mean_behind_them() -> None:
    found = body(["a", "b", "c", "d"])
    (figure,) = forest_figures(
        found, che(found), MAIN, groups=["Norway", "Peru", "Norway", "Peru"],
        summaries=[Subgroup("Norway", 0.25, 0.2, 0.3), Subgroup("Chad", 0.1, 0.0, 0.2)],
    )  # fmt: skip
    assert figure.columns["cluster"] == ["Norway", "Norway", "Norway", "Peru", "Peru"]
    assert figure.columns["level"] == ["", "", "cluster", "", ""]
    assert figure.columns["value"][2] == 0.25


def test_samples_without_a_label_or_of_one_label_have_names_of_their_own() -> None:
    found = body(["a", "b", "c"], ["Turkey", "Turkey", ""])
    assert sample_names(found) == {"a": "Turkey (a)", "b": "Turkey (b)", "c": "c"}


def test_rows_of_one_sample_are_told_apart_by_their_measures() -> None:
    names = row_names(body(["a"] * 8))
    assert len(set(names)) == 8 and names[0] == "a: m0 / grades"


def test_two_long_labels_that_end_differently_never_look_alike() -> None:
    """Cut at the same place they would: each is printed whole, on several lines."""
    long = "A survey of relationships between teachers and students in the schools of a large city, wave "
    found = body(["a", "b", "c"], [long + "one", long + "two", "short"])
    (figure,) = forest_figures(found, che(found), MAIN)
    for text in drawn(figure):
        assert "wave one" in text and "wave two" in text and "…" not in text


def test_242_samples_are_printed_on_pages_of_one_scale() -> None:
    found = body([f"sample-{i:03d}" for i in range(242)])
    pages = forest_figures(found, che(found), MAIN)
    assert [len(page.columns["label"]) for page in pages] == [48, 49, 48, 49, 48]
    assert len({page.id for page in pages}) == 5 and load_words("en").label(plain(pages[4].title)).endswith("(5 of 5)")
    printed = " ".join(drawn(page)[0] for page in pages)
    assert all(f"sample-{i:03d}" in printed for i in range(242))
    assert len({(page.settings["scale_low"], page.settings["scale_high"]) for page in pages}) == 1


def test_pages_hold_fewer_rows_where_labels_take_lines() -> None:
    columns = {"label": ["x" * 100] * 60, "value": [0.1] * 60, "low": [0.0] * 60, "high": [0.2] * 60}
    pages = paged(Figure(id="f", kind="leave_one_out", title="t", columns=columns))
    assert [len(page.columns["label"]) for page in pages] == [20, 20, 20]


def test_the_headline_says_the_result_in_both_languages() -> None:
    found = body(["a", "b", "c", "d"])
    (figure,) = forest_figures(found, che(found), MAIN)
    assert "0.30 [0.20, 0.40] in 4 samples." in drawn(figure)[0]
    assert "0,30 [0,20; 0,40] i 4 utvalg." in drawn(figure, "nb")[0]
    assert "Rests on 4 samples" in drawn(figure)[0] and "where the mean of a further sample" in drawn(figure)[0]


def test_the_interval_of_a_further_sample_can_be_given() -> None:
    found = body(["a", "b", "c", "d"])
    (figure,) = forest_figures(found, che(found), MAIN, further=(0.05, 0.5))
    assert (figure.settings["prediction_low"], figure.settings["prediction_high"]) == (0.05, 0.5)


def test_leaving_out_says_how_far_each_sample_moves_the_result() -> None:
    found = body(["a", "a", "b", "c", "d"])
    fit = che(found)
    whole = Estimate(id="w", label="", metric="r", value=float(np.tanh(fit.beta[0])), low=0.1, high=0.4)
    table, figures = leave_one_out_figures(found, deletions(found, fit), whole)
    without_a = che(found.take(found.samples != "a"))
    row = next(row for row in table.rows if row[0] == "a")
    assert row[1] == pytest.approx(np.tanh(without_a.beta[0]), abs=1e-6)
    assert row[4] == pytest.approx(whole.value - float(str(row[1])))
    moves = [abs(float(str(row[4]))) for row in table.rows]
    assert moves == sorted(moves, reverse=True) and len(figures) == 1


def test_shares_of_heterogeneity_add_up_and_the_most_influential_comes_first() -> None:
    found = body(["a", "a", "b", "c", "d", "e"])
    fit = che(found)
    table, figure = influence_table(found, fit, deletions(found, fit))
    assert sum(float(str(row[1])) for row in table.rows) == pytest.approx(100)
    cooks = [float(str(row[3])) for row in table.rows]
    assert cooks == sorted(cooks, reverse=True)
    assert figure.kind == "baujat" and set(figure.columns["label"]) == set("abcde")


def test_of_hundreds_of_samples_the_heaviest_are_drawn_and_the_rest_of_a_part_as_its_mean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = body([f"s{i}" for i in range(40)])
    fit, groups = che(found), ["Norway", "Peru"] * 20
    (whole,) = forest_figures(found, fit, MAIN, groups=groups)
    monkeypatch.setattr(plots, "MOST_DRAWN", 16)
    parts = [Subgroup("Norway", 0.25, 0.2, 0.3)]
    (figure,) = forest_figures(found, fit, MAIN, groups=groups, summaries=parts)
    rows = [dict(zip(figure.columns, row, strict=True)) for row in zip(*figure.columns.values(), strict=True)]
    assert sorted(str(row["row"]) for row in rows if row["row"]) == sorted(map(str, whole.columns["row"])), (
        "all in data"
    )
    shown = [row for row in rows if row["shown"] == "yes"]
    heaviest = sorted(map(float, whole.columns["weight"]), reverse=True)[:12]  # type: ignore[arg-type]
    assert sorted((float(str(row["weight"])) for row in shown if row["row"]), reverse=True) == pytest.approx(heaviest)
    assert [str(row["level"]) for row in shown][-1] == "rest" and len(shown) == 12 + 2 + 1
    (rest,) = (row for row in shown if row["level"] == "rest" and row["cluster"] == "Peru")
    others = [row for row in rows if row["shown"] == "no" and row["cluster"] == "Peru"]
    at = [list(found.samples).index(row["row"]) for row in others]
    assert rest["value"] == pytest.approx(float(np.tanh(fit_random_effects(found.y[at], found.v[at]).beta[0])))
    assert sum(float(str(row["weight"])) for row in shown if row["level"] != "cluster") == pytest.approx(100)
    text = drawn(figure)[0]
    assert f"{len(others)} further samples, their mean" in text.replace("\xa0", " ")
    assert not any(str(row["label"]) in text.split() for row in others)
    assert "The 12 samples of 40 that weigh most" in worded(figure.note).replace("\xa0", " ")


def test_of_many_samples_those_that_matter_are_left_out_and_the_others_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    found = body([f"s{i // 2}" for i in range(80)])
    fit = che(found)
    whole = Estimate(id="w", label="", metric="r", value=float(np.tanh(fit.beta[0])), low=0.1, high=0.4)
    every, _ = leave_one_out_figures(found, deletions(found, fit), whole)
    for name, value in {"MOST_LEFT_OUT": 39, "MOST_MOVING": 5, "MOST_CARRYING": 2}.items():
        monkeypatch.setattr(deleting, name, value)
    left_out = deletions(found, fit)
    table, figures = leave_one_out_figures(found, left_out, whole)
    assert 5 <= len(table.rows) <= 7 and left_out.others == 40 - len(table.rows)
    assert [row[0] for row in table.rows][:4] == [row[0] for row in every.rows][:4]
    shown = {row[0]: row[1:] for row in every.rows}
    for name, *numbers in table.rows:
        assert numbers == pytest.approx(shown[name], abs=1e-9)
    unseen = [abs(float(str(row[4]))) for row in every.rows if row[0] not in {row[0] for row in table.rows}]
    assert max(unseen) == pytest.approx(left_out.most, rel=0.2), "variances move little where there are many samples"
    assert "Each of the other 3" in worded(table.note) and worded(figures[0].note) == worded(table.note)
    influence, baujat = influence_table(found, fit, left_out)
    assert len(baujat.columns["label"]) == len(influence.rows) == len(table.rows)
    share = sum(float(str(row[1])) for row in influence.rows)
    assert f"all but {100 - share:.0f}" in worded(influence.note)


def test_the_funnel_tells_open_data_from_published() -> None:
    published = replace(body(["a", "b", "c"]), source="published")
    figure = funnel_figure([published, body(["x", "y"])], {"line_intercept": 0.1, "line_slope": 0.5, "egger_p": 0.04})
    assert figure.columns["new"] == ["no", "no", "no", "yes", "yes"]
    text = drawn(figure)[0]
    assert "published sample" in text and "sample from open data" in text and "Egger" in text
    alone = drawn(funnel_figure([body(["x", "y", "z"])], None))[0]
    assert "published" not in alone and "Egger" not in alone
