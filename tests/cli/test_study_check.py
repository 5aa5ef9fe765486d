"""`study check`: a dozen planted mistakes found at once, in words; three ways to show them; answers on record."""

from __future__ import annotations

import html
import json

import pytest

from replication.errors import UserError
from replication.workflow import Request, make_report
from tests.cli.conftest import Command
from tests.data.small import CLAIMS, EFFECTS, Small

PLANTED = """\
effect_id,sample_id,var_a,var_b,statistic,value,n,se,ci_low,ci_high,test,p,measure_a,measure_b,informant_b,locator,reading,since,note
alpha2020-1,alpha2020_s1,positive,engagement,r,"0,35",118,,,,,,close,eng,teacher,T2,table,1.0.0,
alpha2020-2,alpha2020_s1,negative,engagement,r,.41,118,,,,,,conf,eng,teacher,T2,table,1.0.0,
alpha2020-3,alpha2020_s1,positive,achievement,r,.22,118,1.1,,,,,close,test,test,T2,table,1.0.0,
alpha2020-4,alpha2020_s1,negative,achievement,r,-.15,118,,-.12,.40,,,conf,test,test,T2,table,1.0.0,
alpha2020-5,alpha2020_s1,positive,victimization,r,-.95,118,,,,,,close,v,student,T2,table,1.0.0,
alpha2020-6,alpha2020_s2,positive,belonging,r,.2,118,,,,,,close,b,student,T2,table,1.0.0,
alpha2020-7,alpha2020_s1,negative,victimization,r,.30,118,,.10,.60,t(116) = 1.2,,conf,v,studnt,T2,table,1.0.0,
alpha2020-8,alpha2020_s1,positive,belonging,r,.30,118,,,,,.50,close,b,student,T2,table,1.0.0,
alpha2020-8,alpha2020_s1,negative,belonging,r,30,118,,,,,,conf,b,student,T2,tabel,1.0.0,=cmd
alpha2020-10,alpha2020_s1,positive,negative,r,0,1180,,,,,,close,conf,student,T2,table,1.0,
"""
FOUND = (
    ('row 2, column value: found "0,35"', 'a decimal comma? write "0.35"'),
    ("row 3, column value: warning: found .41", "[sign]"),
    ("row 4, column se: warning: found 1.1", "[se]"),
    ('row 5, column ci_low: found "-0.12 to 0.4"', "lost its minus?"),
    ("row 6, column value: warning: found -.95", "[very-large]"),
    ('row 7, column sample_id: found "alpha2020_s2"', 'did you mean "alpha2020_s1"?'),
    ("row 8, column ci_low: warning: found 0.1 to 0.6 around .30", "[interval-centre]"),
    ("row 8, column value: warning: found t(116) = 1.2", "gives 0.111"),
    ('row 8, column informant_b: found "studnt"', 'did you mean "student"?'),
    ("row 9, column p: warning: found p .50", "expected a p near 0.001"),
    ('row 10, column effect_id: found "alpha2020-8"', "row 9 has it already"),
    ('row 10, column value: found "30"', "is the decimal point missing?"),
    ('row 10, column reading: found "tabel"', 'did you mean "table"?'),
    ('row 10, column note: found "=cmd"', "a spreadsheet would run this cell"),
    ('row 11, column n: found "1180"', "at most the sample's n, 120"),
    ("row 11, column value: warning: found 0", "[exact-zero]"),
    ('row 11, column since: found "1.0"', "a version such as 1.0.0"),
)


def test_every_planted_mistake_is_found_at_once(study: Command, small: Small) -> None:
    small.write("alpha2020/effects.csv", PLANTED)
    said = study("check", "alpha2020", "--data", small.root)
    assert said.code == 1
    lines = said.out.splitlines()
    for place, help_ in FOUND:
        assert any(place in line and help_ in line for line in lines), f"{place} … {help_}\n{said.out}"
    assert said.err == ""


def test_lines_read_as_sentences(study: Command, small: Small) -> None:
    small.write("alpha2020/effects.csv", PLANTED)
    lines = study("check", "alpha2020", "--data", small.root).out.splitlines()
    problems = [line for line in lines if line.startswith("alpha2020/")]
    assert len(problems) >= len(FOUND)
    for line in problems:
        assert " found " in line and "; expected " in line, line
        assert not any(word in line for word in ("Error", "Exception", "None", "nan", "DataFrame", "dtype")), line


