"""Publication bias on the page: each sentence, decision and refusal follows from the data, both ways."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest

import replication.analysis  # noqa: F401
from replication import paths
from replication.analysis import Context, load_analysis, run_analysis
from replication.analysis.outcome import Estimate, Label, Number, Sentence, Text, plain
from replication.dataset import Dataset, Selection
from replication.errors import ModelError
from replication.evidence.bias import BiasPage, publication_bias
from replication.evidence.bias_averages import AveragedBias, averaged_bias
from replication.evidence.bias_models import bias_answers, one_row_a_sample, sizes_of, unadjusted
from replication.evidence.bodies import difference_of
from replication.evidence.estimators import estimator_estimates
from replication.evidence.question import Evidence, Question, Source, evidence, sample_means
from replication.models.bayes.averaging import averaging
from replication.models.bayes.averaging.averaging import average_models
from replication.models.bayes.averaging.bias_models import Regression, WeightFunction, psma_models
from replication.report.words import load_words

POSITIVE = Question("positive-engagement", "positive relationship with engagement", ("positive",), "engagement")


def worded(text: Text) -> str:
    return load_words("en").label(plain(text))  # type: ignore[arg-type]


def body(z: list[float], n: list[int], samples: list[str] | None = None, source: Source = "published") -> Evidence:
    """A small constructed body of evidence on Fisher's z."""
    rows = pd.DataFrame(
        {
            "effect_id": [f"e{i:02d}" for i in range(len(z))],
            "sample_id": samples or [f"s{i:02d}" for i in range(len(z))],
            "label": [""] * len(z),
            "n": np.asarray(n, dtype=float),
            "work": ["w"] * len(z),
        }
    )
    return Evidence(POSITIVE, source, Selection(rows), rows, np.asarray(z), 1.0 / (np.asarray(n) - 3.0))


SIZES = [40, 45, 50, 60, 70, 90, 400, 500, 700, 900, 1500, 2500]
# Small samples show .5, large ones next to nothing: the shape selection leaves.
LOPSIDED = body([0.55, 0.52, 0.45, 0.48, 0.42, 0.4, 0.06, 0.02, 0.05, -0.01, 0.02, 0.01], SIZES)
# The same mean whatever the size, and results on both sides of significance.
EVEN = body([0.1, 0.5, 0.2, 0.4, 0.35, 0.25, 0.34, 0.27, 0.3, 0.32, 0.29, 0.31], SIZES)


def stored(probability: float, reasons: tuple[str, ...] = ()) -> AveragedBias:
    """A ready average over models, so that a test of words integrates nothing."""
    mean = (0.2, 0.1, 0.3)
    return AveragedBias(probability, 0.5, mean, mean, (), (("a", 1.0, 1.0, 0.2, 0.1),), 0.0, 12, 12, (), reasons)


def together(found: Evidence, sign: int, monkeypatch: pytest.MonkeyPatch, probability: float = 0.99) -> Sentence:
    monkeypatch.setattr("replication.evidence.bias.averaged_bias", lambda *_: stored(probability))
    return publication_bias(found, None, sign).findings.sentences[0]


def number(sentence: Sentence, name: str) -> float:
    """The value of a number of a sentence."""
    found = sentence.values[name]
    assert isinstance(found, Number) and found.value is not None
    return found.value


def test_models_of_a_lopsided_funnel_fall_and_of_an_even_one_do_not() -> None:
    fallen = {a.model: a for a in bias_answers(LOPSIDED, 1)}
    assert all(fallen[name].value < unadjusted(LOPSIDED).value - 0.1 for name in ("pet-peese", "waap", "henmi-copas"))
    kept = {a.model: a for a in bias_answers(EVEN, 1)}
    assert all(abs(answer.value - unadjusted(EVEN).value) < 0.05 for answer in kept.values() if answer.adequate)


def test_the_sentence_says_what_the_models_say(monkeypatch: pytest.MonkeyPatch) -> None:
    assert together(EVEN, 1, monkeypatch).values["verdict"] == "bias_stands"
    assert together(EVEN, 1, monkeypatch, 0.5).values["verdict"] == "bias_open"
    assert together(LOPSIDED, 1, monkeypatch, 0.1).values["verdict"] in ("bias_open", "bias_gone")


