"""`study convert`: what papers print, with formula, assumptions and the way kept in the row."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from replication.dataset import load_dataset
from replication.study.converting import KINDS, convert
from replication.study.printed_statistics import PrintedStatistics
from tests.cli.conftest import Command
from tests.data.small import Small

ROW = ("--write", "--sample", "alpha2020_s1", "--a", "positive", "--b", "achievement", "--locator", "Table 4")


def r_of(kind: str, sign: int | None = None, **numbers: str) -> float:
    return convert(kind, PrintedStatistics(numbers=numbers, sign=sign)).value


def test_every_kind_says_formula_and_assumptions(study: Command) -> None:
    given = {
        "r": ("--value", ".3", "--n", "90"),
        "partial-r": ("--value", ".3", "--n", "90"),
        "t": ("--value", "2.3", "--n", "90"),
        "F": ("--value", "5.3", "--n", "90"),
        "chi2": ("--value", "5.3", "--n", "90"),
        "p": ("--value", ".02", "--n", "90"),
        "d": ("--value", ".5", "--n", "90"),
        "means": ("--mean1", "10", "--sd1", "2", "--n1", "20", "--mean2", "9", "--sd2", "2.5", "--n2", "25"),
        "or": ("--value", "1.8", "--ci-low", "1.2", "--ci-high", "2.7", "--n", "300"),
        "or-per-unit": ("--value", "1.8", "--ci-low", "1.2", "--ci-high", "2.7", "--sd-x", "1.2", "--n", "300"),
        "table": ("--value", "40,20,15,45"),
        "paired": ("--mean1", "10", "--sd1", "2", "--mean2", "9", "--n", "20", "--value", ".6"),
        "spearman": ("--value", ".3", "--n", "90"),
        "kendall": ("--value", ".3", "--n", "90"),
        "eta2": ("--value", ".03", "--n", "90"),
        "R2": ("--value", ".03", "--n", "90", "--predictors", "1"),
        "b": ("--value", ".3", "--sd-x", "1", "--sd-y", "2", "--predictors", "1", "--n", "90"),
        "beta": ("--value", ".3", "--n", "90"),
    }
    assert given.keys() == KINDS.keys()
    for kind, options in given.items():
        said = study("convert", "--from", kind, *options)
        assert said.code == 0, said.err
        assert said.out.startswith("formula: ") and "assumptions: " in said.out
        assert said.out.endswith("Nothing is written; --write adds the row.\n")


def test_t_f_and_p_of_one_correlation_agree() -> None:
    """The same r = .3 of 52 persons, printed three ways."""
    r, n = 0.3, 52
    t = r * math.sqrt((n - 2) / (1 - r * r))
    assert r_of("t", t=f"{t:.10f}", n=str(n)) == pytest.approx(r, abs=1e-9)
    assert r_of("t", t=f"{t:.10f}", df="50") == pytest.approx(r, abs=1e-9)
    assert r_of("F", F=f"{t * t:.10f}", n=str(n)) == pytest.approx(r, abs=1e-9)
    assert r_of("F", sign=-1, F=f"{t * t:.10f}", n=str(n)) == pytest.approx(-r, abs=1e-9)
    p = 2 * stats.t.sf(t, n - 2)
    assert r_of("p", p=f"{p:.12f}", n=str(n)) == pytest.approx(r, abs=1e-6)


GROUPS = ((5.0, 4.0, 3.0, 6.0, 2.0), (3.0, 1.0, 4.0, 2.0, 5.0, 3.0, 2.5, 0.5))
"""Two invented groups of unequal size."""


def test_one_data_set_gives_one_r_however_it_is_printed() -> None:
    """Means, d and t of two groups against numpy's r of the same persons with their group."""
    one, two = (np.array(group) for group in GROUPS)
    n1, n2 = len(one), len(two)
    truth = float(np.corrcoef(np.r_[one, two], np.r_[np.ones(n1), np.zeros(n2)])[0, 1])
    pooled = math.sqrt(((n1 - 1) * one.var(ddof=1) + (n2 - 1) * two.var(ddof=1)) / (n1 + n2 - 2))
    sizes = {"n1": str(n1), "n2": str(n2)}
    means = {"mean1": one.mean(), "sd1": one.std(ddof=1), "mean2": two.mean(), "sd2": two.std(ddof=1)}
    t = stats.ttest_ind(one, two)
    assert r_of("means", **sizes, **{name: f"{value:.15f}" for name, value in means.items()}) == pytest.approx(truth)
    assert r_of("d", d=f"{(one.mean() - two.mean()) / pooled:.15f}", **sizes) == pytest.approx(truth)
    assert r_of("t", t=f"{t.statistic:.15f}", **sizes) == pytest.approx(truth)
    assert r_of("t", t=f"{t.statistic:.15f}", df=str(n1 + n2 - 2)) == pytest.approx(truth)
    assert r_of("p", p=f"{t.pvalue:.15f}", **sizes) == pytest.approx(truth)


