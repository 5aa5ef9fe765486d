"""Answers on record: each answers one question, all of its rows and the numbers of the day, and no other."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Said
from tests.data.small import EFFECTS, Small

HEADER = EFFECTS.splitlines()[0] + "\n"
WHY = ("--reason", "the page prints it so", "--who", "A. Coder")


def row(number: int, a: str, b: str, value: str) -> str:
    return f"alpha2020-e{number},alpha2020_s1,{a},{b},r,{value},120,student,student,doi:10/x,T2,table,1.0.0,\n"


TRIPLES = HEADER + "".join(
    (
        row(1, "positive", "engagement", ".85"),
        row(2, "negative", "engagement", ".30"),
        row(3, "positive", "negative", "-.80"),
        row(4, "positive", "achievement", ".9"),
        row(5, "engagement", "achievement", "-.5"),
    )
)


def check(study: Command, small: Small) -> Said:
    return study("check", "alpha2020", "--data", small.root)


def answer(study: Command, small: Small, rule: str, rows: str) -> Said:
    return study("answer", "alpha2020", rule, rows, *WHY, "--data", small.root)


def recorded(root: Path) -> list[dict[str, object]]:
    text = (root / "alpha2020/answers.toml").read_text(encoding="utf-8")
    return list(tomllib.loads(text)["answer"])


def test_one_answered_row_hides_no_other_question(study: Command, small: Small) -> None:
    """e1 is in two impossible triples; an answer that names e1 alone answers neither of them."""
    small.write("alpha2020/effects.csv", TRIPLES)
    assert check(study, small).out.count("[triple]") == 2
    entry = 'rule = "triple"\nrows = ["alpha2020-e1"]\nfound = "x"\nreason = "y"\nwho = "z"\n'
    small.write("alpha2020/answers.toml", f"[[answer]]\n{entry}")
    said = check(study, small)
    assert said.code == 1 and said.out.count("[triple]") == 2 and "[answer-unneeded]" in said.out


def test_a_question_about_three_rows_is_answered_by_naming_them(study: Command, small: Small) -> None:
    small.write("alpha2020/effects.csv", TRIPLES)
    which = answer(study, small, "triple", "alpha2020-e1")
    assert which.code == 1 and "name all rows of one" in which.err
    assert not (small.root / "alpha2020/answers.toml").exists()
    assert answer(study, small, "triple", "alpha2020-e1, alpha2020-e2,alpha2020-e3").code == 0
    assert sorted(recorded(small.root)[0]["rows"]) == ["alpha2020-e1", "alpha2020-e2", "alpha2020-e3"]  # type: ignore[call-overload]
    assert check(study, small).out.count("[triple]") == 1


def test_a_row_of_one_question_only_is_enough(study: Command, small: Small) -> None:
    small.write("alpha2020/effects.csv", TRIPLES)
    assert answer(study, small, "triple", "alpha2020-e5").code == 0
    assert len(recorded(small.root)[0]["rows"]) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [(".35,120", ".36,120"), (".35,120", ".35,110"), (",.4,", ",.5,")])
def test_a_changed_number_is_asked_about_again(study: Command, small: Small, change: tuple[str, str]) -> None:
    """The p was answered; then the value, n or p itself changes."""
    effects = HEADER.replace("value,n,", "value,n,p,") + row(1, "positive", "engagement", ".35").replace(
        "120,", "120,.4,", 1
    )
    small.write("alpha2020/effects.csv", effects)
    assert answer(study, small, "p", "alpha2020-e1").code == 0
    assert "(1 answered question on record)" in check(study, small).out
    assert change[0] in effects
    small.write("alpha2020/effects.csv", effects.replace(*change))
    said = check(study, small).out
    assert "[p]" in said and "the numbers have changed" in said
    assert answer(study, small, "p", "alpha2020-e1").code == 0
    assert "[p]" not in check(study, small).out


def test_an_answer_without_what_was_found_is_incomplete(study: Command, small: Small) -> None:
    small.replace("alpha2020/effects.csv", "-.20", ".20")
    entry = 'rule = "sign"\nrows = ["alpha2020-e2"]\nreason = "y"\nwho = "z"\n'
    small.write("alpha2020/answers.toml", f"[[answer]]\n{entry}")
    said = check(study, small)
    assert said.code == 1 and "expected the field found" in said.out
