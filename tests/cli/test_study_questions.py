"""What a hostile tester could slip past `study check`, each slip asked about in words, and nothing else with it."""

from __future__ import annotations

import re

import pytest

from tests.cli.conftest import Command
from tests.data.small import CLAIMS, SAMPLES, Small

HEADER = (
    "effect_id,sample_id,var_a,var_b,statistic,value,n,se,ci_low,ci_high,test,p,measure_a,measure_b,informant_a,"
    "informant_b,as_printed,locator,reading,since\n"
)
CELLS = {
    "statistic": "r", "value": ".35", "n": "120", "se": ".08", "ci_low": ".18", "ci_high": ".50",
    "test": "t(118) = 4.06", "p": "<.001", "as_printed": "r = .35",
}  # fmt: skip
MEANS = "sample_id,variable,measure,n,mean,sd,scale_low,scale_high,items,reading,since\n"
MEAN = {"measure": "close", "n": "120", "mean": "4.12", "sd": ".71"}
MEASURES = (
    "variable,measure,form,items,since\npositive,close,index,7 items,1.0.0\nengagement,eng,index,9 items,1.0.0\n"
    "negative,conf,index,7 items,1.0.0\n"
)


def effects(**changed: str) -> str:
    """One right row with some cells changed, and two rows that make it part of a triple."""
    cells = {name: f'"{value}"' for name, value in (CELLS | changed).items()}
    first = ",".join(cells[n] for n in ("statistic", "value", "n", "se", "ci_low", "ci_high", "test", "p"))
    right = f"close,eng,teacher,student,{cells['as_printed']},T2,table,1.0.0\n"
    rest = "{},alpha2020_s1,{},{},r,{},120,,,,,,{},{},teacher,student,,T2,table,1.0.0\n"
    return (
        f"{HEADER}alpha2020-e1,alpha2020_s1,positive,engagement,{first},{right}"
        + rest.format("alpha2020-e2", "negative", "engagement", "-.21", "conf", "eng")
        + rest.format("alpha2020-e3", "positive", "negative", "-.40", "close", "conf").replace("student", "teacher")
    )


def rules(study: Command, small: Small, work: str = "alpha2020") -> list[str]:
    """The rules that are broken or asked about, in order."""
    lines = study("check", work, "--data", small.root).out.splitlines()
    found = [line for line in lines if "; expected " in line]
    assert not any(" nan" in line or "Traceback" in line for line in found), found
    return [line.rpartition(" [")[2].partition("]")[0] for line in found]


def test_the_right_row_is_not_doubted(study: Command, small: Small) -> None:
    small.write("alpha2020/effects.csv", effects())
    assert rules(study, small) == []


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"test": "t(118) = 6.06"}, "test"),
        ({"test": "t(118.0) = 6.06"}, "test"),
        ({"test": "T(118) = 36"}, "test"),
        ({"test": "F(1;118) = 36"}, "test"),
        ({"test": "F(1, 118) < 1"}, "test"),
        ({"test": "χ2(1) = 50"}, "test"),
        ({"test": "t = 6.06"}, "test"),
        ({"test": "t(118) = -4.06"}, "test-sign"),
        ({"test": "t(218) = 5.52"}, "test-n"),
        ({"test": "chi2(1, N = 240) = 29.4"}, "test-n"),
        ({"test": "F(1, 118) = -16"}, "test-impossible"),
        ({"test": "chi2(1, N = 120) = -3"}, "test-impossible"),
        ({"test": "t(0) = 0"}, "test-impossible"),
        ({"test": "F(1, 0) = 0"}, "test-impossible"),
        ({"test": "chi2(1, N = 0) = 3"}, "test-impossible"),
        ({"test": f"t({'9' * 400}) = 4"}, "test-unreadable"),
        ({"test": f"t({'9' * 5000}) = 4"}, "test-unreadable"),
        ({"test": f"t(118) = {'9' * 400}"}, "test-unreadable"),
        ({"test": "t(118) = 4,06"}, "test-unreadable"),
        ({"test": "F(2, 117) = 8.1"}, "test-unreadable"),
        ({"test": "see text"}, "test-unreadable"),
        ({"statistic": "partial_r", "test": "t(118) = 9.06"}, "test"),
        ({"statistic": "partial_r", "p": ".4"}, "p"),
        ({"as_printed": "r = .53"}, "as-printed"),
        ({"as_printed": "r = -.35"}, "as-printed"),
        ({"as_printed": "rxy = 0,53 (r table 0,18)"}, "as-printed"),
        ({"ci_high": ""}, "interval-end"),
        ({"ci_low": ""}, "interval-end"),
    ],
)
def test_a_slip_beside_a_value_is_asked_about(study: Command, small: Small, changed: dict[str, str], rule: str) -> None:
    small.write("alpha2020/effects.csv", effects(**changed))
    assert rules(study, small) == [rule]