def test_the_formula_shown_is_the_one_used(study: Command) -> None:
    """Means 4 and 3, sd 1, five persons each: d = 1, and 1 / sqrt(1 + 10 * 8 / 25) by hand."""
    r = 1 / math.sqrt(1 + 10 * 8 / 25)
    for options in (
        ("means", "--mean1", "4", "--sd1", "1", "--n1", "5", "--mean2", "3", "--sd2", "1", "--n2", "5"),
        ("d", "--value", "1", "--n1", "5", "--n2", "5"),
    ):
        said = study("convert", "--from", *options)
        assert f"result:      r = {r:.4f}, n 10\n" in said.out
        assert "r = d / sqrt(d^2 + N(N - 2) / (n1 n2)), N = n1 + n2" in said.out
    d = math.log(1.8) * math.sqrt(3) / math.pi
    odds = study("convert", "--from", "or", "--value", "1.8", "--ci-low", "1.2", "--ci-high", "2.7", "--n", "300")
    assert f"r = {d / math.sqrt(d * d + 4):.4f}" in odds.out and "(n1 + n2)^2 / (n1 n2)" in odds.out
    assert "the textbook formula for large samples" in odds.out


def test_an_odds_ratio_of_one_is_no_correlation() -> None:
    assert r_of("or", **{"or": "1.0", "ci_low": "0.5", "ci_high": "2.0", "n": "100"}) == 0


def test_a_loose_conversion_counts_for_fewer_persons() -> None:
    """A wide interval leaves less than its n: the precision is that of the interval."""
    made = convert("or", PrintedStatistics(numbers={"or": "2.0", "ci_low": "0.5", "ci_high": "8.0", "n": "300"}))
    assert 5 < made.n_effective < 100


@pytest.mark.parametrize(
    ("kind", "numbers", "reason"),
    [
        ("p", {"p": "<.05", "n": "50"}, "only a bound"),
        ("t", {"t": "2.3"}, "--n is needed"),
        ("t", {"t": "2,345", "n": "50"}, "decimal comma"),
        ("t", {"t": "2.3", "n": "3"}, "4 or more"),
        ("r", {"r": "35", "n": "50"}, "is the decimal point missing?"),
        ("F", {"F": "2", "df1": "2", "n": "50"}, "F with 2 degrees of freedom in front"),
        ("chi2", {"chi2": "60", "n": "50"}, "chi-square above n"),
        ("or", {"or": "2", "ci_low": "2.5", "ci_high": "4", "n": "50"}, "lies inside its interval"),
        ("or", {"or": "2.0", "ci_low": "1.9", "ci_high": "8.0", "n": "50"}, "one is mistyped"),
        ("eta", {"eta": ".2"}, "cannot convert"),
    ],
)
def test_what_gives_no_correlation_is_refused_with_the_reason(kind: str, numbers: dict[str, str], reason: str) -> None:
    from replication.errors import UserError

    with pytest.raises(UserError, match=reason):
        convert(kind, PrintedStatistics(numbers=numbers))


