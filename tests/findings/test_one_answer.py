"""What the opening of a finding says follows from the numbers: small constructed bodies, and real data turned round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from replication.analysis.outcome import Label, Number, Sentence, plain
from replication.claims import claims_by_id
from replication.dataset import Dataset, Selection
from replication.evidence.answer import (
    Answered,
    Change,
    PairShares,
    answer_sentences,
    cause_sentence,
    certainty_sentences,
    change_sentences,
    direction_of,
    driver_sentence,
    further_sentence,
    pairs_table,
    probability_ahead,
)
from replication.evidence.certainty import Certainty, Decision, Inputs, certainty_of
from replication.evidence.change import change_of, with_hypothetical
from replication.evidence.main_model import Estimated, estimate_body, estimates_of, working_fit
from replication.evidence.prediction import binomial_interval, coverage, left_out_by, predict_body
from replication.evidence.prior import conflict, prior_and_data, shares_samples
from replication.evidence.published import Published
from replication.evidence.question import Evidence, Question, Source, evidence, sample_means
from replication.models.two_level.random_effects import fit_random_effects
from replication.report.words import load_words

QUALITY = ("positive", "negative", "relationship")


def body(
    z: Sequence[float],
    countries: Sequence[str],
    source: Source = "open",
    n: int = 403,
    outcome: str = "engagement",
    name: str = "s",
) -> Evidence:
    """A constructed body, one row a sample."""
    k = len(z)
    rows = pd.DataFrame(
        {
            "effect_id": [f"{name}{i}" for i in range(k)],
            "sample_id": [f"{name}{i}" for i in range(k)],
            "label": [""] * k,
            "work": ["w"] * k,
            "n": np.full(k, float(n)),
            "country": list(countries),
            "body": [source] * k,
        }
    )
    rows["place"] = rows["country"].where(rows["country"] != "", "sample " + rows["sample_id"])
    question = Question("q", "quality", QUALITY, outcome)
    return Evidence(question, source, Selection(rows), rows, np.asarray(z, float), np.full(k, 1.0 / (n - 3)))


EIGHT = [0.30, 0.34, 0.26, 0.31, 0.28, 0.35, 0.25, 0.32]


def test_cr2_leads_with_six_countries_and_four_degrees_of_freedom_only() -> None:
    six = estimate_body(body(EIGHT[:6], list("ABCDEF")))
    five = estimate_body(body(EIGHT[:5], list("ABCDE")))
    assert (six.leads, five.leads) == ("CR2", "posterior")
    assert six.why.key == "groups_and_df" and (five.why.key, five.why.values["groups"]) == ("few_groups", 5)
    # six countries of which one holds nearly everything: too few degrees of freedom
    lopsided = body([*EIGHT, 0.2, 0.5, 0.1, 0.6, 0.3], [*["A"] * 8, *"BCDEF"], n=403)
    wild = replace(lopsided, v=np.where(lopsided.rows["country"] == "A", 1e-4, 1.0))
    assert estimate_body(wild).leads == "posterior" and estimate_body(wild).why.key == "few_degrees_of_freedom"


def test_no_p_where_cr2_does_not_lead() -> None:
    six, five = (estimates_of(estimate_body(body(EIGHT[:k], list("ABCDEF"[:k]))), "x") for k in (6, 5))
    p = {e.id: e.p for made in (six[:1], five[:1]) for e in made}
    assert six[0].id == five[0].id == "q-open-cr2"
    assert np.isfinite(six[0].p) and np.isnan(five[0].p) and p
    assert [e.group for e in six] == ["main", "beside", "prediction", "prediction"]
    assert [e.group for e in five] == ["beside", "main", "prediction", "prediction"]


def test_one_sample_is_answered_by_the_posterior_alone() -> None:
    one = estimate_body(body([0.3], ["A"]))
    assert one.fit is None and one.leads == "posterior" and one.mean.low < 0 < one.mean.high


def test_the_published_body_has_no_country_level() -> None:
    published = body(EIGHT, [""] * 8, "published")
    fit = working_fit(published)
    assert [c.name for c in fit.components] == ["sample"]
    two = fit_random_effects(published.y, published.v)  # one row a sample: the two-level model
    assert fit.beta[0] == pytest.approx(two.beta[0], abs=1e-6)
    assert estimate_body(published).posterior.variance("country") == 0.0


def test_one_row_a_sample_and_country_is_the_two_level_mean() -> None:
    found = body(EIGHT, list("ABCDEFGH"))
    assert working_fit(found).beta[0] == pytest.approx(fit_random_effects(found.y, found.v).beta[0], abs=1e-6)


def test_rho_is_six_tenths_and_reml_is_used() -> None:
    rows = body([0.1, 0.3, 0.5, 0.2, 0.4, 0.35, 0.2, 0.6], list("AAABBCCD"), "published")
    frame = rows.rows.assign(sample_id=list("aaabbccd"))
    found = replace(rows, rows=frame, selection=Selection(frame))
    assert working_fit(found).method["estimator"] == "REML"
    method = working_fit(found).method
    assert (method["V"], method["rho"]) == ("constant_correlation", "0.6")
    assert working_fit(found).method["vcov"] == "CR2"
    assert working_fit(found, 0.4).beta[0] != working_fit(found, 0.8).beta[0]


def test_interval_two_adds_between_and_country_and_three_adds_the_rest() -> None:
    answer = estimate_body(body([0.1, 0.5, 0.2, 0.4, 0.3, 0.6, 0.0, 0.35], list("AABBCCDD")))
    mean, sample, row = answer.mean, answer.further_sample, answer.further_row(103)
    assert row.low < sample.low < mean.low < answer.centre < mean.high < sample.high < row.high
    assert answer.further_row(23).high > answer.further_row(1003).high
    assert answer.spread == pytest.approx(
        np.sqrt(answer.posterior.variance("between") + answer.posterior.variance("country"))
    )


@pytest.mark.parametrize(
    ("centre", "low", "high", "word"),
    [
        (0.10, 0.01, 0.2, "more"),
        (0.099, 0.01, 0.2, "slightly_more"),
        (-0.10, -0.2, -0.01, "less"),
        (-0.099, -0.2, -0.01, "slightly_less"),
        (0.3, -0.001, 0.6, "unclear"),
        (0.3, 0.0, 0.6, "unclear"),
        (-0.3, -0.6, 0.001, "unclear"),
    ],
)
def test_the_word_of_an_interval(centre: float, low: float, high: float, word: str) -> None:
    assert direction_of(centre, low, high) == word


def test_the_everyday_unit_is_the_share_of_pairs() -> None:
    rng = np.random.default_rng(5)
    x = rng.multivariate_normal([0, 0], [[1, 0.3], [0.3, 1]], size=200_000)
    ahead = np.mean((x[::2, 0] > x[1::2, 0]) == (x[::2, 1] > x[1::2, 1]))
    assert probability_ahead(0.3) == pytest.approx(ahead, abs=0.005)
    assert probability_ahead(1.0) == 1.0 and probability_ahead(-1.0) == 0.0


def steady() -> tuple[Certainty, Certainty]:
    return Certainty(4, (Decision("imprecision", 0, "holds", {}),), 0.10), Certainty(2, (), 0.10)


def opening(z: Sequence[float], outcome: str = "engagement") -> tuple[Sentence, ...]:
    answer = estimate_body(body(z, list("ABCDEFGH"), outcome=outcome))
    return answer_sentences(Answered(answer, None, answer, None, *steady(), None, outcome == "engagement"))


def test_the_opening_turns_with_the_data() -> None:
    positive, negative = opening(EIGHT), opening([-z for z in EIGHT])
    assert [s.key for s in positive][:2] == ["answer.engagement.more", "answer.engagement.everyday_more"]
    assert [s.key for s in negative][:2] == ["answer.engagement.less", "answer.engagement.everyday_less"]
    share = positive[1].values["share"]
    assert isinstance(share, Number) and share.value == pytest.approx(probability_ahead(np.tanh(0.30125)), abs=2e-3)


def test_no_everyday_unit_for_bullying_nor_where_nothing_is_clear(dataset: Dataset) -> None:
    marked = {name for name, construct in dataset.vocabulary.constructs.items() if construct.everyday}
    assert marked == {"engagement", "achievement"}
    assert not any("everyday" in s.key for s in opening([-z for z in EIGHT], "victimization"))
    unclear = opening([0.3, -0.3, 0.2, -0.2, 0.1, -0.1, 0.25, -0.25])
    assert unclear[0].key == "answer.engagement.unclear" and "everyday" not in unclear[1].key


@pytest.mark.parametrize(("gap", "apart"), [((0.2, 0.01, 0.4), True), ((0.2, -0.01, 0.4), False), (None, False)])
def test_bodies_that_differ_beyond_chance_get_no_single_figure(
    gap: tuple[float, float, float] | None, apart: bool
) -> None:
    answer = estimate_body(body(EIGHT, list("ABCDEFGH")))
    keys = [s.key for s in answer_sentences(Answered(answer, answer, answer, gap, *steady(), None, True))]
    assert ("answer.apart" in keys) is apart
    assert ("answer.engagement.more" in keys) is not apart
    assert ("answer.bodies" in keys) is (gap is not None and not apart)


def told(sentence: Sentence) -> dict[str, float]:
    """The numbers of a sentence."""
    return {
        name: float(v.value) for name, v in sentence.values.items() if isinstance(v, Number) and v.value is not None
    }


def by_key(sentences: Sequence[Sentence]) -> dict[str, Sentence]:
    return {sentence.key: sentence for sentence in sentences}


@pytest.mark.parametrize(
    ("bodies", "countries", "key"),
    [
        (["published"] * 3 + ["open"] * 3, ["A", "A", "B", "C", "D", "E"], "answer.counts_both_known"),
        (["published"] * 3 + ["open"] * 3, ["", "A", "B", "C", "D", ""], "answer.counts_both"),
        (["published"] * 6, ["A", "A", "B", "C", "D", "E"], "answer.counts_published_known"),
        (["published"] * 6, ["", "A", "B", "C", "D", "E"], "answer.counts_published"),
        (["open"] * 6, ["A", "A", "B", "C", "D", "E"], "answer.counts_open"),
        (["open"] * 6, ["", "A", "B", "C", "D", "E"], "answer.counts_open"),
    ],
)
def test_the_counts_are_those_of_the_rows(bodies: list[str], countries: list[str], key: str) -> None:
    found = body(EIGHT[:6], countries)
    rows = found.rows.assign(body=bodies)
    answer = estimate_body(replace(found, rows=rows, selection=Selection(rows)))
    said = by_key(answer_sentences(Answered(answer, None, answer, None, *steady(), None, False)))[key]
    known = sorted({country for country in countries if country})
    assert told(said) == {
        "samples": 6, "persons": 6 * 403, "published": bodies.count("published"), "open": bodies.count("open"),
        "countries": len(known), "unknown": countries.count(""),
    }  # fmt: skip
    assert said.values["names"] == ", ".join(known)


def test_the_numbers_of_the_opening_are_those_of_its_estimates() -> None:
    first, second = (estimate_body(body(z, list("ABCDEFGH"))) for z in (EIGHT, [z / 2 for z in EIGHT]))
    pairs = PairShares(0.4, 0.25, (("s0", 2, 0.4, 0.25),))
    made = Answered(first, first, second, (0.1, -0.01, 0.2), *steady(), None, True, pairs)
    said = by_key(answer_sentences(made))
    ends = {"r": first.centre, "low": first.mean.low, "high": first.mean.high}
    others = {"open_r": second.centre, "open_low": second.mean.low, "open_high": second.mean.high}
    gap = {"gap": 0.1, "gap_low": -0.01, "gap_high": 0.2}
    published = {f"published_{name}": value for name, value in ends.items()}
    assert told(said["answer.engagement.more"]) == ends
    assert told(said["answer.bodies"]) == published | others | gap
    assert told(said["answer.engagement.pairs"]) == {
        "more": 0.4,
        "less": 0.25,
        "alike": pytest.approx(0.35),
        "samples": 1,
    }
    assert told(said["answer.sure"]) == {"target": 0.10}
    apart = by_key(answer_sentences(replace(made, gap=(0.1, 0.01, 0.2))))
    assert told(apart["answer.apart"]) == published | others and "answer.engagement.more" not in apart
    assert not made.apart and not replace(made, gap=(0.1, 0.0, 0.2)).apart
    assert replace(made, gap=(-0.1, -0.2, -0.01)).apart and not replace(made, gap=(-0.1, -0.2, 0.0)).apart
    sign_alone = replace(made.association, target=0.0)
    assert "answer.sure_sign" in by_key(answer_sentences(replace(made, association=sign_alone)))
    (row,) = pairs_table(first.found.question, pairs).rows
    assert row == ("s0", 2, 0.4, 0.25, pytest.approx(0.35))


def test_what_is_foretold_is_said_with_its_ends_and_its_n() -> None:
    answer = estimate_body(body(EIGHT, list("ABCDEFGH")))
    sample, row = answer.further_sample, answer.further_row(200)
    assert told(further_sentence(answer)) == {
        "sample_low": sample.low, "sample_high": sample.high, "row_low": row.low, "row_high": row.high, "n": 200,
    }  # fmt: skip


def test_each_domain_is_said_with_its_step_and_its_numbers() -> None:
    decisions = (Decision("imprecision", -1, "target", {"low": 0.05, "names": "Norway", "r": None}),)
    first, second = certainty_sentences("q", Certainty(4, decisions, 0.10))
    assert (first.key, first.values["grade"]) == ("certainty.question", "certainty-moderate")
    assert (second.key, told(second)) == ("certainty.imprecision.target", {"step": -1, "low": 0.05})
    assert second.values["names"] == "Norway"
    cause = Certainty(2, (Decision("cause", -1, "some", {"adjusted": 1, "lagged": 4}),), 0.10)
    about, why = cause_sentence("q", "engagement", cause)
    assert (about.key, about.values["grade"]) == ("answer.engagement.cause", "certainty-very-low")
    assert (why.key, told(why)) == ("cause.some", {"adjusted": 1, "lagged": 4})


# --- predictions -----------------------------------------------------------------------------------------------------


def test_nothing_is_predicted_from_itself(dataset: Dataset) -> None:
    """A sample moved far away leaves its own prediction where it was."""
    z = [*EIGHT[:7], 1.5]
    near, far = (estimate_body(body(values, list("ABCDEFGH"))) for values in (EIGHT, z))
    last = [left_out_by(dataset, answer, "sample")[-1] for answer in (near, far)]
    assert last[0].low == pytest.approx(last[1].low, abs=2e-3) and last[1].place > 0.999 > last[0].place


def test_leaving_out_a_country_takes_all_its_samples(dataset: Dataset) -> None:
    z = [0.1, 0.12, 0.11, 0.5, 0.52, 0.51, 0.3, 0.31]
    answer = estimate_body(body(z, list("AAABBBCC")))
    by_sample = {p.sample: p for p in left_out_by(dataset, answer, "sample")}
    by_country = {p.sample: p for p in left_out_by(dataset, answer, "country")}
    assert by_country["s0"].low > by_sample["s0"].low  # without its neighbours the middle moves away from it
    assert len(by_country) == len(by_sample) == 8


def test_another_body_is_predicted_with_its_own_sampling_error() -> None:
    answer = estimate_body(body(EIGHT, list("ABCDEFGH"), n=5003))
    small, large = (predict_body(answer, body([0.3], ["X"], n=n, name="x"))[0] for n in (28, 5003))
    assert small.high - small.low > 2 * (large.high - large.low)


def test_coverage_counts_the_middle_and_says_how_little_it_knows() -> None:
    answer = estimate_body(body(EIGHT, list("ABCDEFGH")))
    found = coverage(predict_body(answer, body([0.3, 0.31, -0.9], list("XYZ"), name="x")))
    assert [(c.inside, c.total) for c in found] == [(2, 3), (2, 3), (2, 3)]
    assert binomial_interval(2, 3) == pytest.approx((0.0943, 0.9916), abs=1e-4)  # Clopper and Pearson


# --- what would change it, drivers, priors ---------------------------------------------------------------------------


INPUTS = Inputs(
    centre=0.3, low=0.25, high=0.35, spread=0.05, samples=8, groups=8, countries=("Norway",), different=None,
    direct=None, indirect_share=0.0, missing=float("nan"), published=0, models=(), open=None,
)  # fmt: skip


def test_the_threshold_is_the_first_number_of_samples_that_moves_the_grade() -> None:
    answer = estimate_body(body([0.3 + 0.01 * (i % 3) for i in range(12)], list("ABCDEFGHIJKL")))
    inputs = replace(INPUTS, samples=12, groups=12)
    grade = certainty_of(inputs)[0]
    change = change_of(answer, inputs, grade)
    assert grade.grade == "moderate" and change.samples is not None and change.to == "low"
    assert with_hypothetical(answer.found, 2, 0.0, 1000).rows["sample_id"].iloc[-1] == "hypothetical 2"
    one_fewer = estimate_body(with_hypothetical(answer.found, change.samples - 1, 0.0, 1000))
    enough = estimate_body(with_hypothetical(answer.found, change.samples, 0.0, 1000))

    def again(e: Estimated) -> str:
        made = replace(inputs, centre=e.centre, low=e.mean.low, high=e.mean.high, spread=e.spread)
        return certainty_of(made, target=0.10)[0].grade

    assert (again(one_fewer), again(enough)) == ("moderate", "low")


def test_what_would_change_it_is_said_for_every_case() -> None:
    falls = Change(3, 40, 0.0, 1000, "low", ("risk_of_bias",))
    assert [s.key for s in change_sentences("q", "moderate", falls)] == ["change.lower", "change.held_risk_of_bias"]
    stands = Change(None, 40, 0.0, 1000, None, ())
    assert [s.key for s in change_sentences("q", "moderate", stands)] == ["change.stands"]
    assert change_sentences("q", "very_low", stands) == change_sentences("q", "high", None) == ()
    lower, stays = change_sentences("q", "moderate", falls)[0], change_sentences("q", "moderate", stands)[0]
    assert told(lower) == {"samples": 3, "n": 1000, "r": 0.0} and lower.values["to"] == "certainty-low"
    assert told(stays) == {"most": 40, "n": 1000, "r": 0.0} and stays.values["grade"] == "certainty-moderate"
    both = replace(falls, domains=("imprecision", "inconsistency"))
    assert [s.key for s in change_sentences("q", "very_low", both)] == [
        "change.held_imprecision",
        "change.held_inconsistency",
    ]


def test_the_driver_is_the_sample_that_moves_most_either_way() -> None:
    rows = [("a", 0.3, 0.2, 0.4, 0.01), ("b", 0.35, 0.2, 0.4, -0.05), ("c", 0.3, 0.2, 0.4, 0.02)]
    (said,) = driver_sentence("q", rows, "t")
    moved = said.values["moved"]
    assert said.values["sample"] == "b" and isinstance(moved, Number) and moved.value == -0.05
    assert driver_sentence("q", [], "t") == ()
    assert told(said) == {"without": 0.35, "moved": -0.05}
    kept = [("a", 0.3, 0.2, 0.4, Label("nothing_left")), ("b", None, None, None, None), ("c", 0.3, 0.2, 0.4, 0.001)]
    assert driver_sentence("q", kept, "t")[0].values["sample"] == "c"


def pool_of(dataset: Dataset, name: str, z: float, se: float) -> Published:
    return Published(claims_by_id(dataset)[name], z, se, "test")


def test_a_prior_that_shares_samples_is_refused(dataset: Dataset) -> None:
    question = Question("positive-engagement", "p", ("positive",), "engagement")
    pool = pool_of(dataset, "roorda2011-011", 0.35, 0.02)
    old, new = (evidence(dataset, question, source) for source in ("published", "open"))
    assert shares_samples(pool, old) and not shares_samples(pool, new)
    refused = prior_and_data(estimate_body(old), pool, 1)
    assert [s.key for s in refused.sentences] == ["prior.shares"] and not refused.estimates


def test_a_conflict_is_said_and_the_mixture_lets_go(dataset: Dataset) -> None:
    answer = estimate_body(body([0.3 + 0.01 * (i % 3) for i in range(8)], list("ABCDEFGH")))
    agrees, fights = (prior_and_data(answer, pool_of(dataset, "roorda2011-011", z, 0.02), 1) for z in (0.3, 0.9))
    assert [s.sentences[0].key for s in (agrees, fights)] == ["prior.no_conflict", "prior.conflict"]
    weights = [s.sentences[0].values["weight"].value for s in (agrees, fights)]  # type: ignore[union-attr]
    assert weights[0] > 0.8 and weights[1] < 0.05
    assert fights.estimates[0].value == pytest.approx(answer.centre, abs=0.01)
    assert conflict((0.5, 0.0), (0.3, 0.0), 0.01) == pytest.approx(2.0)


def test_every_sentence_of_this_layer_has_words_in_both_languages() -> None:
    import itertools

    tables = {language: load_words(language).table for language in ("en", "nb")}

    def keys(table: Mapping[str, object], prefix: str = "") -> set[str]:
        found: set[str] = set()
        for name, value in table.items():
            found |= keys(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}"}
        return found

    for part in ("answer", "certainty", "cause", "change", "prior"):
        en, nb = (keys(tables[language]["sentences"][part]) for language in ("en", "nb"))
        assert en == nb
    for outcome, word in itertools.product(
        ("engagement", "achievement", "victimization", "perpetration"),
        ("more", "slightly_more", "less", "slightly_less", "unclear", "none", "cause"),
    ):
        values = dict.fromkeys(("r", "low", "high"), 0.1) | {"grade": "certainty-low", "claim": "x"}
        assert str(load_words("nb").sentence(f"answer.{outcome}.{word}", values))


def test_means_are_of_samples_not_rows() -> None:
    found = body([0.1, 0.3], ["A", "B"])
    assert len(sample_means(found).y) == 2


def test_the_norwegian_protocol_is_the_one_the_tables_show() -> None:
    from replication.evidence.protocol import load_protocol

    words, protocol = load_words("nb"), load_protocol()
    for criterion in (*protocol.criterion, *protocol.restriction):
        assert words.label(criterion.label) == criterion.wording_nb
        assert load_words("en").label(criterion.label) == criterion.wording
        without = plain(Label("without_criterion", {"criterion": criterion.label}))
        assert words.label(without) == f"uten: {criterion.wording_nb}"
