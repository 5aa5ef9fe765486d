"""`convert` from what articles print beside t, F and means: each with its value, its flag, and what it refuses."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Command

# Expected values: arithmetic beside each, or the reference named there.
CONVERTED: dict[str, tuple[str, str]] = {
    # metafor 3.8.1, escalc("RBIS"): .26069
    "t of a median split": ("--from t --value 2.31 --n 120 --cut", "r = 0.2607, n 120"),
    # metafor 3.8.1: .26967 for groups of 40 and 80
    "t of an uneven cut": ("--from t --value 2.31 --n1 40 --n2 80 --cut", "r = 0.2697, n 120"),
    "the same by d": ("--from d --value 0.421745 --n1 60 --n2 60 --cut", "r = 0.2607"),  # d = t sqrt(2 / 60)
    "the same by F": ("--from F --value 5.3361 --n 120 --cut --sign 1", "r = 0.2607"),  # F = t squared
    "rho": ("--from spearman --value .31 --n 120", "r = 0.3232"),  # 2 sin(pi .31 / 6)
    "tau": ("--from kendall --value .21 --n 120", "r = 0.3239"),  # sin(pi .21 / 2)
    "eta squared": ("--from eta2 --value .04 --n 120 --sign -1", "r = -0.2000"),  # root of .04
    "R squared of one": ("--from R2 --value .09 --n 50 --predictors 1 --sign 1", "r = 0.3000"),
    # metafor 3.8.1, escalc("PCOR", ti = 2.5, ni = 50, mi = 3): .345857
    "t of a regression": ("--from t --value 2.5 --n 50 --predictors 3", "partial_r = 0.3459, n 50"),
    # t(98) with an upper tail of .04 is 1.7695; r = t / sqrt(t^2 + 98)
    "a one-sided p": ("--from p --value .04 --n 100 --one-sided --sign 1", "r = 0.1759"),
    "a slope alone": ("--from b --value 0.5 --sd-x 0.8 --sd-y 1.6 --predictors 1 --n 90", "r = 0.2500"),
    "a slope of several": ("--from b --value 0.5 --sd-x 0.8 --sd-y 1.6 --predictors 4 --n 90", "beta = 0.2500"),
    # b = log(1.6487) = .5; .5 x 1.2 / sqrt(.36 + pi^2 / 3)
    "odds per unit": (
        "--from or-per-unit --value 1.6487 --ci-low 1.3552 --ci-high 2.0057 --sd-x 1.2 --n 300",
        "r = 0.3141",
    ),
    "a table": ("--from table --value 40,20,15,45", "r = 0.6121, n 120"),  # metafor 3.8.1, escalc("RTET")
    "the same persons twice": (
        "--from paired --mean1 10 --sd1 2 --mean2 9 --n 20 --value .6",
        "d = 0.5000, n 20",  # (10 - 9) / 2
    ),
    "decimal commas": (
        "--from means --mean1 3,250 --sd1 0,78 --mean2 3,110 --sd2 0,81 --n1 60 --n2 60",
        "r = 0.0884",
    ),
    "a clear decimal comma": ("--from t --value 2,31 --n 120", "r = 0.2080"),
    "thousands of persons": ("--from t --value 2.31 --n 1,200", "n 1200"),
}
REFUSED: dict[str, tuple[str, str]] = {
    "two readings": ("--from F --value 5,123 --n 120", "5.123 with a decimal comma and 5123 in thousands"),
    "two readings beside a point": (
        "--from means --mean1 3,250 --sd1 0.78 --mean2 3,110 --sd2 0.81 --n1 60 --n2 60",
        "write 3.250 or 3250",
    ),
    "F of three groups": ("--from F --value 3.1 --df 2,117", "F with 2 degrees of freedom in front"),
    "eta of three groups": ("--from eta2 --value .04 --df 2,117", "eta squared with 2 degrees of freedom"),
    "eta in per cent": ("--from eta2 --value 4 --n 120", "is it in per cent?"),
    "R squared of several": ("--from R2 --value .09 --n 50 --predictors 3", "its partial r"),
    "R squared of nobody knows": ("--from R2 --value .09 --n 50", "--predictors 1"),
    "one-sided t": ("--from t --value 2 --n 50 --one-sided", "--one-sided is of a printed p"),
    "a cut r": ("--from r --value .2 --n 50 --cut", "--cut is of two groups"),
    "a cut regression": ("--from t --value 2 --n 50 --predictors 3 --cut", "leave one of them out"),
    "odds without spread": (
        "--from or-per-unit --value 1.6 --ci-low 1.3 --ci-high 2 --n 300",
        "--sd-x is needed for this",
    ),
    "an empty cell": ("--from table --value 0,20,15,45", "a cell that is 0"),
    "three cells": ("--from table --value 20,15,45", "expected four counts"),
    "no table": ("--from table --value a,b,c,d", "expected four counts"),
    "a slope too steep": ("--from b --value 5 --sd-x 2 --sd-y 1 --predictors 1 --n 90", "expected one inside -1 to 1"),
    "a spread of nothing": ("--from b --value 5 --sd-x 0 --sd-y 1 --predictors 1 --n 90", "are above 0"),
    "a share above one": ("--from p --value .7 --n 90 --one-sided", "p outside its range"),
}


@pytest.mark.parametrize("kind", CONVERTED)
def test_it_comes_out(study: Command, kind: str) -> None:
    arguments, expected = CONVERTED[kind]
    said = study("convert", *arguments.split())
    assert said.code == 0, said.err
    assert expected in said.out


@pytest.mark.parametrize("kind", REFUSED)
def test_it_is_refused_with_the_reason(study: Command, kind: str) -> None:
    arguments, expected = REFUSED[kind]
    said = study("convert", *arguments.split())
    assert said.code == 1 and expected in said.err and said.err.count("\n") == 1


def test_groups_raise_the_question_of_a_cut_with_its_answer(study: Command) -> None:
    assert (
        "--cut gives the biserial correlation, 0.2607"
        in study("convert", *["--from", "t", "--value", "2.31", "--n", "120"]).out
    )
    assert "--cut" not in study("convert", *["--from", "r", "--value", ".2", "--n", "120"]).out


def test_at_a_terminal_the_reading_is_asked(study: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.prompt", lambda _question, default: default)
    assert "r = 0.2040" in study("convert", *["--from", "F", "--value", "5,123", "--n", "120"]).out