@pytest.mark.parametrize(
    "changed",
    [
        {"test": "t(118)=4.06"},
        {"test": "t(df = 118) = 4.06"},
        {"test": "T(118) = 4.06"},
        {"test": "t(118.0) = 4.06, p < .001"},
        {"test": "t = 4.06"},
        {"test": "F(1;118) = 16.5"},
        {"test": "χ²(1, N = 120) = 14.7"},
        {"test": "chi-squared(1) = 14.7"},
        {"test": "t(110) = 3.92"},
        {"statistic": "partial_r", "test": "t(96) = 3.66"},
        {"as_printed": "0.35 (product moment)"},
        {"as_printed": "r = 0.350***, p < .001"},
        {"as_printed": "d = 0.75"},
    ],
)
def test_usual_ways_to_print_are_not_doubted(study: Command, small: Small, changed: dict[str, str]) -> None:
    small.write("alpha2020/effects.csv", effects(**changed))
    assert rules(study, small) == []


@pytest.mark.parametrize("value", ["1.35", "35", "-1.01"])
def test_an_impossible_value_is_said_once(study: Command, small: Small, value: str) -> None:
    """Not again by se, test, triple or size, which would follow from it."""
    small.write("alpha2020/effects.csv", effects(value=value, ci_low="", ci_high=""))
    assert rules(study, small) == ["range"]


@pytest.mark.parametrize(
    ("cells", "rule"),
    [
        (",.35,.18,.30", "interval-outside"),
        (",.35,.50,.18", "interval"),
        (",.35,.18,", "interval-end"),
        (",.35,,.50", "interval-end"),
        (",35,,", "range"),
        (",5.3,4.8,5.9", "range"),
    ],
)
def test_a_printed_result_that_cannot_be_is_said(study: Command, small: Small, cells: str, rule: str) -> None:
    header = CLAIMS.splitlines()[0].replace("printed", "printed,ci_low,ci_high")
    small.write("alpha2020/claims.csv", f"{header}\nalpha2020-001,a correlation,r{cells},abstract,abstract,1.0.0\n")
    assert rules(study, small) == [rule]


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"sd": "-.71"}, "sd-not-positive"),
        ({"sd": "0"}, "sd-not-positive"),
        ({"mean": "<4"}, "mean-form"),
        ({"mean": "4.12%"}, "mean-form"),
        ({"measure": "clos"}, "measure-unknown"),
        ({"n": "125"}, "n-above-sample"),
        ({}, ""),
    ],
)
def test_means_that_cannot_be_are_asked_about(study: Command, small: Small, changed: dict[str, str], rule: str) -> None:
    cells = MEAN | changed
    small.write("alpha2020/effects.csv", effects())
    small.write("alpha2020/measures.csv", MEASURES)
    middle = ",".join(cells[name] for name in ("measure", "n", "mean", "sd"))
    small.write("alpha2020/descriptives.csv", f"{MEANS}alpha2020_s1,positive,{middle},1,5,7,table,1.0.0\n")
    assert rules(study, small) == [rule] * bool(rule)


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("female_pct", ".51", "share"),
        ("female_pct", "51", ""),
        ("female_pct", "0", ""),
        ("age_mean", "1.24", "age"),
        ("age_mean", "72", "age"),
        ("age_mean", "12.4", ""),
    ],
)
def test_samples_that_are_no_school_classes_are_asked_about(
    study: Command, small: Small, column: str, value: str, rule: str
) -> None:
    small.write("alpha2020/samples.csv", SAMPLES.replace("since", f"{column},since").replace("1.0.0", f"{value},1.0.0"))
    assert rules(study, small) == [rule] * bool(rule)