def test_the_row_keeps_its_way_and_passes_the_check(study: Command, small: Small) -> None:
    said = study("convert", "alpha2020", "--from", "t", "--value", "2.31", "--df", "118", *ROW, "--data", small.root)
    assert said.code == 0, said.err
    assert "Added alpha2020-001 to alpha2020/effects.csv" in said.out
    row = load_dataset(small.root).effects.set_index("effect_id").loc["alpha2020-001"]
    assert (row["value_text"], row["n"], row["flags"], row["since"]) == ("0.2080", 120, "converted", "1.1.0")
    assert row["conversion"].startswith("r = t / sqrt(t^2 + n - 2) from t = 2.31, n = 120")
    assert study("check", "alpha2020", "--data", small.root).out == "alpha2020: nothing to mend.\n"


def test_a_beta_stays_a_beta_unless_asked_and_is_flagged(study: Command, small: Small) -> None:
    beta = ("convert", "alpha2020", "--from", "beta", "--value", ".30", "--n", "100", *ROW, "--data", small.root)
    study(*beta)
    assert study(*beta, "--as-r", "--b", "belonging").code == 0
    rows = load_dataset(small.root).effects.set_index("effect_id")
    assert rows.loc["alpha2020-001", "statistic"] == "beta"
    assert (rows.loc["alpha2020-002", "statistic"], rows.loc["alpha2020-002", "flags"]) == ("r", "beta_converted")


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--sample", "alpha2020_s2", 'did you mean "alpha2020_s1"?'),
        ("--a", "postive", 'did you mean "positive"?'),
        ("--reading", "tabel", 'did you mean "table"?'),
    ],
)
def test_a_row_that_fits_nowhere_is_not_written(
    study: Command, small: Small, option: str, value: str, reason: str
) -> None:
    before = (small.root / "alpha2020/effects.csv").read_bytes()
    arguments = ("convert", "alpha2020", "--from", "t", "--value", "2.3", "--n", "120", *ROW, "--data", small.root)
    said = study(*arguments, option, value)
    assert said.code == 1 and reason in said.err
    assert (small.root / "alpha2020/effects.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("t", "--value", "2.31", "--df", "118", "--sign", "-1"), "found sign -1"),
        (("d", "--value", ".5", "--n", "80", "--sign", "1"), "found sign +1"),
        (("F", "--value", "4", "--n", "80", "--sign", "0"), "the sign is 1 where"),
        (("t", "--value", "2.31", "--n", "120", "--df", "50"), "expected df 118, n - 2"),
        (("t", "--value", "2.31", "--n", "120", "--df", "118.5"), "expected df 118, n - 2"),
        (
            ("t", "--value", "2.31", "--df", "117.4"),
            "Welch's test, whose df does not tell n: give the persons with --n",
        ),
        (("d", "--value", ".5", "--n", "100", "--n1", "60", "--n2", "60"), "groups of 60 and 60, together 120"),
        (("d", "--value", ".5", "--n1", "60"), "--n2 is needed"),
        (("d", "--value", ".5", "--n1", "0", "--n2", "60"), "n1 is a whole number of 1 or more; found 0"),
        (("d", "--value", ".5", "--n", "0"), "n is a whole number of 4 or more; found 0"),
        (("d", "--value", ".5", "--df", "78"), "--df is not used by --from d"),
        (("chi2", "--value", "4", "--n", "80", "--df", "1"), "--df is not used by --from chi2"),
        (("r", "--value", ".3", "--n", "80", "--mean1", "2"), "--mean1 is not used by --from r"),
        (("means", "--value", ".3", "--n1", "5", "--n2", "5"), "--value is not used by --from means"),
        (("t", "--value", "2", "--n", "80", "--as-r"), "--as-r reads a beta"),
        (("t", "--value", "1e400", "--n", "120"), 'found "1e400" for --value'),
        (("r", "--value", "1e400", "--n", "120"), 'found "1e400" for --value'),
        (("d", "--value", "1e300", "--n", "120"), 'found "1e300" for --value'),
        (("t", "--value", "2", "--n", "1e400"), 'found "1e400" for --n'),
        (("t", "--value", "2", "--df", "1e400"), 'found "1e400" for --df'),
        (("t", "--value", "100000", "--n", "120"), "gives a correlation of 1.0000"),
        (("p", "--value", "1e-300", "--df", "3"), "too large or too small"),
        (("r", "--value", "15%", "--n", "120"), "expected a number without %"),
        (("t", "--n", "120"), "--value is needed"),
        (("chi2", "--value", "60", "--n", "50"), "error: chi-square above n"),
    ],
)
def test_what_would_be_ignored_or_cannot_be_is_refused_in_a_line(
    study: Command, small: Small, options: tuple[str, ...], reason: str
) -> None:
    before = (small.root / "alpha2020/effects.csv").read_bytes()
    said = study("convert", "alpha2020", "--from", *options, *ROW, "--data", small.root)
    assert said.code == 1 and reason in said.err and said.err.count("\n") == 1, said
    assert (small.root / "alpha2020/effects.csv").read_bytes() == before


