"""Double coding of part of a work: rows no coder has, rows only some have, and commands that work as printed."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Said
from tests.data.small import SAMPLES, Small

HEADER = "effect_id,sample_id,var_a,var_b,statistic,value,n,reading,since"
OUTCOMES = ("engagement", "achievement", "belonging", "victimization")
OWN = [f"alpha2020-e{i},alpha2020_s1,positive,{b},r,.{10 + i},100,table,1.0.0" for i, b in enumerate(OUTCOMES, 1)]
COMMENT = '# read again in May, "twice",\n'
WHY = ("--who", "Ann and Bo", "--why", "looked up together")


def table(*rows: str, header: str = HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


def coded(small: Small, file: str = "effects.csv", **coders: str) -> tuple[str, Path]:
    """The coders' files; the options of the dataset."""
    for coder, text in coders.items():
        (small.root / "alpha2020/coders" / coder).mkdir(parents=True, exist_ok=True)
        small.write(f"alpha2020/coders/{coder}/{file}", text)
    return ("--data", small.root)


def held(small: Small, file: str = "effects.csv") -> dict[str, dict[str, str]]:
    """The rows of the work's own table by id, without comments."""
    lines = (small.root / "alpha2020" / file).read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {next(iter(row.values())): row for row in rows}


def as_printed(said: Said, value: str, data: tuple[str, Path]) -> list[object]:
    """The first settle command of an answer, its places filled in, as a shell would split it, for this dataset."""
    command = re.search(r"python -m replication\.study settle (.*?)( \(or drop in place of keep\))?$", said.out, re.M)
    assert command, said
    text = command[1].replace('--who "…"', '--who "Ann and Bo"').replace('--why "…"', '--why "Table 2"')
    return ["settle", *data, *(value if word in ("VALUE", "keep") else word for word in shlex.split(text))]


def test_rows_no_coder_has_stay_with_comments_and_versions(study: Command, small: Small) -> None:
    """Both coded the first two of four rows; one of the others is withdrawn, and a column was coded by nobody."""
    withdrawn = OWN[3].replace(",1.0.0", ",1.0.0,1.1.0")
    rows = [f"{OWN[0]},,as printed", f"{OWN[1]},,", f"{OWN[2]},,kept", f"{withdrawn},"]
    small.write("alpha2020/effects.csv", table(*rows, header=f"{HEADER},until,note") + COMMENT)
    again = [OWN[0].replace(".11", ".21"), OWN[1]]
    data = coded(small, ann=table(*again), bo=table(*again))
    said = study("agree", "alpha2020", "--write", *data)
    assert said.code == 0, said.err
    assert "kept alpha2020-e3, alpha2020-e4, which no coder has; kept 1 comment lines." in said.out
    after = held(small)
    assert list(after) == [f"alpha2020-e{i}" for i in (1, 2, 3, 4)]
    assert (after["alpha2020-e1"]["value"], after["alpha2020-e1"]["note"]) == (".21", "as printed")
    assert (after["alpha2020-e3"]["note"], after["alpha2020-e4"]["until"]) == ("kept", "1.1.0")
    assert (small.root / "alpha2020/effects.csv").read_text(encoding="utf-8").endswith(COMMENT)


def test_writing_what_stands_there_changes_nothing(study: Command, small: Small) -> None:
    text = table(OWN[0], OWN[1]) + COMMENT + table(OWN[2], OWN[3]).partition("\n")[2]
    small.write("alpha2020/effects.csv", text)
    data = coded(small, ann=table(*OWN[:2]), bo=table(*OWN[:2]))
    for _ in range(2):
        assert study("agree", "alpha2020", "--write", *data).code == 0
        assert (small.root / "alpha2020/effects.csv").read_text(encoding="utf-8") == text


@pytest.mark.parametrize(("decision", "there"), [("keep", True), ("drop", False)])
def test_a_row_one_coder_has_is_kept_or_dropped(study: Command, small: Small, decision: str, there: bool) -> None:
    small.write("alpha2020/effects.csv", table(*OWN[:2]))
    data = coded(small, ann=table(*OWN[:3]), bo=table(*OWN[:2]))
    before = (small.root / "alpha2020/effects.csv").read_bytes()
    refused = study("agree", "alpha2020", "--write", *data)
    assert refused.code == 1 and "1 rows not every coder has are open" in refused.err
    assert (small.root / "alpha2020/effects.csv").read_bytes() == before
    assert study(*as_printed(refused, decision, data)).code == 0
    done = study("agree", "alpha2020", "--write", *data)
    assert done.code == 0, done.err
    assert f'only ann has this row; settled as "{decision}" by Ann and Bo: Table 2' in done.out
    assert ("left out alpha2020-e3, as settled" in done.out) is not there
    assert ("alpha2020-e3" in held(small)) is there


def test_a_dropped_row_leaves_the_works_table_and_is_named(study: Command, small: Small) -> None:
    small.write("alpha2020/effects.csv", table(*OWN))
    data = coded(small, ann=table(*OWN[:3]), bo=table(*OWN[:2]))
    study("settle", "alpha2020", "alpha2020-e3", "row", "drop", *WHY, *data)
    said = study("agree", "alpha2020", "--write", *data)
    assert "kept alpha2020-e4, which no coder has; left out alpha2020-e3, as settled." in said.out
    assert list(held(small)) == ["alpha2020-e1", "alpha2020-e2", "alpha2020-e4"]


