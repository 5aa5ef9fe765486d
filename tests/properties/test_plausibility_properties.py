"""Plausibility never doubts what was computed rightly and rounded as papers do, and sees what was not."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from replication.printed import parse_printed
from replication.study.plausibility.descriptives import _grim
from replication.study.plausibility.effects import check_wording
from replication.study.plausibility.printed_intervals import IntervalCheck, check_interval
from replication.study.plausibility.printed_tests import Correlation, check_p, check_tests
from replication.study.plausibility.query import Place
from replication.study.plausibility.samples import _possible

HERE = Place("x/effects.csv", 2, "x-1")
R = st.floats(-0.95, 0.95)
N = st.integers(8, 5000)
DECIMALS = st.integers(2, 4)


def printed(value: float, decimals: int) -> str:
    """As journals print it: without the leading zero."""
    text = f"{value:.{decimals}f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


@given(R, N, DECIMALS)
def test_an_interval_on_fishers_z_is_never_doubted(r: float, n: int, decimals: int) -> None:
    half = 1.959963984540054 / math.sqrt(n - 3)
    ends = [math.tanh(math.atanh(r) + sign * half) for sign in (-1, 1)]
    texts = (printed(r, decimals), printed(ends[0], decimals), printed(ends[1], decimals))
    assume(parse_printed(texts[1]).value < parse_printed(texts[2]).value)
    assert list(check_interval(HERE, "ci_low", IntervalCheck(texts, "r", float(n)))) == []


@given(st.floats(-3, 3), st.floats(0.01, 2), DECIMALS)
def test_a_symmetric_interval_is_never_doubted(value: float, half: float, decimals: int) -> None:
    texts = (printed(value, decimals), printed(value - half, decimals), printed(value + half, decimals))
    assert list(check_interval(HERE, "ci_low", IntervalCheck(texts, "d"))) == []


@given(st.floats(0.2, 8), st.floats(0.1, 2), DECIMALS)
def test_a_ratio_in_the_middle_of_its_logs_is_never_doubted(ratio: float, half: float, decimals: int) -> None:
    texts = tuple(printed(ratio * math.exp(sign * half), decimals) for sign in (0, -1, 1))
    assume(parse_printed(texts[1]).low > 0)
    assert list(check_interval(HERE, "ci_low", IntervalCheck((texts[0], texts[1], texts[2]), "b"))) == []


@given(st.floats(-0.8, 0.8), st.floats(0.05, 0.15), st.floats(0.3, 0.7))
def test_a_value_off_the_middle_is_seen(value: float, short: float, factor: float) -> None:
    """One arm of the interval is less than half as long as the other."""
    texts = (printed(value, 3), printed(value - short * factor * 0.6, 3), printed(value + short, 3))
    assert list(check_interval(HERE, "ci_low", IntervalCheck(texts, "d")))


@given(R, N, DECIMALS, st.booleans())
def test_the_t_f_and_p_of_a_correlation_are_never_doubted(r: float, n: int, decimals: int, partial: bool) -> None:
    t = r * math.sqrt((n - 2) / (1 - r * r))
    tests = f"t({n - 2}) = {t:.2f}, F(1, {n - 2}) = {t * t:.2f}, χ²(1, N = {n}) = {n * r * r:.2f}"
    row = Correlation(printed(r, decimals), float(n), partial)
    assert list(check_tests(HERE, row, tests, f"r({n - 2}) = {printed(r, decimals)}, {tests}")) == []
    p = 2 * stats.t.sf(abs(t), n - 2)
    p_text = f"{p:.3f}" if p >= 0.0005 else "<.001"
    assert list(check_p(HERE, row, p_text)) == []
    assert list(check_p(HERE, row, "", f"r = {r:.2f}, p < {math.ceil(p * 100 + 1e-9) / 100:.2f}")) == []


@given(R, st.integers(20, 5000), st.integers(1, 8), DECIMALS)
def test_the_t_and_p_of_a_partial_correlation_are_never_doubted(r: float, n: int, held: int, decimals: int) -> None:
    df = n - 2 - held
    t = r * math.sqrt(df / (1 - r * r))
    row = Correlation(printed(r, decimals), float(n), partial=True)
    assert list(check_tests(HERE, row, f"t({df}) = {t:.2f}")) == []
    p = 2 * stats.t.sf(abs(t), df)
    assert list(check_p(HERE, row, f"{p:.3f}" if p >= 0.0005 else "<.001")) == []


@given(st.floats(0.2, 0.9), st.integers(50, 2000), st.booleans())
def test_a_t_of_another_correlation_is_seen(r: float, n: int, partial: bool) -> None:
    t = (r - 0.15) * math.sqrt((n - 2) / (1 - (r - 0.15) ** 2))
    row = Correlation(printed(r, 2), float(n), partial)
    assert [s.problem.rule for s in check_tests(HERE, row, f"t({n - 2}) = {t:.2f}")] == ["test"]


@given(st.floats(0.1, 0.9), st.integers(20, 2000), st.floats(1.02, 5))
def test_a_t_of_more_cases_than_the_row_is_seen(r: float, n: int, times: float) -> None:
    other = math.ceil(n * times) + 1
    t = r * math.sqrt((other - 2) / (1 - r * r))
    asked = check_tests(HERE, Correlation(printed(r, 3), float(n)), f"t({other - 2}) = {t:.2f}")
    assert [s.problem.rule for s in asked] == ["test-n"]


@given(st.text(max_size=60) | st.from_regex(r"\A(t|F|chi2|χ2)\((1, )?-?[0-9]{1,30}\) [=<] -?[0-9.,]{1,30}\Z"), R, N)
def test_no_cell_breaks_the_check_of_tests(cell: str, r: float, n: int) -> None:
    """Whatever stands in the column is compared or asked about; nothing is passed over."""
    row = Correlation(printed(r, 2), float(n))
    asked = [s.problem.rule for s in check_tests(HERE, row, cell, cell)]
    assert all(rule.startswith("test") for rule in asked)
    assert list(check_wording(HERE, "r", printed(r, 2), cell)) is not None


@given(R, DECIMALS, st.sampled_from(["r = {}", "r({n}) = {}, p < .05", "rxy = {} (r-table 0.254)", "r={}; R2 = 0,04"]))
def test_a_wording_with_its_value_is_never_doubted(r: float, decimals: int, form: str) -> None:
    text = printed(r, decimals)
    for same in (text, text.replace("-", "−"), text.replace(".", ","), f"{float(text):.{decimals}f}"):
        assert list(check_wording(HERE, "r", text, form.format(same, n=118))) == []


@given(st.floats(0.1, 0.9), st.floats(0.02, 0.09))
def test_a_wording_with_another_value_is_seen(r: float, off: float) -> None:
    wording = f"r = {printed(r + off, 2)}, n = 120, p < .001"
    assume(printed(r, 2) != printed(r + off, 2))
    assert list(check_wording(HERE, "r", printed(r, 2), wording))


@given(st.integers(5, 90), st.integers(1, 4), st.data())
def test_the_mean_of_whole_answers_is_never_doubted(n: int, items: int, data: st.DataObject) -> None:
    answers = data.draw(st.lists(st.integers(1, 5), min_size=n * items, max_size=n * items))
    mean = parse_printed(f"{sum(answers) / (n * items):.2f}")
    assert list(_grim(HERE, {"n": float(n), "items": float(items)}, mean)) == []


def test_grim_by_counting() -> None:
    """Of all means of 28 answers printed with two decimals, just those that some total gives are possible."""
    possible = {f"{total / 28:.2f}" for total in range(28, 141)}
    for hundredths in range(100, 501):
        text = f"{hundredths / 100:.2f}"
        doubted = list(_grim(HERE, {"n": 28.0, "items": 1.0}, parse_printed(text))) != []
        assert doubted == (text not in possible), text


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), DECIMALS)
def test_correlations_of_real_data_can_always_stand_together(seed: int, decimals: int) -> None:
    data = np.random.default_rng(seed).normal(size=(6, 3)) @ np.random.default_rng(seed + 1).normal(size=(3, 3))
    r = np.corrcoef(data.T)
    assert _possible(*(parse_printed(printed(float(r[i, j]), decimals)) for i, j in ((0, 1), (0, 2), (1, 2))))


@given(st.floats(-0.99, 0.99), st.floats(-0.99, 0.99))
def test_the_third_correlation_is_bounded_by_two(a: float, b: float) -> None:
    """The bound is ab -+ sqrt((1 - a^2)(1 - b^2)); beyond it, by more than rounding, the three cannot stand."""
    edge = a * b + math.sqrt((1 - a * a) * (1 - b * b))
    assume(edge + 0.15 < 1)
    texts = (f"{a:.4f}", f"{b:.4f}", f"{edge + 0.1:.4f}")
    assert not _possible(*map(parse_printed, texts))