def matrix(work: str, values: tuple[str, ...], n: int) -> str:
    pairs = (("positive", "negative"), ("positive", "achievement"), ("negative", "achievement"))
    form = "{0}-m{1},{0}_s1,{2},{3},r,{4},{5},,,,,,,,,,,T2,table,1.0.0\n"
    rows = (form.format(work, i, *pair, value, n) for i, (pair, value) in enumerate(zip(pairs, values, strict=True)))
    return HEADER + "".join(rows)


@pytest.mark.parametrize(
    ("values", "n", "expected"),
    [
        (("-.54", ".18", "-.29"), 117, ["near-copy"]),
        (("-.54", ".18", "-.29"), 119, ["same-sample"]),
        (("-.54", ".18", "-.29"), 100, []),
        (("-.54", ".18", "-.28"), 117, []),
    ],
)
def test_a_copy_with_nearly_the_same_n_is_asked_about(
    study: Command, small: Small, values: tuple[str, ...], n: int, expected: list[str]
) -> None:
    small.write("alpha2020/effects.csv", matrix("alpha2020", ("-.54", ".18", "-.29"), 119))
    small.write("beta2021/effects.csv", matrix("beta2021", values, n))
    small.replace("beta2021/samples.csv", "120", str(n))
    assert rules(study, small, "beta2021") == expected


def coded(small: Small, *changes: tuple[str, str]) -> None:
    """Two coders with the work's own tables, each changed a little."""
    for name, change in zip(("ann", "bob"), changes, strict=True):
        for table in ("effects.csv", "samples.csv"):
            text = (small.root / "alpha2020" / table).read_text(encoding="utf-8").replace(*change)
            path = small.root / "alpha2020/coders" / name / table
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def test_the_table_is_compared_with_what_all_coders_have(study: Command, small: Small) -> None:
    coded(small, ("r,.35", "r,.36"), ("r,.35", "r,.36"))
    assert rules(study, small) == ["not-as-coded"]
    coded(small, ("r,.35", "r,0.35"), ("r,.35", "r,.350"))
    assert rules(study, small) == []


def test_every_coded_table_is_compared(study: Command, small: Small) -> None:
    coded(small, ("Norway", "Sweden"), ("Norway", "Sweden"))
    assert rules(study, small) == ["not-as-coded"]


def test_a_row_that_one_coder_lacks_is_said(study: Command, small: Small) -> None:
    coded(small, ("", ""), ("alpha2020-e2", "# left out: alpha2020-e2"))
    assert rules(study, small) == ["coded-alone"]


def test_a_settled_cell_counts_more_than_what_both_wrote(study: Command, small: Small) -> None:
    coded(small, ("", ""), ("r,.35", "r,.36"))
    settled = "table,row,column,settled,who,why\neffects.csv,alpha2020-e1,value,.36,A,looked up\n"
    (small.root / "alpha2020/coders/settled.csv").write_text(settled, encoding="utf-8")
    assert rules(study, small) == ["not-as-coded"]
    small.replace("alpha2020/effects.csv", "r,.35", "r,.36")
    assert rules(study, small) == []


