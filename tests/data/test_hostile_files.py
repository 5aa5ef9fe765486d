"""Bad input of every kind becomes a line with file, row, column, found, expected: never a traceback or a lost study."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from replication.dataset import load_dataset
from replication.errors import DataError
from tests.data.small import EFFECTS, SAMPLES, Small

E = "alpha2020/effects.csv"


def changed(old: str, new: str) -> Callable[[Small], None]:
    return lambda small: small.replace(E, old, new)


def content(file: str, text: str | bytes) -> Callable[[Small], None]:
    return lambda small: small.write(file, text)


BAD: dict[str, tuple[Callable[[Small], None], str]] = {
    "a word for a number": (
        changed(",.35,", ",strong,"),
        'alpha2020/effects.csv, row 2, column value: found "strong"; expected a number with a decimal point',
    ),
    "a decimal comma": (
        changed(",.35,", ',"0,35",'),
        'row 2, column value: found "0,35"; expected a number with a decimal point [number] → '
        'a decimal comma? write "0.35"',
    ),
    "NaN as a word": (changed(",.35,", ",NaN,"), "leave the cell empty when the number is unknown"),
    "N/A as a word": (changed(",.35,", ",n/a,"), "leave the cell empty when the number is unknown"),
    "infinity": (changed(",.35,", ",inf,"), 'column value: found "inf"'),
    "an overflowing number": (changed(",.35,", ",1e999,"), "found "),
    "r exactly 1": (changed(",.35,", ",1,"), "is it a measure with itself?"),
    "digits of another script": (changed(",.35,", ",٠.٥,"), 'found "٠.٥"; expected a number'),
    "a typographic minus before what is no number": (changed(",-.20,", ",−.20*,"), 'write "-.20*" with the hyphen'),
    "an n with separators": (changed(",.35,120,", ',.35,"1,200",'), 'write "1200"'),
    "not significant as a number": (changed(",.35,", ",n.s.,"), "write it into note"),
    "a hidden character": (changed("Table 2", "Tab\u202ele 2"), "text without hidden characters"),
    "a variable with itself": (changed("positive,engagement", "engagement,engagement"), "another variable than var_a"),
    "since a version far ahead": (changed("1.0.0", "9.9.9"), "the version after it: 1.0.1, 1.1.0, 2.0.0"),
    "rows of empty cells": (lambda s: s.write(E, EFFECTS + "," * 13 + "\n" + "," * 13 + "\n"), "2 rows of empty cells"),
    "columns without a name": (
        lambda s: s.write(E, EFFECTS.replace(",note\n", ",note,,\n").replace("1.0.0,\n", "1.0.0,,,\n")),
        "2 columns without a name",
    ),
    "a sample that is part of itself": (
        lambda s: s.write(
            "alpha2020/samples.csv",
            SAMPLES.replace("since\n", "since,subgroup_of\n").replace("1.0.0\n", "1.0.0,alpha2020_s1\n"),
        ),
        "expected another sample [itself]",
    ),
    "wholes in a circle": (
        lambda s: s.write(
            "alpha2020/samples.csv",
            "sample_id,label,n,unit,country,since,subgroup_of\n"
            "alpha2020_s1,A,120,student,Norway,1.0.0,alpha2020_s2\n"
            "alpha2020_s2,B,120,student,Norway,1.0.0,alpha2020_s1\n",
        ),
        "which is the whole?",
    ),
    "students and schools in one work": (
        lambda s: s.write("alpha2020/samples.csv", SAMPLES + "alpha2020_s2,B,80,school,Norway,1.0.0\n"),
        "units are never pooled",
    ),
    "samples without effects": (lambda s: (s.root / E).unlink(), "expected the file alpha2020/effects.csv"),
    "a row withdrawn before it came": (
        lambda s: s.write(E, EFFECTS.replace("since,note", "since,until,note").replace("1.0.0,", "1.0.0,1.0.0,")),
        "the row would be in no version",
    ),
    "a row older than its work": (
        lambda s: s.replace("alpha2020/work.toml", "setting =", 'since = "1.1.0"\nsetting ='),
        "released versions do not change",
    ),
    "a claim that is no correlation": (
        lambda s: s.replace("alpha2020/claims.csv", ",.34,", ",5.3,"),
        "alpha2020/claims.csv, row 2, column printed",
    ),
    "a correction of an unknown work": (
        lambda s: s.write(
            "alpha2020/corrections.toml", '[[correction]]\nid = "x"\nworks = ["nosuch"]\nstatus = "error"\n'
        ),
        "expected a work key",
    ),
    "a correction of an unknown status": (
        lambda s: s.write(
            "alpha2020/corrections.toml", '[[correction]]\nid = "x"\nworks = ["alpha2020"]\nstatus = "bad"\n'
        ),
        "a word of [correction_status]",
    ),
    "two corrections of one id": (
        lambda s: s.write(
            "alpha2020/corrections.toml", 2 * '[[correction]]\nid = "x"\nworks = ["alpha2020"]\nstatus = "form"\n'
        ),
        "expected each id once",
    ),
    "a bibliography without entries": (lambda s: s.write("references.bib", "hello\n"), "found no entry"),
    "an entry twice": (
        lambda s: s.write("references.bib", 2 * (s.root / "references.bib").read_text()),
        "delete one of the two",
    ),
    "a vocabulary without lists": (
        lambda s: s.replace("vocabulary.toml", "[kind]", "[kinds]"),
        "expected the list [kind]",
    ),
    "a number of five thousand digits": (
        lambda s: s.replace("alpha2020/work.toml", "setting =", f"peer_reviewed = {'9' * 5000}\nsetting ="),
        "alpha2020/work.toml",
    ),
    "an explanation without end": (
        lambda s: s.write(
            "alpha2020/explanations.toml",
            '[[explanation]]\nid = "x"\nclaims = ["alpha2020-001"]\nat_most = inf\nreason = "r"\nevidence = "e"\n',
        ),
        "expected a finite number",
    ),
    "r above 1": (
        changed(",.35,", ",35,"),
        "expected a correlation between -1 and 1, not its ends [range] → is the decimal point",
    ),
    "r below -1": (changed(",-.20,", ",-20,"), "row 3, column value"),
    "n below 4": (changed(",.35,120,", ",.35,3,"), 'column n: found "3"; expected at least 4'),
    "n with a thousands separator": (changed(",.35,120,", ',.35,"1,200",'), "column n"),
    "n above the sample's": (changed(",.35,120,", ",.35,1200,"), "expected at most the sample's n, 120"),
    "a required cell empty": (changed(",.35,", ",,"), "this cell must be filled"),
    "an unknown word": (changed("negative,", "engagment,"), 'did you mean "engagement"?'),
    "an unknown informant": (changed(",teacher,", ",teachers,"), 'did you mean "teacher"?'),
    "an unknown sample": (changed("e1,alpha2020_s1", "e1,alpha2020_s9"), 'did you mean "alpha2020_s1"?'),
    "a duplicate id": (changed("alpha2020-e2", "alpha2020-e1"), "expected each id once [duplicate-id] → row 2 has it"),
    "an id of another work": (changed("alpha2020-e1", "beta2021-e1"), "expected an id used nowhere else"),
    "an id with odd characters": (changed("alpha2020-e1", "alpha 2020/e1"), "an id of letters, digits"),
    "an unknown column": (changed("locator", "locater"), 'did you mean "locator"?'),
    "a missing column": (changed(",value,", ",size,"), "column value: found no such column"),
    "a column twice": (changed("informant_b", "informant_a"), "found the column 2 times; expected once"),
    "a row too long": (changed("doi:10/x,Table 2,table,1.0.0,\n", "doi:10/x,a, b,Table 2,table,1.0.0,\n"), "in double"),
    "a row too short": (changed(",-.20,118,teacher", ",-.20"), "expected 14 cells, as in the header"),
    "a bad version": (changed("1.0.0", "first"), "expected a version such as 1.0.0"),
    "an unknown work in used_in": (
        content(E, EFFECTS.replace(",note", ",used_in").replace("1.0.0,\n", "1.0.0,alpha2O20\n")),
        'did you mean "alpha2020"?',
    ),
    "an interval beside the value": (
        content(E, EFFECTS.replace(",note", ",ci_low").replace("1.0.0,\n", "1.0.0,.4\n")),
        "expected an interval around",
    ),
    "a formula cell": (changed("Table 2", "=HYPERLINK(1)"), "a spreadsheet would run this cell"),
    "UTF-8 letters and other bytes in one file": (
        content(E, EFFECTS.replace("Table", "Tabelle ü").encode() + "alpha2020-ö".encode("latin-1")),
        "the byte 0xF6, which is not UTF-8",
    ),
    "half a letter of UTF-16": (content(E, EFFECTS.encode("utf-16")[:-1]), "which is not UTF-16"),
    "an id that begins with #": (changed("alpha2020-e1", "#12"), 'column effect_id: found "#12"; expected an id'),
    "a spreadsheet's error as an id": (changed("alpha2020-e1", "#REF!"), 'column effect_id: found "#REF!"'),
    "a row too short that begins with #": (changed("alpha2020-e2,alpha2020_s1", "#12"), "expected 14 cells"),
    "a day and month": (changed(",.35,", ",31.des,"), "typed was probably 31.12, 31-12 or 31/12"),
    "a date and time": (changed(",.35,", ",2024-08-05 00:00:00,"), "typed was probably 5.8, 5-8 or 5/8"),
    "a month and day": (changed(",.35,", ",Mai 12,"), "typed was probably 12.5"),
    "a day of a year": (changed(",.35,", ",05.08.2024,"), "typed was probably 5.8"),
    "a date in a wording": (
        content(E, EFFECTS.replace(",note", ",as_printed").replace("1.0.0,\n", "1.0.0,05. Aug\n")),
        'found "05. Aug"; expected what the source prints, not a date [date]',
    ),
    "signs in place of a number": (changed(",.35,", ",####,"), "column was too narrow"),
    "a spreadsheet's error": (changed(",.35,", ",#VERDI!,"), "its formula pointed nowhere"),
    "a shortened number": (changed(",.35,120,", ",.35,1.20E+02,"), "it was about 120"),
    "a wrong encoding": (changed("Table 2", "Tabell Ã¸verst"), 'it was probably "Tabell øverst"'),
    "two readings in a table that does not tell": (
        content(E, EFFECTS.replace(".35", '"1,350"').replace("-.20", "0")),
        'decimal comma or thousands? write "1.350" or "1350"',
    ),
    "two readings of a printed result": (
        lambda s: s.replace("alpha2020/claims.csv", ",.34,", ',"1,310",'),
        'found "1,310"; expected 1.310 or 1310, which no digit tells apart',
    ),
    "two readings of a mean": (
        content(
            "alpha2020/descriptives.csv",
            'sample_id,variable,measure,mean,sd,reading,since\nalpha2020_s1,positive,x,"3,250",0.78,table,1.0.0\n',
        ),
        "expected 3.250 or 3250",
    ),
    "points of thousands among decimal commas": (
        content(E, EFFECTS.replace(",", ";").replace(".35", "0,35").replace("-.20", "1.234")),
        "expected 1,234 or 1234, as decimals have commas here",
    ),
    "decimal commas among decimal points": (
        content(E, EFFECTS.replace(",", ";").replace(".35", "0,35")),
        'a decimal comma? write "0.35"',
    ),
    "a NUL character": (content(E, EFFECTS.replace("Table", "Ta\x00le")), "found a NUL character"),
    "an empty file": (content(E, ""), "found an empty file; expected a header and rows"),
    "blank lines only": (content(E, "\n\n \n"), "found an empty file"),
    "a header only": (content(E, EFFECTS.splitlines()[0] + "\n"), "found a header only"),
    "a half-written row": (content(E, EFFECTS[:-40]), "the file was cut off: save it again"),
    "a half-written quote": (content(E, EFFECTS + 'alpha2020-e3,"alpha'), "found a quote that is never closed"),
    "a quote in a cell": (
        content(E, EFFECTS.replace("Table 2", '"Table" 2', 1)),
        "found a quote in the middle of a cell",
    ),
    "a huge field": (changed("Table 2", "x" * 30_000), "expected at most 20000 letters"),
    "bidirectional text": (changed(",positive,", ",posi\u202etive,"), "posi<U+202E>tive"),
    "control characters": (changed(",positive,", ",posi\x1b[31mtive,"), "posi<U+001B>[31mtive"),
    "broken TOML": (content("alpha2020/work.toml", "key = alpha2020\n"), "expected TOML"),
    "deep TOML": (content("alpha2020/work.toml", "key = " + "[" * 5000 + "]" * 5000), "alpha2020/work.toml"),
    "deeply nested TOML names": (
        content("alpha2020/work.toml", "a" + ".a" * 20_000 + " = 1"),
        "expected a known field",
    ),
    "a header of one huge word": (content(E, "a" * 3_000_000), "letters); expected a column of effects.csv"),
    "an invisible letter in a header": (changed("sample_id", "sample_id\u200b"), '"sample_id<U+200B>"'),
    "a mean of an unknown sample": (
        content(
            "alpha2020/descriptives.csv",
            "sample_id,variable,measure,mean,reading,since\nalpha2020_s2,positive,total,3.1,table,1.0.0\n",
        ),
        'did you mean "alpha2020_s1"?',
    ),
    "a recipe of an unknown sample": (
        content(
            "alpha2020/recipes.toml",
            '[[recipe]]\nsample = "alpha2020_s2"\nsource = "y"\nfile = ["z"]\nverified = "no"\n'
            '[[recipe.measure]]\nvariable = "positive"\nmeasure = "a"\nitems = ["A"]\n'
            '[[recipe.measure]]\nvariable = "engagement"\nmeasure = "b"\nitems = ["B"]\n',
        ),
        'did you mean "alpha2020_s1"?',
    ),
    "TOML with an unknown field": (
        lambda s: s.write("alpha2020/work.toml", (s.root / "alpha2020/work.toml").read_text() + 'rolle = "x"\n'),
        'did you mean "role"?',
    ),
    "TOML with a wrong type": (
        lambda s: s.replace("alpha2020/work.toml", 'role = "primary"', "role = 5"),
        "alpha2020/work.toml, field role",
    ),
    "TOML with an unknown word": (
        lambda s: s.replace("alpha2020/work.toml", '"primary"', '"primry"'),
        'did you mean "primary"?',
    ),
    "a key that is not the folder": (
        lambda s: s.replace("alpha2020/work.toml", "alpha2020", "alpha2021"),
        'expected the folder\'s name, "alpha2020"',
    ),
    "no work.toml": (lambda s: (s.root / "alpha2020/work.toml").unlink(), "restore it from version control"),
    "no samples": (lambda s: (s.root / "alpha2020/samples.csv").unlink(), "alpha2020/samples.csv: found no such file"),
    "a file of another name": (content("alpha2020/effect.csv", EFFECTS), 'did you mean "effects.csv"?'),
    "a folder in the place of a file": (lambda s: (s.root / "alpha2020/measures.csv").mkdir(), "found a folder"),
    "a symbolic link": (lambda s: link(s.root / "alpha2020/measures.csv", "/etc/passwd"), "copy the file here instead"),
    "a linked work": (lambda s: link(s.root / "gamma2022", "/etc"), "gamma2022"),
    "no bibliography entry": (
        content("references.bib", "@article{beta2021,\n title={x}\n}\n"),
        "add an entry @article",
    ),
    "a broken bibliography": (
        content("references.bib", "@article{alpha2020,\n title = {x\n"),
        "missing brace or comma",
    ),
    "an entry without a folder": (
        lambda s: s.write(
            "references.bib", (s.root / "references.bib").read_text() + "@misc{gamma2022,\n title={x}\n}\n"
        ),
        "expected a folder gamma2022/",
    ),
    "an empty VERSION": (content("VERSION", ""), "VERSION"),
    "a broken vocabulary": (content("vocabulary.toml", "[kind\n"), "vocabulary.toml"),
    "a vocabulary without a list": (content("vocabulary.toml", '[kind]\nbook = "b"\n'), "found no such list"),
    "a claim that is no number": (
        lambda s: s.replace("alpha2020/claims.csv", ",.34,", ",about a third,"),
        "expected a number as printed",
    ),
    "a claim of another work": (
        lambda s: s.replace("alpha2020/claims.csv", "alpha2020-001", "beta2021-001"),
        "expected alpha2020-001",
    ),
    "a recipe without measures": (
        content("alpha2020/recipes.toml", '[[recipe]]\nsample = "x"\nsource = "y"\nfile = ["z"]\nverified = "no"\n'),
        "found no such field; expected the field measure",
    ),
    "an answer without a reason": (
        content("alpha2020/answers.toml", '[[answer]]\nrule = "sign"\nrows = ["alpha2020-e1"]\nwho = "me"\n'),
        "expected the field reason",
    ),
}


def link(path: Path, target: str) -> None:
    path.symlink_to(target)


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_gets_a_line_that_helps(small: Small, kind: str) -> None:
    spoil, expected = BAD[kind]
    spoil(small)
    checked = small.check()
    lines = [str(problem) for problem in checked.problems]
    assert any(expected in line for line in lines), "\n".join(lines)
    assert checked.errors and checked.dataset is None
    for problem, line in zip(checked.problems, lines, strict=True):
        assert problem.file and problem.found and problem.expected, line
        assert re.match(r"[^,:]+(, row \d+)?(, (column|field|entry) [^:]+)?: ", line)
        assert line.isprintable()


def test_a_broken_dataset_is_no_dataset(small: Small) -> None:
    small.replace(E, ",.35,", ",strong,")
    with pytest.raises(DataError, match="the dataset has 1 problem; nothing was computed"):
        load_dataset(small.root)


def test_the_small_dataset_itself_is_whole(small: Small) -> None:
    assert small.lines() == []
    assert len(load_dataset(small.root).effects) == 4


def test_windows_line_ends_and_a_byte_order_mark_are_accepted(small: Small) -> None:
    small.write(E, b"\xef\xbb\xbf" + EFFECTS.replace("\n", "\r\n").encode())
    assert small.lines() == []


def test_spaces_around_cells_are_accepted(small: Small) -> None:
    small.replace(E, ",.35,", ", .35 ,")
    assert small.lines() == []
    assert load_dataset(small.root).effects["value"].iloc[0] == 0.35


def test_all_problems_of_all_files_come_at_once(small: Small) -> None:
    small.replace(E, ",.35,", ",strong,")
    small.replace("beta2021/effects.csv", "negative,", "engagment,")
    small.replace("alpha2020/claims.csv", ",.34,", ",a third,")
    files = {problem.file for problem in small.check().problems}
    assert files == {E, "beta2021/effects.csv", "alpha2020/claims.csv"}


def test_a_file_without_a_last_line_end_may_have_been_cut(small: Small) -> None:
    small.write(E, EFFECTS.rstrip("\n"))
    checked = small.check()
    assert checked.dataset is None
    assert [problem.rule for problem in checked.problems] == ["no-line-end"]
    assert "end it with a line break" in str(checked.problems[0])


def test_an_unknown_column_hides_nothing_in_the_other_columns(small: Small) -> None:
    header, *rows = EFFECTS.splitlines()
    small.write(E, "\n".join([f"{header},colour", *(f"{row},red" for row in rows)]).replace(",.35,", ",35,") + "\n")
    assert {problem.rule for problem in small.check().problems} == {"unknown-column", "range"}


def test_what_follows_from_a_problem_is_not_said_again(small: Small) -> None:
    """A misspelt construct is one problem, not also an unknown measure; so is a file of samples that is not there."""
    small.write("alpha2020/measures.csv", "variable,measure,meaning,since\npositive,strs,closeness,1.0.0\n")
    header, first, _ = EFFECTS.splitlines()
    row = first.replace("positive,", "postive,") + "strs"
    small.write(E, f"{header},measure_a\n{row.rsplit('strs', 1)[0]},strs\n")
    rules = [problem.rule for problem in small.check().problems if problem.file == E]
    assert rules == ["word"]


def test_hints_for_many_unknown_samples_take_no_time(small: Small) -> None:
    """Five thousand samples that name a whole nobody knows: all reported, the nearest looked up for some."""
    names = [f"alpha2020_s{i}" for i in range(1, 5001)]
    rows = "".join(f"{name},A,120,student,Norway,1.0.0,alpha2020_x{i}\n" for i, name in enumerate(names))
    small.write("alpha2020/samples.csv", SAMPLES.splitlines()[0] + ",subgroup_of\n" + rows)
    start = time.process_time()
    problems = small.check().problems
    assert sum(problem.rule == "unknown-sample" for problem in problems) == 5000
    assert time.process_time() - start < 20, "quadratic search took minutes"


def test_many_repeated_rows_are_all_counted(small: Small) -> None:
    """A short file of one bad row over and over: every row is reported, 200 are shown."""
    header, row, _ = EFFECTS.splitlines()
    small.write(E, header + "\n" + (row.replace(".35", "much") + "\n") * 3000)
    problems = small.check().problems
    assert sum(problem.rule == "number" for problem in problems) == 3000
    assert sum(problem.rule == "duplicate-id" for problem in problems) == 2999
    with pytest.raises(DataError) as error:
        load_dataset(small.root)
    assert len(str(error.value).splitlines()) == 202
    assert "and 5799 more problems" in str(error.value)


def test_units_that_stand_beside_each_other_stay_apart(small: Small) -> None:
    small.write("alpha2020/samples.csv", SAMPLES.replace("student", "school"))
    units = load_dataset(small.root).effects.groupby("work")["unit"].first().to_dict()
    assert units == {"alpha2020": "school", "beta2021": "student"}


def test_of_files_with_an_error_every_other_row_is_read_as_it_was(small: Small) -> None:
    """Sound files are one table from the start; of others the rest is put together file by file."""
    sound = small.check().readable
    assert sound is not None
    effects = sound.columns("effects.csv")
    assert effects["work"] == ["alpha2020"] * 2 + ["beta2021"] * 2
    assert effects["country"] == ["Norway"] * 4
    small.replace("alpha2020/effects.csv", "-.20,118", "-.20,118 pupils")
    fewer = small.check().readable
    assert fewer is not None
    left = [row for row in effects.records() if row["effect_id"] != "alpha2020-e2"]
    assert repr(list(fewer.columns("effects.csv").records())) == repr(left)
    small.write("alpha2020/effects.csv", "no,header\nat,all\n")
    least = small.check().readable
    assert least is not None
    assert repr(list(least.columns("effects.csv").records())) == repr(left[1:])
