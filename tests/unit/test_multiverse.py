"""The multiverse: every combination once, each the same as the single fit on the same rows."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from replication.analysis.outcome import plain
from replication.dataset import Dataset
from replication.evidence.multiverse import CHOICES, Multiverse, multiverse_findings, multiverse_of
from replication.evidence.question import Question, evidence, sample_means
from replication.models.bias import fit_step_selection, pet_peese
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
    assert values == sorted(values) and len(values) == len(engagement.chosen)
    assert found.sentences[0].values["low"].value == values[0]
    assert found.sentences[0].values["choice"] == found.tables[0].rows[0][0]
