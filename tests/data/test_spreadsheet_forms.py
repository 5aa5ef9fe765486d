"""Tables as spreadsheets of half of Europe save them: read, said, and stored plainly; no row and no digit is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from replication.dataset import load_dataset
from replication.dataset.reading import plain_text, read_table
from replication.dataset.schema import TABLES
from tests.data.small import EFFECTS, Small

E = "alpha2020/effects.csv"
GERMAN = EFFECTS.replace(",", ";").replace(".35", "0,35").replace("-.20", "-0,20").replace("Table", "Tabelle ü")


def values(small: Small) -> list[float]:
    effects = load_dataset(small.root).effects
    return effects.loc[effects["work"] == "alpha2020", "value"].tolist()


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (GERMAN.encode("utf-8-sig"), "semicolons and decimal commas"),
        (GERMAN.replace("\n", "\r\n").encode("utf-8-sig"), "semicolons and decimal commas"),
        (GERMAN.encode("cp1252"), "Windows-1252, semicolons and decimal commas"),
        (GERMAN.replace(";", "\t").encode("utf-16"), "UTF-16, tabs and decimal commas"),
        (b"sep=;\r\n" + GERMAN.encode(), "semicolons and decimal commas"),
        (b"\n\n" + GERMAN.encode(), "semicolons and decimal commas"),
        (EFFECTS.replace(".35", '"0,35"').replace("-.20", '"-0,20"').encode(), "decimal commas"),
        (EFFECTS.replace(",", "|").encode(), "bars"),
        (EFFECTS.replace("-.20", "−.20").encode(), "minus signs of a typesetter"),
        (GERMAN.replace("-0,20", "–0,20").encode(), "semicolons, decimal commas and minus signs of a typesetter"),
    ],
)
def test_the_form_is_read_and_said_once(small: Small, content: bytes, form: str) -> None:
    small.write(E, content)
    assert values(small) == [0.35, -0.2]
    (said,) = small.lines()
    assert said.startswith(f"{E}: warning: found {form}; expected UTF-8, commas and decimal points, as stored [form]")


def test_what_is_said_of_the_form_names_what_was_read_otherwise(small: Small) -> None:
    small.write(E, EFFECTS.replace(",", ";"))
    assert " as " not in small.lines()[0].split("→")[1].split(";")[0]
    small.write(E, EFFECTS.replace("-.20", "−.20"))
    assert "it was read, for example −0.31 as -0.31;" in small.lines()[0]


def test_a_printed_string_keeps_its_minus_sign(small: Small) -> None:
    """It is held as it stands in the article."""
    small.replace("alpha2020/claims.csv", ",.34,", ",−.34,")
    assert small.lines() == [] and "−.34" in load_dataset(small.root).claims["printed"].tolist()


def test_lines_keep_their_numbers_below_the_line_that_names_the_separator(small: Small) -> None:
    small.write(E, "sep=;\r\n" + GERMAN.replace("-0,20", "viel"))
    assert f'{E}, row 4, column value: found "viel"' in "\n".join(small.lines())


def test_other_numbers_of_the_table_decide_what_a_comma_is(small: Small) -> None:
    """1,350 is 1.350 where another number of the table has a decimal comma; beside points it is refused."""
    small.write(E, GERMAN.replace("r;0,35", "d;1,350"))
    assert values(small) == [1.35, -0.2]
    small.write(E, EFFECTS.replace("r,.35", 'd,"1,350"'))
    assert not small.check().dataset


def test_rows_that_look_like_data_never_vanish(small: Small) -> None:
    small.write(E, EFFECTS.replace("alpha2020-e2", "# alpha2020-e2"))
    said = small.lines()
    assert len(said) == 1 and f"{E}, row 3: warning: found 1 row with # in front that look like data" in said[0]
    small.write(E, EFFECTS + "# a sentence, with, commas, in, it, and, more, and, more, of, them, to, fill, it\n")
    assert small.lines() == []


def test_joiners_between_letters_are_part_of_the_word(small: Small) -> None:
    small.replace(E, "Table 2", "جدول می\u200cخواهم")
    assert small.lines() == []
    small.replace(E, "می\u200cخواهم", "\u200cمی")
    assert any("<U+200C>" in line for line in small.lines())


def test_what_is_stored_plainly_reads_the_same(tmp_path: Path) -> None:
    path, table = tmp_path / "effects.csv", TABLES["effects.csv"]
    header, first, second = GERMAN.splitlines()
    path.write_text(f"{header}\n# ein Satz; mit Komma,\n{first}\n{second}\n", encoding="cp1252")
    before, _ = read_table(path, "effects.csv", table)
    text = plain_text(path, table)
    assert "\n# ein Satz; mit Komma,\n" in text
    path.write_text(text, encoding="utf-8")
    after, problems = read_table(path, "effects.csv", table)
    assert before and after and (before.header, before.rows) == (after.header, after.rows) and not problems
    assert plain_text(path, table) == text