def test_errors_of_other_works_are_one_line_and_no_pass(study: Command, small: Small) -> None:
    """Twins could not be looked for and no analysis runs: to pass alpha2020 would be to pass what was not checked."""
    small.write("beta2021/effects.csv", "broken")
    said = study("check", "alpha2020", "--data", small.root)
    assert said.code == 1 and "[not-compared]" in said.out.splitlines()[0]
    assert said.out.splitlines()[1:] == ["alpha2020: 1 problem to mend, 0 questions to answer."]
    assert study("check", "--data", small.root).code == 1


@pytest.mark.parametrize("file", ["traps.toml", "article/statements.toml", "vocabulary.toml", "VERSION"])
def test_a_file_that_cannot_be_read_hides_no_question_and_is_no_pass(study: Command, small: Small, file: str) -> None:
    """A row that is suspicious stays so while an unrelated file is broken; where nothing can be asked, that is said."""
    small.replace("alpha2020/effects.csv", ",.35,", ",.99,")
    asked = {
        line for line in study("check", "alpha2020", "--data", small.root).out.splitlines() if "effects.csv" in line
    }
    assert asked
    small.write(file, b"\xff\xfe\x00")
    said = study("check", "alpha2020", "--data", small.root)
    assert said.code == 1 and file in said.out
    assert asked <= set(said.out.splitlines()) or "[not-asked]" in said.out


def test_json_and_html_say_the_same(study: Command, small: Small) -> None:
    small.write("alpha2020/effects.csv", PLANTED)
    record = json.loads(study("check", "alpha2020", "--format", "json", "--data", small.root).out)
    page = study("check", "alpha2020", "--format", "html", "--data", small.root).out
    assert record["errors"] >= 9 and record["questions"] >= 6
    for problem in record["problems"]:
        assert html.escape(problem["found"]) in page
        assert html.escape(problem["expected"]) in page
    assert page.startswith("<!doctype html>") and "<script" not in page
    assert record["summary"] in html.unescape(page)


def test_a_page_shows_hostile_text_and_runs_nothing(study: Command, small: Small) -> None:
    small.replace("alpha2020/effects.csv", ",teacher,", ",<script>alert(1)</script>,")
    page = study("check", "alpha2020", "--format", "html", "--data", small.root).out
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_the_page_goes_to_a_file(study: Command, small: Small) -> None:
    out = small.root.parent / "check.html"
    said = study("check", "--format", "html", "--out", out, "--data", small.root)
    assert said.out == f"The page: {out}\n"
    assert "nothing to mend" in out.read_text(encoding="utf-8")


def test_a_question_is_answered_once_and_expires(study: Command, small: Small) -> None:
    small.replace("alpha2020/effects.csv", "-.20", ".20")
    question = study("check", "alpha2020", "--data", small.root)
    assert (
        question.code == 0 and "[sign]" in question.out and "study answer alpha2020 sign alpha2020-e2" in question.out
    )
    assert study("check", "alpha2020", "--strict", "--data", small.root).code == 1
    reason = ("--reason", 'the "scale" runs the other way', "--who", "A. Coder")
    assert study("answer", "alpha2020", "sign", "alpha2020-e2", *reason, "--data", small.root).code == 0
    answered = study("check", "alpha2020", "--strict", "--data", small.root)
    assert answered.out == "alpha2020: nothing to mend (1 answered question on record).\n"
    small.replace("alpha2020/effects.csv", ".20", "-.20")
    expired = study("check", "alpha2020", "--data", small.root)
    assert "[answer-unneeded]" in expired.out and "delete the answer" in expired.out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("sign", "alpha2020-e1", "--reason", "x", "--who", "y"), "nobody asks"),
        (("sgn", "alpha2020-e2", "--reason", "x", "--who", "y"), 'did you mean "sign"?'),
        (("sign", "alpha2020-e2", "--who", "y"), "say why it is right"),
        (("sign", "alpha2020-e2", "--reason", "x"), "who says so"),
    ],
)
def test_an_answer_needs_a_question_a_reason_and_a_name(
    study: Command, small: Small, arguments: tuple[str, ...], reason: str
) -> None:
    small.replace("alpha2020/effects.csv", "-.20", ".20")
    said = study("answer", "alpha2020", *arguments, "--data", small.root)
    assert said.code == 1 and reason in said.err
    assert not (small.root / "alpha2020/answers.toml").exists()