def test_an_association_against_what_was_expected_is_not_one_that_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same data read with the other expected sign: no model lies on that side of zero."""
    sentence = together(EVEN, -1, monkeypatch, 0.1)
    assert number(sentence, "holds") == 0 and sentence.values["verdict"] == "bias_gone"


def test_turned_data_turn_the_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    turned = body((-EVEN.y).tolist(), SIZES)
    one, other = together(EVEN, 1, monkeypatch), together(turned, -1, monkeypatch)
    assert number(other, "r") == pytest.approx(-number(one, "r"), abs=1e-9)
    assert number(other, "holds") == number(one, "holds")


DECISIONS = [(0.76, "effect_likely"), (0.74, "undecided"), (0.26, "undecided"), (0.24, "effect_unlikely")]


@pytest.mark.parametrize(("probability", "word"), DECISIONS)
def test_the_average_decides_by_a_bayes_factor_of_three(probability: float, word: str) -> None:
    assert stored(probability).decision == word


def test_few_samples_are_not_read_and_the_row_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    nine, ten = EVEN.take(np.arange(12) < 9), EVEN.take(np.arange(12) < 10)
    assert not any(answer.adequate for answer in bias_answers(nine, 1))
    assert Label("too_few_samples", {"count": 9, "fewest": 10}) in bias_answers(nine, 1)[0].reasons
    assert any(answer.adequate for answer in bias_answers(ten, 1))
    assert together(nine, 1, monkeypatch).key == "bias.together_none"


def test_a_funnel_without_small_samples_is_not_read() -> None:
    large = body([0.3, 0.25, 0.35, 0.28, 0.32, 0.3, 0.27, 0.33, 0.31, 0.29, 0.3], list(range(900, 2000, 100)))
    assert sizes_of(large, 0.3).small == 0
    few = Label("too_few_small", {"count": 0, "fewest": 3})
    assert all(few in answer.reasons for answer in bias_answers(large, 1) if answer.fitted)


def test_a_mean_outside_the_data_is_not_read() -> None:
    """Effects that grow with their standard error from -.02 on: the line's end lies below every one of them."""
    se = 1.0 / np.sqrt(np.array(SIZES) - 3.0)
    wiggle = np.tile([0.01, -0.01], 6)
    answer = bias_answers(body((3.0 * se - 0.1 + wiggle).tolist(), SIZES), 1)[0]
    assert answer.model == "pet-peese" and answer.value < -0.05
    assert "the_mean_lies_outside_the_data" in answer.reasons and not answer.adequate


def test_a_line_that_hangs_on_one_sample_is_not_read() -> None:
    """Eleven samples of nearly one size and a single large one: the robust test has hardly any degrees of freedom."""
    sizes = [*range(60, 71), 5000]
    answer = bias_answers(body([0.3, 0.2, 0.4, 0.25, 0.35, 0.3, 0.2, 0.4, 0.3, 0.25, 0.35, 0.1], sizes), 1)[0]
    df = float(dict(answer.method)["df"])
    reason = answer.reasons[0]
    assert isinstance(reason, Label) and (reason.key, reason.values["fewest"]) == ("too_few_df", 4)
    assert df < 4 and reason.values["df"] == pytest.approx(df, abs=0.05)


def test_an_average_of_all_samples_is_not_called_powered() -> None:
    """Where no sample has power for so small a mean, WAAP is the plain weighted average and is not read."""
    answer = next(a for a in bias_answers(body([0.05, -0.04] * 6, [50] * 12), 1) if a.model == "waap")
    assert dict(answer.method)["used"] == "WLS" and not answer.adequate
    assert "waap_all_averaged" in answer.reasons


def test_a_weight_that_hangs_on_two_results_is_not_read() -> None:
    """Two of twelve results miss one-sided .025; with three the selection model may be read."""
    strong = [0.8, 0.75, 0.7, 0.65, 0.6, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]
    two, three = ([0.1, 0.12, *strong[2:]], [0.1, 0.12, 0.14, *strong[3:]])
    reasons = [next(a for a in bias_answers(body(z, SIZES), 1) if a.model == "selection").reasons for z in (two, three)]
    assert Label("too_few_results", {"low": 0.025, "high": 1.0, "count": 2, "fewest": 3}) in reasons[0]
    assert not any(isinstance(reason, Label) and reason.key == "too_few_results" for reason in reasons[1])


