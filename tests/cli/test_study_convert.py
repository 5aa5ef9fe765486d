"""`study convert`: what papers print, with formula, assumptions and the way kept in the row."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from replication.dataset import load_dataset
from replication.study.converting import KINDS, Given, convert
from tests.cli.conftest import Command
from tests.data.small import Small

ROW = ("--write", "--sample", "alpha2020_s1", "--a", "positive", "--b", "achievement", "--locator", "Table 4")


def r_of(kind: str, sign: int = 1, **numbers: str) -> float:
    return convert(kind, Given(numbers=numbers, sign=sign)).value


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


def test_means_and_their_d_agree() -> None:
    """Equal groups, difference of half a standard deviation, corrected for small samples as g."""
    from_means = convert(
        "means",
        Given(numbers={"mean1": "10.5", "sd1": "1", "n1": "40", "mean2": "10", "sd2": "1", "n2": "40"}),
    )
    j = 1 - 3 / (4 * 78 - 1)
    assert from_means.value == pytest.approx(0.5 * j / math.sqrt((0.5 * j) ** 2 + 4), abs=1e-5)
    assert r_of("d", d=str(0.5 * j), n1="40", n2="40") == pytest.approx(from_means.value, abs=1e-5)


def test_an_odds_ratio_of_one_is_no_correlation() -> None:
    assert r_of("or", **{"or": "1.0", "ci_low": "0.5", "ci_high": "2.0", "n": "100"}) == 0


def test_a_loose_conversion_counts_for_fewer_persons() -> None:
    """A wide interval leaves less than its n: the precision is that of the interval."""
    made = convert("or", Given(numbers={"or": "2.0", "ci_low": "0.5", "ci_high": "8.0", "n": "300"}))
    assert 5 < made.n_effective < 100


@pytest.mark.parametrize(
    ("kind", "numbers", "reason"),
    [
        ("p", {"p": "<.05", "n": "50"}, "only a bound"),
        ("t", {"t": "2.3"}, "--n is needed"),
        ("t", {"t": "2,3", "n": "50"}, "decimal comma"),
        ("t", {"t": "2.3", "n": "3"}, "4 or more"),
        ("r", {"r": "35", "n": "50"}, "is the decimal point missing?"),
        ("F", {"F": "2", "df1": "2", "n": "50"}, "1 degree of freedom"),
        ("chi2", {"chi2": "60", "n": "50"}, "chi-square above n"),
        ("or", {"or": "2", "ci_low": "2.5", "ci_high": "4", "n": "50"}, "lies inside its interval"),
        ("or", {"or": "2.0", "ci_low": "1.9", "ci_high": "8.0", "n": "50"}, "one is mistyped"),
        ("eta", {"eta": ".2"}, "cannot convert"),
    ],
)
def test_what_gives_no_correlation_is_refused_with_the_reason(kind: str, numbers: dict[str, str], reason: str) -> None:
    from replication.errors import UserError

    with pytest.raises(UserError, match=reason):
        convert(kind, Given(numbers=numbers))


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