def test_an_unknown_work_gets_the_nearest(study: Command, small: Small) -> None:
    said = study("check", "alpha202", "--data", small.root)
    assert said.code == 1 and 'did you mean "alpha2020"?' in said.err


@pytest.mark.parametrize("key", ["../alpha2020", "/etc", "..", "."])
def test_a_path_is_no_work(study: Command, small: Small, key: str) -> None:
    assert study("check", key, "--data", small.root).code == 1


def test_a_folder_that_is_not_there_is_said(study: Command, small: Small) -> None:
    said = study("check", "--data", small.root / "nowhere")
    assert said.code == 1 and "no such folder" in said.out


def test_means_are_checked_against_scale_n_and_each_other(study: Command, small: Small) -> None:
    small.write(
        "alpha2020/descriptives.csv",
        "sample_id,variable,measure,n,mean,sd,scale_low,scale_high,items,reading,since\n"
        "alpha2020_s1,positive,a,28,5.42,.8,1,5,1,table,1.0.0\n"
        "alpha2020_s1,engagement,b,28,1.19,.03,1,5,1,table,1.0.0\n"
        "alpha2020_s1,negative,c,28,1.21,2.81,1,5,1,table,1.0.0\n",
    )
    out = study("check", "alpha2020", "--data", small.root).out
    for rule in ("mean-outside", "sd-is-se", "grim", "sd-too-large", "n-differs"):
        assert f"[{rule}]" in out, out


def test_a_twin_of_another_sample_is_asked_about(study: Command, small: Small) -> None:
    small.replace("alpha2020/effects.csv", ".35,120", ".3512,117")
    small.write("beta2021/effects.csv", EFFECTS.replace("alpha2020", "beta2021").replace(".35,120", ".3512,117"))
    out = study("check", "beta2021", "--data", small.root).out
    assert "alpha2020-e1 of alpha2020 has the same n and value" in out


def test_three_correlations_that_cannot_be_are_an_error(study: Command, small: Small) -> None:
    row = "alpha2020-e{},alpha2020_s1,{},{},r,{},120,student,student,doi:10/x,T2,table,1.0.0,\n"
    header = EFFECTS.splitlines()[0] + "\n"
    rows = [row.format(1, "positive", "engagement", ".80"), row.format(2, "positive", "achievement", ".80")]
    small.write("alpha2020/effects.csv", header + "".join([*rows, row.format(3, "engagement", "achievement", ".20")]))
    said = study("check", "alpha2020", "--data", small.root)
    assert said.code == 1 and "[triple]" in said.out
    small.write("alpha2020/effects.csv", header + "".join([*rows, row.format(3, "engagement", "achievement", ".28")]))
    assert "[triple]" not in study("check", "alpha2020", "--data", small.root).out


def test_a_printed_result_off_the_middle_of_its_interval_is_asked_about(study: Command, small: Small) -> None:
    header = CLAIMS.splitlines()[0].replace("locator", "ci_low,ci_high,locator")
    row = "alpha2020-001,pooled correlation,r,{},.28,.40,abstract,abstract,1.0.0\n"
    small.write("alpha2020/claims.csv", header + "\n" + row.format(".43"))
    outside = study("check", "alpha2020", "--data", small.root)
    assert outside.code == 1 and "expected an interval that holds .43 [interval-outside]" in outside.out
    small.write("alpha2020/claims.csv", header + "\n" + row.format(".39"))
    assert "[interval-centre]" in study("check", "alpha2020", "--data", small.root).out
    small.write("alpha2020/claims.csv", header + "\n" + row.format(".34"))
    assert study("check", "alpha2020", "--data", small.root).out == "alpha2020: nothing to mend.\n"


def test_a_statement_about_a_finding_that_no_page_shows_is_refused_by_check_and_run_alike(
    study: Command, small: Small
) -> None:
    small.replace("article/statements.toml", 'finding = "achievement"', 'finding = "accent"')
    said = study("check", "--data", small.root)
    assert said.code == 1 and 'field statement learning: found "accent"; expected one of' in said.out
    with pytest.raises(UserError) as refused:
        make_report(Request(ids=(), data=small.root, out=small.root.parent / "latest", quiet=True))
    assert str(refused.value) in said.out