def test_an_interval_across_zero_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the lopsided funnel's models some still exclude zero and some do not: the question stays open."""
    read = [answer for answer in bias_answers(LOPSIDED, 1) if answer.adequate]
    across = [answer for answer in read if answer.low < 0 < answer.high]
    assert across and len(across) < len(read)
    sentence = together(LOPSIDED, 1, monkeypatch, 0.99)
    assert number(sentence, "holds") == len(read) - len(across)
    assert sentence.values["verdict"] == "bias_open"


def test_a_model_that_fails_keeps_its_row_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every result is significant, so no weight of the others can be estimated."""
    strong = body([0.8, 0.7, 0.75, 0.72, 0.78, 0.81, 0.69, 0.77, 0.74, 0.73, 0.76], [60] * 5 + [200] * 6)
    monkeypatch.setattr("replication.evidence.bias.averaged_bias", lambda *_: stored(0.9))
    table = publication_bias(strong, None, 1).findings.tables[0]
    rows = {str(row[0]): row for row in table.rows}
    row = rows["selection_three_parameters"]
    assert row[2:6] == (None, None, None, None) and row[6] == "no"
    assert isinstance(row[7], Label) and row[7].key == "could_not_be_fitted"
    assert row[7].values["why"] == Label("no_p_value_in", {"low": 0.025, "high": 1.0})


def test_a_body_of_one_sample_says_so_and_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    one = body([0.2, 0.4], [100, 300], ["a", "a"])
    plain, models = unadjusted(one), bias_answers(one, 1)
    assert plain.value == pytest.approx(math.tanh(0.3)) and plain.k == 1
    assert plain.notes[0].startswith("all effects are in one cluster")
    assert models and not any(model.adequate for model in models) and all(model.reasons for model in models)
    # Nothing here compares samples: only estimators of one value a sample are left.
    assert {estimate.samples for estimate in estimator_estimates(one)} == {1}
    assert number(together(one, 1, monkeypatch), "r") == pytest.approx(math.tanh(0.3))


def test_equal_sizes_give_no_slope_and_say_so() -> None:
    alike = body([0.1, 0.5, 0.2, 0.4, 0.3, 0.2, 0.3, 0.25, 0.3, 0.35], [100] * 10)
    answer = bias_answers(alike, 1)[0]
    assert not answer.fitted and "same se" in worded(answer.reasons[0])


def test_selection_favours_the_expected_sign_not_that_of_the_data() -> None:
    answer = next(a for a in bias_answers(EVEN, 1) if a.model == "selection")
    against = next(a for a in bias_answers(EVEN, -1) if a.model == "selection")
    assert answer.method != against.method and answer.value != pytest.approx(against.value)


def test_the_standard_error_is_from_n_alone() -> None:
    """The funnel of a sample with several rows stands at 1 / sqrt(n - 3), however many rows there are."""
    found = body([0.2, 0.4, 0.3, 0.1], [103, 103, 403, 28], ["a", "a", "b", "c"])
    figure = publication_bias(None, found, 1).findings.figures[0]
    assert figure.columns["se"] == pytest.approx([0.1, 0.05, 0.2])
    assert figure.columns["value"] == pytest.approx([0.3, 0.3, 0.1])


def test_one_row_of_a_sample_is_chosen_without_looking_at_its_result() -> None:
    rows = body([0.9, 0.1, 0.2, 0.8], [50, 60, 60, 40], ["a", "a", "a", "b"])
    assert one_row_a_sample(rows).rows["effect_id"].tolist() == ["e01", "e03"]


def test_averaged_is_conditional_times_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    """On z the averaged mean is the conditional mean times P(effect); a median of 0 of it means undecided.

    Of all 36 models the twelve without bias, with PET and with the one-sided step at .05: whatever the set, it holds.
    """
    some = tuple(m for m in psma_models() if m.bias in (None, Regression("PET"), WeightFunction("one", (0.05,))))
    assert len(some) == 12
    monkeypatch.setattr(averaging, "average_models", partial(average_models, models=some))
    found = EVEN.take(np.isin(np.arange(12), [0, 2, 4, 6, 9]))
    got = averaged_bias(found, 1)
    assert math.atanh(got.averaged[0]) == pytest.approx(got.probability * math.atanh(got.conditional[0]), rel=1e-3)
    assert got.conditional[0] > got.averaged[0] > 0
    posteriors = [row[2] for row in got.models]
    assert posteriors == sorted(posteriors, reverse=True) and len(set(posteriors)) == 12, "the likeliest is read first"
    assert Label("too_few_samples", {"count": 5, "fewest": 10}) in got.reasons


def test_a_kept_average_comes_back_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a store keeps as JSON is read back as the same record, and is not computed twice."""
    few = tuple(model for model in psma_models() if model.bias is None)  # the cheap ones
    monkeypatch.setattr(averaging, "average_models", partial(average_models, models=few))
    kept: dict[tuple[str, str], object] = {}

    def remember(name: str, key: str, compute: object) -> object:
        if (name, key) not in kept:
            kept[name, key] = plain(compute())  # type: ignore[operator]
        return kept[name, key]

    found = EVEN.take(np.arange(12) < 3)
    first = averaged_bias(found, 1, remember)
    assert first == averaged_bias(found, 1, remember) and len(kept) == 1
    averaged_bias(found, -1, remember)
    assert len(kept) == 2, "another expected sign is another average"