def test_welchs_df_with_n_is_used_and_said() -> None:
    made = convert("t", PrintedStatistics(numbers={"t": "2.31", "n": "120", "df": "117.4"}))
    assert made.value == pytest.approx(2.31 / math.sqrt(2.31**2 + 118))
    assert "Welch's df 117.4 is read as n - 2" in made.assumptions


def test_a_direction_nobody_gave_is_said() -> None:
    assert "taken as positive" in convert("F", PrintedStatistics(numbers={"F": "4", "n": "80"})).conversion
    assert "the one given" in convert("F", PrintedStatistics(numbers={"F": "4", "n": "80"}, sign=-1)).conversion


@pytest.mark.parametrize(("printed", "stored"), [("−.35", "-.35"), ("–.35", "-.35"), (" .35 ", ".35")])
def test_a_typographic_minus_is_stored_as_a_plain_one(study: Command, small: Small, printed: str, stored: str) -> None:
    options = ("--from", "r", "--value", printed, "--n", "120", *ROW, "--data", small.root)
    assert study("convert", "alpha2020", *options).code == 0
    assert load_dataset(small.root).effects.set_index("effect_id").loc["alpha2020-001", "value_text"] == stored


def test_a_cell_the_check_would_refuse_is_not_written(study: Command, small: Small) -> None:
    before = (small.root / "alpha2020/effects.csv").read_bytes()
    options = ("--from", "t", "--value", "2.3", "--n", "120", *ROW, "--data", small.root)
    said = study("convert", "alpha2020", *options, "--locator", "=Table 4")
    assert said.code == 1 and 'found "=Table 4" for locator' in said.err
    assert (small.root / "alpha2020/effects.csv").read_bytes() == before


@pytest.mark.parametrize("version", ["1.0", "soon"])
def test_a_version_that_is_none_is_said(study: Command, small: Small, version: str) -> None:
    small.write("VERSION", version)
    options = ("--from", "t", "--value", "2.3", "--n", "120", *ROW, "--data", small.root)
    said = study("convert", "alpha2020", *options)
    assert said.code == 1 and f'found "{version}"; expected three numbers such as 1.0.0' in said.err


def test_both_degrees_of_freedom_of_f_as_printed(study: Command) -> None:
    """F(1, 118) = 5.34: r = sqrt(5.34 / 123.34), n 120; with two in front there is no correlation."""
    said = study("convert", "--from", "F", "--value", "5.34", "--df", "1,118")
    assert said.code == 0 and "r = 0.2081, n 120" in said.out
    assert study("convert", "--from", "F", "--value", "5.34", "--df", "(1, 118)").out == said.out
    two = study("convert", "--from", "F", "--value", "5.34", "--df", "2,118")
    assert two.code == 1 and "F with 2 degrees of freedom in front" in two.err
    other = study("convert", "--from", "t", "--value", "2.31", "--df", "1,118")
    assert other.code == 1 and "expected one whole number" in other.err
