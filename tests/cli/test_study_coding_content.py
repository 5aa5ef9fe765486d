"""Two coders who numbered, ordered and turned their rows otherwise agree; many differences are settled at once."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable

import pytest

from tests.cli.conftest import Command
from tests.data.small import Small

HEADER = "effect_id,sample_id,var_a,var_b,statistic,value,n,measure_a,measure_b,informant_a,informant_b,reading,since"
PAIRS = [
    ("positive", "engagement", ".31"), ("negative", "engagement", "-.22"), ("positive", "achievement", ".18"),
    ("negative", "achievement", "-.12"), ("positive", "belonging", ".40"), ("positive", "victimization", "-.15"),
]  # fmt: skip
WHY = ("--who", "Ann and Bo", "--why", "looked up together, Table 2")


def rows(number: Callable[[int], int], sample: str) -> list[dict[str, str]]:
    made = []
    for i, (a, b, value) in enumerate(PAIRS):
        cells = f"alpha2020-{number(i):03d},{sample},{a},{b},r,{value},118,m-{a},m-{b},student,teacher,table,1.0.0"
        made.append(dict(zip(HEADER.split(","), cells.split(","), strict=True)))
    return made


def turned(row: dict[str, str]) -> dict[str, str]:
    other = {"a": "b", "b": "a"}
    return {name: row[f"{name[:-1]}{other[name[-1]]}" if name[-2:] in ("_a", "_b") else name] for name in row}


def write(small: Small, coder: str, table: list[dict[str, str]], sample: str) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER.split(","), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    folder = f"alpha2020/coders/{coder}"
    (small.root / "alpha2020/coders").mkdir(exist_ok=True)
    small.write(f"{folder}/effects.csv", text.getvalue())
    small.write(
        f"{folder}/samples.csv", f"sample_id,label,n,unit,country,since\n{sample},Grade 7,118,student,Norway,1.0.0\n"
    )


@pytest.fixture
def doubled(small: Small) -> Small:
    """Bo has Ann's rows in another order, under other numbers, half of them turned, and another name for the sample."""
    write(small, "ann", rows(lambda i: i + 1, "alpha2020_s1"), "alpha2020_s1")
    other = [turned(row) if i % 2 else row for i, row in enumerate(rows(lambda i: 60 - i, "alpha2020_all"))]
    random.Random(7).shuffle(other)
    write(small, "bo", other, "alpha2020_all")
    return small


def test_the_same_content_agrees_whatever_its_numbers(study: Command, doubled: Small) -> None:
    said = study("agree", "alpha2020", "--data", doubled.root)
    assert said.code == 0
    assert "In all 100.0 % of" in said.out and "0 disagreements are open" in said.out
    assert "rows of bo matched by what they say, not by their id: " in said.out


def test_a_difference_is_found_in_its_own_row(study: Command, doubled: Small) -> None:
    doubled.replace("alpha2020/coders/bo/effects.csv", ",.40,", ",.04,")
    said = study("agree", "alpha2020", "--data", doubled.root)
    assert 'effects.csv alpha2020-005, value: ann ".40", bo ".04"' in said.out
    assert "1 disagreements are open" in said.out


def test_a_row_of_one_coder_alone_stays_alone(study: Command, doubled: Small) -> None:
    text = (doubled.root / "alpha2020/coders/bo/effects.csv").read_text(encoding="utf-8").splitlines()
    kept = [line for line in text if "victimization" not in line]
    extra = "alpha2020-070,alpha2020_all,negative,perpetration,r,.33,118,x,y,student,student,table,1.0.0"
    doubled.write("alpha2020/coders/bo/effects.csv", "\n".join([*kept, extra]) + "\n")
    said = study("agree", "alpha2020", "--data", doubled.root).out
    assert "effects.csv alpha2020-006: only ann has this row" in said
    assert "effects.csv alpha2020-070: only bo has this row" in said


def test_many_are_settled_at_once(study: Command, doubled: Small) -> None:
    data = ("--data", doubled.root)
    text = (doubled.root / "alpha2020/coders/bo/effects.csv").read_text(encoding="utf-8")
    doubled.write("alpha2020/coders/bo/effects.csv", text.replace(",118,", ",181,").replace(",teacher,", ",peer,"))
    assert study("agree", "alpha2020", *data).code == 1
    assert "no coder" in study("settle", "alpha2020", "all", "n", "@cy", *WHY, *data).err
    assert (
        "Recorded in alpha2020/coders/settled.csv: 6 decisions."
        in study("settle", "alpha2020", "all", "n", "@ann", *WHY, *data).out
    )
    assert study("settle", "alpha2020", "all", "all", "@ann", *WHY, *data).code == 0
    assert "nothing is open" in study("settle", "alpha2020", "all", "all", "@ann", *WHY, *data).err
    assert study("agree", "alpha2020", "--write", *data).code == 0
    written = (doubled.root / "alpha2020/effects.csv").read_text(encoding="utf-8")
    assert written.count(",118,") >= 6 and ",181," not in written
