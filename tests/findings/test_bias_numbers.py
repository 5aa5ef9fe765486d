"""Every number of the page on publication bias: what a model is given, on which side, and both bodies."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from replication.analysis.outcome import Estimate, Label, Number, Ref, Sentence, Text, several
from replication.dataset import Selection
from replication.evidence.bias import BiasPage, funnel_line, publication_bias
from replication.evidence.bias_averages import AveragedBias, averaged_estimates, averaged_tables
from replication.evidence.bias_models import BiasAnswer, bias_answers, one_row_a_sample, sizes_of, unadjusted
from replication.evidence.bodies import compare_bodies
from replication.evidence.question import Evidence, Question, Source
from replication.models.bias import fit_step_selection, henmi_copas, trim_fill, waap_wls
from replication.models.bias.funnel_asymmetry import egger_of_fit, rank_test
from replication.models.bias.multilevel_funnel import fit_multilevel_funnel, multilevel_pet_peese
from replication.models.bias.p_curve import p_curve, p_curve_shares
from replication.models.bias.significance_counts import excess_significance
from replication.models.fit import Interval, Note
from replication.models.two_level.random_effects import fit_random_effects

QUESTION = Question("q", "x", ("positive",), "engagement")


def body(z: list[float], n: list[int], samples: list[str], source: Source = "published") -> Evidence:
    k = len(z)
    rows = pd.DataFrame(
        {"effect_id": [f"e{i:02d}" for i in range(k)], "sample_id": samples, "label": [""] * k, "n": np.array(n, float)}
    )
    return Evidence(QUESTION, source, Selection(rows), rows, np.array(z), 1.0 / (np.array(n) - 3.0))


# Two samples have two rows, the larger one second; small samples show more, and three miss significance.
Z = [0.55, 0.2, 0.45, 0.48, 0.3, 0.4, 0.16, 0.22, 0.05, 0.19, 0.12, 0.21, 0.62, 0.33]
N = [40, 45, 50, 60, 70, 90, 400, 500, 90, 900, 1500, 2500, 48, 95]
SAMPLES = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "a", "f"]
FUNNEL = body(Z, N, SAMPLES)
MEANS_Z = np.array([(0.55 + 0.62) / 2, *Z[1:5], (0.4 + 0.33) / 2, *Z[6:12]])
V = 1.0 / (np.array(N) - 3.0)
MEANS_V = V[:12].copy()
for at, other in ((0, 12), (5, 13)):  # the mean of two rows whose errors correlate by .6
    MEANS_V[at] = (V[at] + V[other] + 1.2 * np.sqrt(V[at] * V[other])) / 4
ONE = [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13]  # of a and f the row of the larger n, which stands last


def answers(sign: int, found: Evidence = FUNNEL) -> dict[str, BiasAnswer]:
    return {answer.model: answer for answer in bias_answers(found, sign)}


def in_r(value: float, interval: object, p: float) -> list[float]:
    return [*np.tanh([value, *np.ravel(interval)]).tolist(), p]


def numbers(answer: BiasAnswer) -> list[float]:
    return [answer.value, answer.low, answer.high, answer.p]


@pytest.mark.parametrize("sign", [1, -1])
def test_each_model_is_given_the_means_of_samples_and_the_expected_side(sign: int) -> None:
    found = answers(sign)
    direction = "positive" if sign > 0 else "negative"
    trimmed = trim_fill(MEANS_Z, MEANS_V, side="left" if sign > 0 else "right")
    waap, radial = waap_wls(MEANS_Z, MEANS_V), henmi_copas(MEANS_Z, MEANS_V)
    line = multilevel_pet_peese(FUNNEL.y, FUNNEL.v, np.array(SAMPLES), direction=direction)  # type: ignore[arg-type]
    expected = {
        "pet-peese": in_r(line.estimate, [line.interval.low, line.interval.high], line.p),
        "waap": in_r(waap.estimate, [waap.interval.low, waap.interval.high], waap.p),
        "trim-fill": in_r(trimmed.fit.beta[0], trimmed.fit.interval()[0], trimmed.fit.p[0]),
        "henmi-copas": in_r(radial.estimate, [radial.interval.low, radial.interval.high], np.nan),
    }
    if sign > 0:  # on the other side no result is significant, and there is no weight to estimate
        fit = fit_step_selection(MEANS_Z, MEANS_V, direction="positive").fit
        expected["selection"] = in_r(fit.beta[0], fit.interval()[0], fit.p[0])
        assert dict(found["selection"].method)["step"] == Label("step_one_sided", {"step": 0.025})
    for model, values in expected.items():
        assert numbers(found[model]) == pytest.approx(values, rel=1e-9, nan_ok=True), model
    assert {answer.k for answer in found.values()} == {12}
    filled = Label("filled_on_left" if sign > 0 else "filled_on_right", {"k": trimmed.k0})
    assert dict(found["trim-fill"].method)["filled"] == filled


def test_samples_are_small_below_four_fifths_of_power() -> None:
    """Two-sided 5 % and 80 % power: 2.8 standard errors. 103 persons have one of .1."""
    found = body([0.1] * 4, [103, 103, 103, 28], list("abcd"))
    assert (sizes_of(found, 0.2805).small, sizes_of(found, -0.2805).small, sizes_of(found, 0.2795).small) == (1, 1, 4)
    assert one_row_a_sample(FUNNEL).rows["effect_id"].tolist() == [f"e{i:02d}" for i in ONE]
    assert (sizes_of(FUNNEL, 0.3).samples, len(answers(1)["waap"].reasons)) == (12, 0)
    for small, large, reasons in ((2, 9, ["too_few_small"]), (9, 2, ["too_few_large"]), (3, 7, []), (7, 3, [])):
        sizes = [28] * small + [1003] * large
        made = sizes_of(body([0.3] * len(sizes), sizes, [f"s{i}" for i in range(len(sizes))]), 0.3)
        assert [reason.key for reason in made.reasons if isinstance(reason, Label)] == reasons


@pytest.mark.parametrize(("notes", "why"), [((Note("x", "told why"),), several("told why")), ((), "model_gives_none")])
def test_a_model_without_an_estimate_says_why(
    notes: tuple[Note, ...], why: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    nan = float("nan")
    none = SimpleNamespace(estimate=nan, interval=Interval(nan, nan, 0.95, "none"), notes=notes)
    monkeypatch.setattr("replication.evidence.bias_models.henmi_copas", lambda *_: none)
    found = answers(1)["henmi-copas"]
    assert found.reasons == (Label("no_estimate", {"why": why}),) and not found.adequate


def average(**changes: object) -> AveragedBias:
    made = AveragedBias(
        0.9, 0.5, (0.2, 0.1, 0.3), (0.18, 0.0, 0.29), (("effect", 0.5, 0.9, 0.95, ""),),
        (("a", 0.5, 0.7, 0.2, 0.1), ("b", 0.5, 0.3, 0.1, 0.2)), 1e-4, 14, 12, (), (), (0.8, 0.25, 0.15, 0.35),
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> BiasPage:
    monkeypatch.setattr("replication.evidence.bias.averaged_bias", lambda *_: average())
    return publication_bias(FUNNEL, None, 1)


def test_the_table_holds_the_models_and_the_average(page: BiasPage) -> None:
    table = page.findings.tables[0]
    plain, found = unadjusted(FUNNEL), answers(1)
    models = [plain, *found.values()]
    for row, answer in zip(table.rows, models, strict=False):
        values = [None if not np.isfinite(x) else x for x in numbers(answer)]
        assert row[:2] == (answer.label, answer.assumes) and list(row[2:6]) == values
        assert row[6] == ("yes" if answer.adequate else "no")
    conditional, over_all, whole = table.rows[len(models) :]
    assert (conditional[2:6], over_all[2:6]) == ((0.2, 0.1, 0.3, None), (0.18, 0.0, 0.29, None))
    assert whole[2:6] == (0.25, 0.15, 0.35, None)
    names = ["unadjusted", *found, "averaged-conditional", "averaged", "averaged-whole"]
    assert table.links == tuple(Ref("estimate", f"q-published-{name}") for name in names)
    figure = next(f for f in page.findings.figures if f.kind == "bias_comparison")
    assert figure.columns["value"] == [*(a.value for a in found.values()), 0.2, 0.18]
    assert figure.columns["high"][-2:] == [0.3, 0.29]
    assert figure.settings["summary"] == plain.value and figure.settings["summary_high"] == plain.high
    read = ["may_be_read" if a.adequate else "not_to_be_read_here" for a in found.values()]
    assert figure.columns["group"] == [*read, "may_be_read", "may_be_read"]


def test_tests_of_the_funnel_are_given_one_row_a_sample(page: BiasPage) -> None:
    table = next(t for t in page.findings.tables if t.id == "bias-tests-q-published")
    rows = {str(row[0]): row[1:] for row in table.rows}
    y, v = FUNNEL.y[ONE], FUNNEL.v[ONE]
    egger = egger_of_fit(fit_multilevel_funnel(FUNNEL.y, FUNNEL.v, np.array(SAMPLES)))
    assert rows["egger_multilevel_cr2"][:2] == pytest.approx((egger.statistic, egger.p))
    assert rows["rank_correlation_begg"][:2] == pytest.approx((rank_test(y, v).tau, rank_test(y, v).p))
    fit = fit_random_effects(y, v)
    excess = excess_significance(y, v, effect=float(fit.beta[0]), tau2=fit.component("tau2").estimate)
    assert rows["excess_significance"][:2] == pytest.approx((excess.ratio, excess.p_exact))
    curve = p_curve(y, v, direction="positive")
    assert rows["p_curve_right_skew"][:2] == pytest.approx((curve.right_skew.z, curve.right_skew.p))
    counted = rows["p_curve_right_skew"][2]
    assert isinstance(counted, Label)
    assert dict(counted.values) == {"significant": curve.significant, "k": 12, "half": curve.half}
    assert isinstance(table.note, Label) and table.note.values["samples"] == 12
    shares = p_curve_shares(y, v, direction="positive")
    figure = next(f for f in page.findings.figures if f.kind == "p_curve")
    assert figure.columns["observed"] == shares.observed.tolist() and figure.columns["p"] == shares.p.tolist()
    line = fit_multilevel_funnel(FUNNEL.y, FUNNEL.v, np.array(SAMPLES))
    assert funnel_line(FUNNEL) == pytest.approx(
        {"line_intercept": line.beta[0], "line_slope": line.beta[1], "egger_p": line.p[1]}
    )
    assert funnel_line(FUNNEL.take(np.arange(14) == 0)) is None


def answer(low: float, high: float, *, adequate: bool = True, model: str = "m") -> BiasAnswer:
    value = (low + high) / 2
    return BiasAnswer(model=model, label="l", assumes="a", value=value, low=low, high=high, k=12, adequate=adequate)


OVER, ACROSS, UNDER = (0.1, 0.3), (-0.1, 0.3), (-0.4, -0.2)


@pytest.mark.parametrize(
    ("ends", "unread", "sign", "probability", "verdict", "holds"),
    [
        ((OVER, OVER), (), 1, 0.9, "bias_stands", 2),
        ((OVER, OVER), (), 1, 0.5, "bias_open", 2),
        ((OVER, OVER), (), 1, None, "bias_stands", 2),
        ((OVER, ACROSS), (), 1, 0.9, "bias_open", 1),
        ((ACROSS, ACROSS), (), 1, 0.9, "bias_open", 0),
        ((ACROSS, ACROSS), (), 1, 0.5, "bias_gone", 0),
        ((ACROSS, ACROSS), (), 1, None, "bias_gone", 0),
        ((OVER, OVER), (), -1, 0.5, "bias_gone", 0),
        ((UNDER, UNDER), (), -1, 0.9, "bias_stands", 2),
        ((UNDER, UNDER), (), 1, 0.1, "bias_gone", 0),
        ((OVER,), (ACROSS,), 1, 0.9, "bias_stands", 1),  # what may not be read is not counted
        ((), (OVER, OVER), 1, 0.9, "bias_unread", 0),
    ],
)
def test_the_verdict_follows_from_what_may_be_read(
    ends: tuple[tuple[float, float], ...],
    unread: tuple[tuple[float, float], ...],
    sign: int,
    probability: float | None,
    verdict: str,
    holds: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = (*(answer(*e, model=f"m{i}") for i, e in enumerate(ends)), *(answer(*e, adequate=False) for e in unread))
    monkeypatch.setattr("replication.evidence.bias.bias_answers", lambda *_: models)
    made = (None, "") if probability is None else (average(probability=probability), "")
    monkeypatch.setattr("replication.evidence.bias._averaged_or_reason", lambda *_: made)
    sentence = publication_bias(FUNNEL, None, sign).findings.sentences[0]
    said = told(sentence)
    assert sentence.values["verdict"] == verdict
    assert (said["models"], said["read"], said["holds"]) == (len(models), len(ends), holds)
    assert said["samples"] == 12 and said["r"] == unadjusted(FUNNEL).value
    if ends:
        sizes = sorted((sum(e) / 2 for e in ends), key=abs)
        assert (said["weakest"], said["strongest"]) == (sizes[0], sizes[-1])
    if ends and probability is not None:
        shown = {name: said[name] for name in ("probability", "conditional", "averaged", "all")}
        assert shown == {"probability": probability, "conditional": 0.2, "averaged": 0.18, "all": 2}


def told(sentence: Sentence) -> dict[str, float]:
    return {
        name: float(v.value) for name, v in sentence.values.items() if isinstance(v, Number) and v.value is not None
    }


def test_the_average_is_shown_as_it_is() -> None:
    found = {e.id.removeprefix("q-published-"): e for e in averaged_estimates(FUNNEL, average())}
    assert list(found) == ["averaged-probability", "averaged-conditional", "averaged", "averaged-whole"]
    shown = [(e.value, e.low, e.high) for e in found.values()]
    assert shown[0][0] == 0.9 and np.isnan(shown[0][1:]).all()
    assert shown[1:] == [(0.2, 0.1, 0.3), (0.18, 0.0, 0.29), (0.25, 0.15, 0.35)]
    assert {(e.k, e.samples) for e in found.values()} == {(14, 12)}
    whole = found["averaged-whole"].method["value"]
    assert isinstance(whole, Label) and 0.8 in whole.values.values()
    inclusion, models = averaged_tables(FUNNEL, average())
    assert inclusion.rows == average().parts and models.rows == average().models
    assert len(averaged_estimates(FUNNEL, average(whole=()))) == 3


def test_a_probability_of_one_is_an_effect_and_uneven_priors_move_the_limits() -> None:
    assert average(probability=1.0).decision == "effect_likely"
    # prior odds of 1/3: a factor of 3 is a posterior of 1/2
    decisions = [average(prior=0.25, probability=p).decision for p in (0.51, 0.49, 0.11, 0.09)]
    assert decisions == ["effect_likely", "undecided", "undecided", "effect_unlikely"]


def test_the_bodies_side_by_side() -> None:
    described = FUNNEL.rows.assign(
        informant_a=["student"] * 8 + [""] * 6,
        informant_b=["student"] * 2 + ["teacher"] * 10 + ["student"] * 2,
        form_rel=["single item"] * 3 + ["index"] * 4 + [None] * 7,
        country=["Norway", "Spain", "", None, *["Norway"] * 10],
    )
    published = replace(FUNNEL, rows=described, selection=Selection(described))
    open_data = body([0.1, 0.2, 0.3], [103, 203, 403], list("xyz"), "open")
    first = Estimate(id="a", label="", metric="r", value=0.3, low=0.2, high=0.4, samples=12, k=14, rows=("e00",))
    second = Estimate(id="b", label="", metric="r", value=0.1, low=0.05, high=0.2, samples=3, k=3, rows=("f",))
    compared = compare_bodies(published, open_data, (first, second))
    gap, rows = compared.difference, {str(row[0]): row[1:] for row in compared.table.rows}
    assert (gap.k, gap.samples, gap.rows) == (17, 15, ("e00", "f"))
    assert [rows[name] for name in ("r", "r_low", "r_high", "samples")] == [
        (0.3, 0.1),
        (0.2, 0.05),
        (0.4, 0.2),
        (12, 3),
    ]
    assert rows["published_less_open_data"] == (gap.value, None) and rows["difference_high"] == (gap.high, None)
    sizes = np.array(N)[ONE]
    assert rows["median_n_of_a_sample"] == (np.median(sizes), 203.0)
    assert rows["rows_same_informant"] == (Label("share", {"share": 2 / 8}), "not_known")
    assert rows["rows_one_item"] == ("not_known", "not_known")  # known of half of the rows, which is not most
    assert rows["countries"] == (2, "not_known")
    said = compared.sentence
    assert told(said) == {
        "open": 0.1, "open_low": 0.05, "open_high": 0.2, "samples": 3, "difference": gap.value, "low": gap.low,
        "high": gap.high,
    }  # fmt: skip
    apart = compare_bodies(published, open_data, (replace(first, low=0.28), replace(second, high=0.12)))
    assert (said.values["chance"], apart.sentence.values["chance"]) == ("bodies_differ", "bodies_differ")
    touching = compare_bodies(published, open_data, (replace(first, low=0.05), second))
    assert touching.sentence.values["chance"] == "bodies_unclear"
