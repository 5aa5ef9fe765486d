"""The parts findings are made of, on the real dataset and on tiny bodies of evidence."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analyses.shared.schools import direction_evidence
from replication.analysis.outcome import Label, Ref
from replication.claims import claims_of
from replication.dataset import Dataset, Selection
from replication.evidence import change
from replication.evidence.bayes import posterior_of
from replication.evidence.certainty import Certainty, Decision, Inputs, certainty_of
from replication.evidence.change import change_of, with_hypothetical
from replication.evidence.main_model import estimate_body
from replication.evidence.published import published_pools, published_table
from replication.evidence.question import Evidence, Question, evidence, sample_means
from replication.models.bayes.priors.informed import correlation_priors

VICTIMS = Question("q", "quality with being bullied", ("positive", "negative"), "victimization")
ENGAGED = Question("p", "positive with engagement", ("positive",), "engagement")


def tiny(y: list[float], v: list[float], samples: list[str]) -> Evidence:
    frame = pd.DataFrame(
        {
            "effect_id": [f"e{i}" for i in range(len(y))],
            "sample_id": samples,
            "label": samples,
            "n": [100.0] * len(y),
            "work": ["w"] * len(y),
        }
    )
    return Evidence(ENGAGED, "open", Selection(frame), frame, np.array(y), np.array(v))


def test_no_part_of_a_sample_counts_twice(dataset: Dataset) -> None:
    found = evidence(dataset, ENGAGED, "open")
    assert set(found.rows["subgroup_of"]) == {""}
    assert any(e.reason.values["name"] == "whole" for e in found.selection.excluded)


def test_negative_relationships_are_turned_only_where_both_are_asked_for(dataset: Dataset) -> None:
    both = evidence(dataset, VICTIMS, "open")
    turned = both.rows["relationship"].to_numpy() == "negative"
    assert turned.any()
    weighted = both.rows["value_weighted"].fillna(both.rows["value"]).to_numpy(float)
    assert both.y == pytest.approx(np.where(turned, -1, 1) * np.arctanh(weighted))
    negative = Question("n", "negative with engagement", ("negative",), "engagement")
    alone = evidence(dataset, negative, "published")
    assert alone.y == pytest.approx(np.arctanh(alone.rows["value"].to_numpy(float)))


def test_together_is_old_and_new_and_nothing_else(dataset: Dataset) -> None:
    old, new, both = (set(evidence(dataset, ENGAGED, s).rows["effect_id"]) for s in ("published", "open", "pool"))
    assert old | new == both
    assert not old & new


def test_schools_never_enter_a_question_about_students(dataset: Dataset) -> None:
    for source in ("published", "open", "pool"):
        assert set(evidence(dataset, ENGAGED, source).rows["unit"]) == {"student"}


def test_bullying_others_has_one_sample_with_a_relationship_measure(dataset: Dataset) -> None:
    others = Question("o", "quality with bullying others", ("positive", "negative"), "perpetration")
    assert len(evidence(dataset.as_of("1.0.0"), others, "pool").y) == 0
    assert list(evidence(dataset, others, "pool").rows["effect_id"]) == ["krull2022_deu_g34-004"]


def test_civic_participation_and_a_second_scoring_enter_no_pool(dataset: Dataset) -> None:
    bullied = Question("b", "being bullied", ("positive",), "victimization")
    for question, measure in ((ENGAGED, "s-schpart"), (ENGAGED, "s-valparts"), (bullied, "is3g20a-f")):
        found = evidence(dataset, question, "open")
        assert not (found.rows[["measure_a", "measure_b"]] == measure).to_numpy().any()
        left_out = dataset.effects.set_index("effect_id").loc[[e.row for e in found.selection.excluded]]
        left_out = left_out[left_out["unit"] == "student"]
        assert (left_out[["measure_a", "measure_b"]] == measure).any(axis=1).sum() == 6


def test_the_variance_of_a_sample_mean() -> None:
    means = sample_means(tiny([0.1, 0.3, 0.5], [0.04, 0.04, 0.01], ["a", "a", "b"]), rho=0.5)
    assert means.y == pytest.approx([0.2, 0.5])
    assert means.v == pytest.approx([(0.04 + 0.04 + 2 * 0.5 * 0.04) / 4, 0.01])


def test_one_row_a_sample_is_left_as_it_is() -> None:
    body = tiny([0.1, 0.3], [0.04, 0.01], ["a", "b"])
    assert sample_means(body).v == pytest.approx(body.v)


def test_a_printed_interval_gives_the_standard_error(dataset: Dataset) -> None:
    claims = {c.id: c for c in claims_of(dataset)}
    (pool,) = published_pools(claims, ["tenbokkel2023-004"], tau2=9.0)
    assert pool.se == pytest.approx((np.arctanh(-0.11) - np.arctanh(-0.17)) / (2 * 1.959964), rel=1e-6)
    (pool,) = published_pools(claims, ["roorda2011-011"], tau2=0.61)
    assert pool.se == pytest.approx(np.sqrt(0.61 / 61))


def test_without_an_interval_the_error_is_of_its_samples_and_without_these_unknown(dataset: Dataset) -> None:
    claims = {c.id: c for c in claims_of(dataset)}
    whole, plain = claims["tenbokkel2023-004"], claims["roorda2011-011"]
    half = replace(whole, printed={k: v for k, v in whole.printed.items() if k != "ci_high"}, k=16.0)
    few = replace(plain, k=0.0)
    nothing = replace(plain, k=float("nan"))
    made = published_pools({"a": half, "b": few, "c": nothing, "d": replace(plain, k=1.0)}, list("abxcd"), tau2=0.64)
    assert [p.se for p in made] == pytest.approx([0.2, 0.0, 0.0, 0.8])
    assert (
        made[0].se_from == Label("se_constructed", {"k": 16.0}) and made[1].se_from == made[2].se_from == "se_unknown"
    )
    assert made[0].z == pytest.approx(np.arctanh(-0.14))


def test_printed_numbers_stand_as_in_the_sources(dataset: Dataset) -> None:
    claims = {c.id: c for c in claims_of(dataset)}
    table = published_table(claims, ["roorda2011-011", "gone", "tenbokkel2023-004"], ENGAGED)
    first, second = table.rows
    a, b = claims["roorda2011-011"], claims["tenbokkel2023-004"]
    assert first[:6] == ("roorda2011", a.quantity, a.subgroup, a.printed["value"], "", "")
    assert second[3:6] == (b.printed["value"], b.printed["ci_low"], b.printed["ci_high"])
    assert first[6:] == (61.0, a.n if np.isfinite(a.n) else None, a.reading)
    assert table.links == (Ref("claim", a.id), Ref("claim", b.id))
    unknown = published_table({"x": replace(a, k=float("nan"), n=float("nan"))}, ["x"], ENGAGED).rows[0]
    assert unknown[6:8] == (None, None)


def test_hypothetical_samples_are_places_of_their_own_and_nothing_else() -> None:
    body = tiny([0.1, 0.3], [0.04, 0.01], ["a", "b"])
    body = replace(body, rows=body.rows.assign(place=["P", "Q"]))
    made = with_hypothetical(body, 3, 0.2, 103)
    assert made.y.tolist() == [0.1, 0.3, *[pytest.approx(np.arctanh(0.2))] * 3]
    assert made.v.tolist() == pytest.approx([0.04, 0.01, 0.01, 0.01, 0.01])
    assert made.samples.tolist() == ["a", "b", "hypothetical 1", "hypothetical 2", "hypothetical 3"]
    assert made.rows["n"].tolist() == [100.0, 100.0, 103, 103, 103] and made.rows["work"].tolist()[2:] == [""] * 3
    assert len(set(made.places)) == 5 and made.persons == 200 + 309
    assert len(with_hypothetical(body, 0, 0.2, 103).y) == 2


INPUTS = Inputs(
    centre=0.3, low=0.25, high=0.35, spread=0.05, samples=12, groups=12, countries=("Norway",), different=None,
    direct=None, indirect_share=0.0, missing=float("nan"), published=0, models=(), open=None,
)  # fmt: skip


def test_a_grade_at_the_bottom_cannot_fall_and_one_that_stands_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    body = tiny([0.3 + 0.01 * (i % 3) for i in range(12)], [1 / 400] * 12, list("abcdefghijkl"))
    answer = estimate_body(replace(body, rows=body.rows.assign(place=list("ABCDEFGHIJKL"))))
    held = (Decision("imprecision", -3, "zero", {}), Decision("inconsistency", 0, "holds", {}))
    bottom = change_of(answer, INPUTS, Certainty(4, held, 0.10))
    assert (bottom.samples, bottom.to, bottom.domains, bottom.most, bottom.n, bottom.r) == (
        None, None, ("imprecision",), 40, 1000, 0.0,
    )  # fmt: skip
    # A grade that a single further sample cannot move stands; with more of them it falls.
    now = certainty_of(INPUTS)[0]
    found = {}
    for most in (1, 40):
        monkeypatch.setattr("replication.evidence.change.MOST", most)
        found[most] = change_of(answer, INPUTS, now)
    assert (found[1].samples, found[1].to, found[1].most) == (None, None, 1)
    assert found[40].samples is not None and 1 < found[40].samples <= 40 and found[40].to == "low"
    assert found[1].domains == found[40].domains == ("risk_of_bias",)


@pytest.mark.parametrize(
    ("places", "leads"), [("ABCDEFGHIJKL", "CR2"), ("AABBCCDDEEEE", "CR2"), ("AAABBBCCCDDD", "posterior")]
)
def test_a_further_sample_is_graded_by_the_model_that_would_lead(
    places: str, leads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interval is that of the estimate a reader would get with it: robust from six places on."""
    body = tiny([0.2 + 0.05 * (i % 4) for i in range(12)], [1 / 400] * 12, list("abcdefghijkl"))
    body = replace(body, rows=body.rows.assign(place=list(places)))
    more = with_hypothetical(body, 1, 0.0, 1000)
    graded: list[Inputs] = []

    def spy(inputs: Inputs, **given: float) -> tuple[Certainty, ...]:
        graded.append(inputs)
        return certainty_of(inputs, **given)

    monkeypatch.setattr("replication.evidence.change.certainty_of", spy)
    change._grade_with(more, estimate_body(body), INPUTS, 1, 0.1)
    (inputs,), expected = graded, estimate_body(more)
    assert expected.leads == leads and inputs.samples == 13 == inputs.groups
    assert expected.fit is not None
    other = expected.posterior.coefficient().ppf([0.025, 0.975]) if leads == "CR2" else expected.fit.interval()[0]
    assert [inputs.low, inputs.high] == pytest.approx([expected.mean.low, expected.mean.high], abs=1e-5)
    assert (np.abs(np.tanh(other) - [inputs.low, inputs.high]) > 5e-4).all(), "the two models would say the same here"


def test_the_sign_test_counts_works_not_rows(dataset: Dataset) -> None:
    outcomes = {"bullying_perpetration": -1, "peer_victimization": -1, "bullying_other": -1}
    table, _, test = direction_evidence(dataset, outcomes, "x")
    assert len(table.rows) > test.k
    assert test.p == pytest.approx(2 * 0.5**test.k)


def test_one_row_a_sample_gets_two_levels_and_several_get_three() -> None:
    priors = correlation_priors()
    assert posterior_of(tiny([0.1, 0.3], [0.04, 0.01], ["a", "b"]), priors).sds == ("tau",)
    three = posterior_of(tiny([0.1, 0.3, 0.2], [0.04, 0.01, 0.02], ["a", "a", "b"]), priors)
    assert set(three.sds) == {"within", "between"}