def test_all_questions_are_counted_and_the_first_shown(study: Command, small: Small) -> None:
    wrong = "positive,engagement,r,-.{1},120,9,,,t(118) = {1},.5,m{0},eng,,,,T2,table,1.0.0"
    form = f"alpha2020-e{{0}},alpha2020_s1,{wrong}\n"
    small.write("alpha2020/effects.csv", HEADER + "".join(form.format(i, 910 + i % 80) for i in range(300)))
    said = study("check", "alpha2020", "--data", small.root).out
    more = re.search(r"… and (\d+) more", said)
    assert said.count("; expected ") == 200 and more and 0 < int(more[1]) < 1300, "those that say the same are folded"
    assert "0 problems to mend, 1500 questions to answer" in said


@pytest.mark.parametrize("wording", [".27", ".27**", "0.27*, p < .05", ".27 (p = .02)"])
def test_a_bare_number_as_wording_is_held_against_the_value(study: Command, small: Small, wording: str) -> None:
    """A cell of a correlation matrix has no "r =" beside it."""
    small.write("alpha2020/effects.csv", effects(value=".35", ci_low="", ci_high="", as_printed=wording))
    assert "as-printed" in rules(study, small)
    small.write("alpha2020/effects.csv", effects(value=".27", ci_low="", ci_high="", as_printed=wording))
    assert "as-printed" not in rules(study, small)


@pytest.mark.parametrize(
    ("statistic", "printed"), [("tau2", "-.1"), ("Q", "-5"), ("I2", "140"), ("r", "1.01"), ("k", "-3")]
)
def test_a_printed_result_beyond_its_range_is_an_error(
    study: Command, small: Small, statistic: str, printed: str
) -> None:
    small.write("alpha2020/claims.csv", CLAIMS.replace(",r,.34,", f",{statistic},{printed},"))
    assert rules(study, small) == ["range"]


def test_an_id_of_another_work_is_said_in_both(study: Command, small: Small) -> None:
    text = (small.root / "alpha2020" / "effects.csv").read_text(encoding="utf-8")
    small.write("alpha2020/effects.csv", text.replace("alpha2020-e1", "beta2021-e1"))
    for work, other in (("alpha2020", "beta2021"), ("beta2021", "alpha2020")):
        said = study("check", work, "--data", small.root)
        assert said.code == 1 and f"{other}/effects.csv has it" in said.out


def test_a_work_from_a_far_version_is_said_once(study: Command, small: Small) -> None:
    small.replace("alpha2020/work.toml", "setting =", 'since = "7.0.0"\nsetting =')
    assert rules(study, small) == ["version"]


@pytest.mark.parametrize(
    ("country", "expected"),
    [
        ("Norway", ""),
        ("Türkiye", "Turkey, one name for one country"),  # as another sample has it, whatever the list says
        ("NOR", "Norway, one name for one country"),
        ("Norge", "Norway, one name for one country"),
        ("U.S.A.", "United States, one name for one country"),
        ("England", ""),  # no country of the list, but what another sample says
        ("Norway and Sweden", "the English name of one country"),
    ],
)
def test_a_new_sample_names_its_country_as_the_others_do(
    study: Command, small: Small, country: str, expected: str
) -> None:
    header = SAMPLES.splitlines()[0]
    held = "alpha2020_s1,A,120,student,Norway,1.0.0\nalpha2020_s2,B,90,student,Turkey,1.0.0\n"
    small.write("alpha2020/samples.csv", f"{header}\n{held}alpha2020_s3,C,80,student,England,1.0.0\n")
    small.write("beta2021/samples.csv", f"{header}\nbeta2021_s1,A,110,student,{country},1.1.0\n")
    said = [line for line in study("check", "beta2021", "--data", small.root).out.splitlines() if "[country]" in line]
    assert len(said) == bool(expected) and all(expected in line for line in said), said
