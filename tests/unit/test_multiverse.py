"""The multiverse: every combination once, each the same as the single fit on the same rows."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from replication.analysis.outcome import Label, plain
from replication.dataset import Dataset
from replication.evidence.multiverse import CHOICES, Multiverse, multiverse_findings, multiverse_of
from replication.evidence.question import Question, evidence, sample_means
from replication.models.bias import fit_step_selection, pet_peese, trim_fill, waap_wls
from replication.models.two_level.random_effects import fit_random_effects
from replication.report.words import load_words

QUALITY = Question("quality-engagement", "quality with engagement", ("positive", "negative"), "engagement")
BULLIED = Question("quality-victimization", "quality with being bullied", ("positive", "negative"), "victimization")


@pytest.fixture(scope="module")
def engagement(dataset: Dataset) -> Multiverse:
    return multiverse_of(dataset, QUALITY, 1, "jakcheung2018")


def test_every_combination_is_there_once(engagement: Multiverse) -> None:
    plain = [chosen for chosen in engagement.chosen if chosen[5] == "none"]
    options = [list(dict.fromkeys(names)) for names in zip(*plain, strict=True)]
    assert [len(names) for names in options] == [4, 3, 2, 2, 3, 1, 6, 2]
    assert sorted(plain) == sorted(product(*options))


def test_every_bias_model_is_walked_for_published_bodies_on_z(engagement: Multiverse) -> None:
    """Two published bodies, three rho, two n, three left out, four models; never on plain r, never on whole files."""
    allowed = [chosen for chosen in engagement.chosen if chosen[5] != "none"]
    assert len(set(allowed)) == len(allowed) == 2 * 3 * 2 * 3 * 4 - sum(engagement.failed.values())
    assert {chosen[0] for chosen in allowed} == {"as_published", "published_samples"}
    assert {chosen[2] for chosen in allowed} == {"fisher_z"}
    assert engagement.adjusted == [chosen[5] != "none" for chosen in engagement.chosen]


def test_a_bias_model_is_the_single_fit_on_its_rows(engagement: Multiverse, dataset: Dataset) -> None:
    means = sample_means(evidence(dataset, QUALITY, "published"))
    name = ("published_samples", "rho .6", "fisher_z", "effective_n", "nothing")
    rows = {chosen[5]: at for at, chosen in enumerate(engagement.chosen) if chosen[:5] == name}
    fit = fit_step_selection(means.y, means.v, direction="positive").fit
    assert engagement.value[rows["selection_model"]] == pytest.approx(np.tanh(fit.beta[0]), rel=1e-9)
    assert engagement.low[rows["selection_model"]] == pytest.approx(np.tanh(fit.interval()[0, 0]), rel=1e-9)
    found = pet_peese(means.y, means.v, direction="positive")
    assert engagement.high[rows["pet_peese"]] == pytest.approx(np.tanh(found.interval.high), rel=1e-9)
    waap, trimmed = waap_wls(means.y, means.v), trim_fill(means.y, means.v, side="left").fit
    for model, ends in (
        ("waap", [waap.estimate, waap.interval.low, waap.interval.high]),
        ("trim_and_fill", [trimmed.beta[0], *trimmed.interval()[0]]),
        ("pet_peese", [found.estimate, found.interval.low, found.interval.high]),
    ):
        ours = [values[rows[model]] for values in (engagement.value, engagement.low, engagement.high)]
        assert ours == pytest.approx(np.tanh(ends).tolist(), rel=1e-9) and engagement.k[rows[model]] == len(means.y)


def test_a_bias_model_that_cannot_be_fitted_is_counted_with_its_reason(dataset: Dataset) -> None:
    """All ten results of the negative relationship are significant: no weight for the others can be estimated."""
    question = Question("negative-engagement", "negative with engagement", ("negative",), "engagement")
    made = multiverse_of(dataset, question, -1)
    (reason,) = [reason for reason in made.failed if "selection_model" in reason][:1]
    assert "cannot be estimated" in reason and made.failed[reason] > 0
    note = multiverse_findings([made]).tables[0].note
    assert f"No estimate in {made.failed[reason]}" in load_words("en").label(plain(note)).replace("\u00a0", " ")


def test_a_specification_is_the_single_fit_on_its_rows(engagement: Multiverse, dataset: Dataset) -> None:
    chosen = ("both", "rho .6", "fisher_z", "effective_n", "nothing", "none", "REML", "Knapp–Hartung")
    at = engagement.chosen.index(chosen)
    means = sample_means(evidence(dataset, QUALITY, "pool"))
    fit = fit_random_effects(means.y, means.v)
    ours = (engagement.value[at], engagement.low[at], engagement.high[at])
    assert ours == pytest.approx(np.tanh([fit.beta[0], *fit.interval()[0]]), rel=1e-9)
    assert engagement.k[at] == len(means.y)


def test_on_plain_r_the_large_sample_variance_of_r(engagement: Multiverse, dataset: Dataset) -> None:
    """A row a sample: r with variance (1 - r^2)^2 / (n - 1), the sample of least variance left out."""
    question = Question("negative-engagement", "negative with engagement", ("negative",), "engagement")
    found = evidence(dataset, question, "published")
    made = multiverse_of(dataset, question, -1)
    chosen = ("published_samples", "rho .4", "plain_r", "plain_n", "the_largest", "none", "DL", "normal")
    r, n = np.tanh(found.y), found.rows["n"].to_numpy(float)
    v = (1 - r**2) ** 2 / (n - 1)
    rest = np.arange(len(r)) != np.argmin(v)
    fit = fit_random_effects(r[rest], v[rest], method="DL", test="z")
    at = made.chosen.index(chosen)
    assert made.value[at] == pytest.approx(fit.beta[0], rel=1e-9)
    assert made.high[at] == pytest.approx(fit.interval()[0, 1], rel=1e-9)
    assert (made.value < 0).all() and np.array_equal(made.holds, made.high < 0)


def test_a_body_of_one_published_sample_is_no_choice_of_its_own(dataset: Dataset) -> None:
    made = multiverse_of(dataset, BULLIED, -1)
    assert {chosen[0] for chosen in made.chosen} == {"open_data", "both"}
    assert len(made.chosen) == 2 * 3 * 2 * 2 * 3 * 6 * 2


def test_the_choice_that_moves_most_comes_first(engagement: Multiverse) -> None:
    options = engagement.options()
    spread = {name: [o.median for o in options if o.choice == name] for name in CHOICES}
    widths = [max(spread[name]) - min(spread[name]) for name in dict.fromkeys(o.choice for o in options)]
    assert widths == sorted(widths, reverse=True)
    assert all(o.lowest <= o.median <= o.highest and 0 <= o.holds <= 1 for o in options)


def test_figure_table_and_sentence_say_the_same(engagement: Multiverse) -> None:
    found = multiverse_findings([engagement])
    values = [float(str(value)) for value in found.figures[0].columns["value"]]
    # In order, but for last digits: which of two equal estimates comes first is not the processor's to say.
    np.testing.assert_allclose(values, sorted(values), rtol=0, atol=1e-9)
    assert len(values) == len(engagement.chosen)
    assert found.sentences[0].values["low"].value == pytest.approx(values[0], abs=1e-9)
    assert found.sentences[0].values["choice"] == found.tables[0].rows[0][0]


def test_specifications_with_one_estimate_keep_their_order_whatever_its_last_digit(engagement: Multiverse) -> None:
    nudged = replace(engagement, value=engagement.value * (1 + 1e-15 * np.arange(len(engagement.value))[::-1] / 500))
    first, second = (multiverse_findings([one]).figures[0] for one in (engagement, nudged))
    assert all(first.columns[name] == second.columns[name] for name in CHOICES)


def constructed(sign: int) -> Multiverse:
    """Five specifications that differ by scale and estimator, with ends on, beside and beyond zero."""
    base = ("both", "rho .6", "fisher_z", "effective_n", "nothing", "none", "REML", "normal")
    chosen = [(*base[:2], scale, *base[3:6], name, "normal") for scale, name in zip("ababa", "xxyyy", strict=True)]
    value = np.array([0.1, 0.2, 0.3, 0.5, -0.1])
    low, high = np.array([0.0, 0.001, 0.2, 0.4, -0.3]), np.array([0.2, 0.4, 0.4, 0.6, -0.001])
    return Multiverse(QUALITY, tuple(chosen), value, low, high, np.full(5, 9.0), sign)


def test_what_holds_lies_beyond_zero_on_the_expected_side() -> None:
    assert constructed(1).holds.tolist() == [False, True, True, True, False]
    assert constructed(-1).holds.tolist() == [False, False, False, False, True]
    assert replace(constructed(-1), high=np.array([0.0, 0.1, 0.1, 0.1, 0.001])).holds.tolist() == [False] * 5


def test_options_are_summaries_of_the_specifications_that_take_them() -> None:
    options = {(o.choice, o.name): o for o in constructed(1).options()}
    a, b = options["scale", "a"], options["scale", "b"]
    assert (a.count, a.median, a.lowest, a.highest, a.holds) == (3, 0.1, -0.1, 0.3, pytest.approx(1 / 3))
    assert (b.count, b.median, b.lowest, b.highest, b.holds) == (2, pytest.approx(0.35), 0.2, 0.5, 1.0)
    assert [o.choice for o in constructed(1).options()][:4] == ["scale", "scale", "estimator", "estimator"]
    found = multiverse_findings([constructed(1)])
    assert found.tables[0].rows[0] == ("scale", "a", 0.1, -0.1, 0.3, Label("share", {"share": 1 / 3}), 3)
    said = {name: getattr(value, "value", value) for name, value in found.sentences[0].values.items()}
    assert said == {
        "question": QUALITY.id, "choice": "scale", "all": 5, "holds": 3, "low": -0.1, "high": 0.5, "median": 0.2,
        "choice_low": 0.1, "choice_high": pytest.approx(0.35),
    }  # fmt: skip
    figure = found.figures[0]
    assert figure.columns["value"] == [-0.1, 0.1, 0.2, 0.3, 0.5] and figure.columns["high"][0] == -0.001
    assert figure.settings["summary"] == 0.2 and figure.columns["estimator"] == list("yxxyy")


def test_the_farthest_sample_is_that_of_the_weighted_mean(engagement: Multiverse, dataset: Dataset) -> None:
    means = sample_means(evidence(dataset, QUALITY, "pool"))
    chosen = ("both", "rho .6", "fisher_z", "effective_n", "the_farthest", "none", "ML", "normal")
    mean = (means.y / means.v).sum() / (1 / means.v).sum()
    rest = np.arange(len(means.y)) != np.argmax(np.abs(means.y - mean))
    fit = fit_random_effects(means.y[rest], means.v[rest], method="ML", test="z")
    at = engagement.chosen.index(chosen)
    assert engagement.value[at] == pytest.approx(np.tanh(fit.beta[0]), rel=1e-9)
    assert engagement.k[at] == len(means.y) - 1