def test_a_kept_row_of_two_among_three_is_compared_between_the_two(study: Command, small: Small) -> None:
    other = OWN[2].replace(".13", ".31")
    data = coded(small, ann=table(*OWN[:3]), bo=table(*OWN[:2], other), cy=table(*OWN[:2]))
    early = study("settle", "alpha2020", "alpha2020-e3", "value", ".31", *WHY, *data)
    assert early.code == 1 and "only ann, bo has the row" in early.err and "by keep or drop" in early.err
    study("settle", "alpha2020", "alpha2020-e3", "row", "keep", *WHY, *data)
    asked = study("agree", "alpha2020", *data)
    assert asked.code == 1 and 'alpha2020-e3, value: ann ".13", bo ".31"; open' in asked.out
    assert study(*as_printed(asked, ".31", data)).code == 0
    assert study("agree", "alpha2020", "--write", *data).code == 0
    assert held(small)["alpha2020-e3"]["value"] == ".31"


def test_the_command_as_printed_settles_a_sample_and_a_measure(study: Command, small: Small) -> None:
    """The table is named, an id with a space is quoted."""
    data = coded(small, "samples.csv", ann=SAMPLES, bo=SAMPLES.replace("120", "121"))
    asked = study("agree", "alpha2020", *data)
    assert "--table samples.csv" in asked.out
    assert study(*as_printed(asked, "121", data)).code == 0
    measure = "variable,measure,form,items,since\npositive,closeness scale,index,{},1.0.0\n"
    coded(small, "measures.csv", ann=measure.format("eight"), bo=measure.format("nine"))
    asked = study("agree", "alpha2020", *data)
    assert '"positive closeness scale" items VALUE --table measures.csv' in asked.out
    assert study(*as_printed(asked, "nine", data)).code == 0
    assert study("agree", "alpha2020", "--write", *data).code == 0
    assert held(small, "samples.csv")["alpha2020_s1"]["n"] == "121"
    assert held(small, "measures.csv")["positive"]["items"] == "nine"


def test_the_command_as_printed_takes_a_value_with_a_minus(study: Command, small: Small) -> None:
    data = coded(small, ann=table(OWN[0]), bo=table(OWN[0].replace(",.11,", ",-.11,")))
    assert study(*as_printed(study("agree", "alpha2020", *data), "-.11", data)).code == 0
    study("agree", "alpha2020", "--write", *data)
    assert held(small)["alpha2020-e1"]["value"] == "-.11"


@pytest.mark.parametrize(
    ("who", "why", "reason"),
    [
        ("=cmd", "looked up", 'found "=cmd" for --who; expected text, not a spreadsheet formula'),
        ("Ann", "@SUM(A1)", "for --why; expected text, not a spreadsheet formula"),
        ("Ann", "a\u202eb", "--why has an invisible letter (U+202E)"),
        ("   ", "looked up", "say who decided"),
    ],
)
def test_a_decision_the_file_would_refuse_is_not_written(
    study: Command, small: Small, who: str, why: str, reason: str
) -> None:
    data = coded(small, ann=table(OWN[0]), bo=table(OWN[0].replace(".11", ".12")))
    said = study("settle", "alpha2020", "alpha2020-e1", "value", ".12", "--who", who, "--why", why, *data)
    assert said.code == 1 and reason in said.err and said.err.count("\n") == 1
    assert not (small.root / "alpha2020/coders/settled.csv").exists()
    assert study("settle", "alpha2020", "alpha2020-e1", "value", ".12", *WHY, *data).code == 0
    assert study("agree", "alpha2020", *data).code == 0


def test_where_nothing_differs_there_is_nothing_to_settle(study: Command, small: Small) -> None:
    data = coded(small, ann=table(OWN[0]), bo=table(OWN[0]))
    said = study("settle", "alpha2020", "alpha2020-e1", "value", ".1", *WHY, *data)
    assert "they differ in nothing, so there is nothing to settle" in said.err


def test_a_row_is_kept_or_dropped_and_nothing_else(study: Command, small: Small) -> None:
    data = coded(small, ann=table(*OWN[:2]), bo=table(OWN[0]))
    said = study("settle", "alpha2020", "alpha2020-e2", "row", "dropp", *WHY, *data)
    assert said.code == 1 and 'did you mean "drop"?' in said.err
    head = "table,row,column,settled,who,why\n"
    small.write("alpha2020/coders/settled.csv", f"{head}effects.csv,alpha2020-e2,row,dropp,A,B\n")
    assert 'found "dropp"; expected keep or drop' in study("agree", "alpha2020", *data).err


@pytest.mark.parametrize("command", ["agree", "check"])
def test_a_page_that_cannot_be_written_is_said_in_a_line(study: Command, small: Small, command: str) -> None:
    data = coded(small, ann=table(OWN[0]), bo=table(OWN[0]))
    style = ("--format", "html") if command == "check" else ()
    folder = study(command, "alpha2020", *style, "--out", small.root, *data)
    assert folder.code == 1 and "is a folder; name a file" in folder.err and folder.err.count("\n") == 1
    file = study(command, "alpha2020", *style, "--out", small.root / "VERSION/page.html", *data)
    assert file.code == 1 and "cannot be written" in file.err and file.err.count("\n") == 1


def test_a_decision_that_rests_on_no_difference_any_more_does_not_count(study: Command, small: Small) -> None:
    """Ann had .11, Bo .12, and .11 was settled; then Ann corrected hers to .12: that is what both have."""
    data = coded(small, ann=table(OWN[0]), bo=table(OWN[0].replace(",.11,", ",.12,")))
    assert study("settle", "alpha2020", "alpha2020-e1", "value", *data, *WHY, "--", ".11").code == 0
    coded(small, ann=table(OWN[0].replace(",.11,", ",.12,")))
    assert study("agree", "alpha2020", *data, "--write").code == 0
    assert held(small)["alpha2020-e1"]["value"] == ".12"