@pytest.mark.parametrize(
    ("found", "verdict"),
    [(EVEN, "bias_waits"), (LOPSIDED, "bias_open"), (EVEN.take(np.arange(12) < 9), "bias_unread")],
)
def test_a_postponed_average_is_said_and_gives_no_number(
    found: Evidence, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the models agree the word hangs on the average and is not said; where they do not, none could settle it."""
    context = Context(None, postpones=("*",))  # type: ignore[arg-type]
    page = publication_bias(found, None, 1, remember=context.remember)
    assert context.postponed == ["bias-positive-engagement"] and page.averaged is None
    assert not [e.id for e in page.findings.estimates if "averaged" in e.id]
    (table,) = (t for t in page.findings.tables if t.id.startswith(("bias-models", "bias-averaged", "bias-inclusion")))
    assert table.rows[-1][2:] == (None, None, None, None, "no", "average_postponed")
    comparison = page.findings.figures[0]
    assert comparison.note == Label("within", {"whole": "average_of_models", "part": "average_postponed"})
    sentence = page.findings.sentences[0]
    assert sentence.values["verdict"] == verdict
    assert sentence.key == ("bias.together_none" if verdict == "bias_unread" else "bias.together_postponed")
    monkeypatch.setattr("replication.evidence.bias.averaged_bias", lambda *_: stored(0.99))
    assert plain(page.models) == plain(publication_bias(found, None, 1).models), (
        "what certainty reads does not hang on the average"
    )


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "The average over models was not computed in this run; a run with sampling computes it. Whether an "
               "association is left once selection is allowed for hangs on that average"),
        ("nb", "Gjennomsnittet over modellene er ikke regnet ut i denne kjøringen; en kjøring med trekning regner det "
               "ut. Om det er en sammenheng igjen når vi tar høyde for at resultater er valgt ut, kommer an på dette"),
    ],
)  # fmt: skip
def test_a_postponed_average_is_said_in_both_languages(language: str, said: str) -> None:
    page = publication_bias(EVEN, None, 1, remember=lambda *_: None)
    sentence = page.findings.sentences[0]
    values = {n: {"value": v.value, "ref": None} if isinstance(v, Number) else v for n, v in sentence.values.items()}
    assert said in str(load_words(language).sentence(sentence.key, values))


def test_an_average_that_fails_is_a_row_and_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> AveragedBias:
        raise ModelError("too many effects to integrate over")

    monkeypatch.setattr("replication.evidence.bias.averaged_bias", fails)
    page = publication_bias(EVEN, None, 1)
    assert page.averaged is None and page.findings.sentences[0].key == "bias.together_alone"
    assert "too many effects" in str(page.findings.tables[0].rows[-1][-1])


@pytest.fixture(scope="module")
def pages(dataset: Dataset) -> dict[str, BiasPage]:
    """The page of a question with both bodies and of one without a published body; averages are left out for time."""
    questions = (POSITIVE, Question("quality-victimization", "quality", ("positive", "negative"), "victimization"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("replication.evidence.bias.averaged_bias", lambda *_: stored(0.55))
        return {
            q.id: publication_bias(evidence(dataset, q, "published"), evidence(dataset, q, "open"), 1)
            for q in questions
        }


def test_open_data_alone_get_a_funnel_and_no_model_of_bias(pages: dict[str, BiasPage]) -> None:
    page = pages["quality-victimization"]
    assert page.models == () and [f.kind for f in page.findings.figures] == ["funnel"]
    assert "not publication bias" in worded(page.findings.figures[0].note)
    assert [s.key for s in page.findings.sentences] == ["bias.open_only"]


def test_the_difference_is_shown_with_its_interval_and_never_called_bias(pages: dict[str, BiasPage]) -> None:
    sentence = pages["positive-engagement"].findings.sentences[-1]
    assert sentence.values["chance"] == "bodies_unclear"  # a statement on the real data: the interval holds zero
    for language in ("en", "nb"):
        text = str(load_words(language).sentence(sentence.key, plain(sentence)["values"]))
        assert "+0" in text.replace(",", ".") and ("does not measure" in text or "måler ikke" in text)


def test_every_sentence_exists_in_both_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    few = EVEN.take(np.arange(12) < 4)
    monkeypatch.setattr("replication.evidence.bias.averaged_bias", lambda *_: stored(0.9))
    found = [
        s
        for published, opened in ((EVEN, LOPSIDED), (few, None), (None, LOPSIDED))
        for s in publication_bias(published, opened, 1).findings.sentences
    ]
    assert {s.key for s in found} == {"bias.together", "bias.together_none", "bias.difference", "bias.open_only"}
    for language in ("en", "nb"):
        for sentence in found:
            assert "{" not in str(load_words(language).sentence(sentence.key, plain(sentence)["values"]))


def test_the_difference_by_hand() -> None:
    """Zou: .30 [.20, .40] less .10 [.05, .20] is .20 [.20 - sqrt(.1^2 + .1^2), .20 + sqrt(.1^2 + .05^2)]."""
    one = Estimate(id="a", label="", metric="r", value=0.3, low=0.2, high=0.4)
    other = Estimate(id="b", label="", metric="r", value=0.1, low=0.05, high=0.2)
    gap = difference_of(one, other, id="d", label="")
    assert (gap.value, gap.low, gap.high) == pytest.approx((0.2, 0.2 - math.sqrt(0.02), 0.2 + math.sqrt(0.0125)))


def test_real_published_samples(pages: dict[str, BiasPage]) -> None:
    """Pinned: the models on the 27 published samples of positive relationship with engagement, Krull's among them."""
    values = {answer.model: round(answer.value, 3) for answer in pages["positive-engagement"].models}
    assert values == {"pet-peese": 0.316, "selection": 0.217, "waap": 0.296, "trim-fill": 0.308, "henmi-copas": 0.295}
    assert all(answer.adequate for answer in pages["positive-engagement"].models)


def test_means_rest_on_rows_and_weights_of_dependent_effects(dataset: Dataset) -> None:
    """PET-PEESE takes the rows as they are, not one mean a sample: with several rows a sample the two differ."""
    found = evidence(dataset, Question("q", "q", ("positive", "negative"), "engagement"), "published")
    means = sample_means(found)
    assert len(means.y) < len(found.y)
    one, other = (bias_answers(each, 1)[0].value for each in (found, means))
    assert one != pytest.approx(other, abs=1e-6)


def test_every_item_has_its_section_and_every_number_its_reference(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Running the analysis checks it: an item out of place or a number that leads nowhere stops it."""
    monkeypatch.setattr("replication.evidence.bias.averaged_bias", lambda *_: stored(0.55))
    analysis = load_analysis(paths.analyses_dir() / "findings" / "averaging.py")
    outcome = run_analysis(analysis, Context(dataset))
    assert {item.section for item in (*outcome.estimates, *outcome.tables, *outcome.figures)} == {"bias"}
    assert {figure.kind for figure in outcome.figures} == {"bias_comparison", "p_curve", "funnel"}
