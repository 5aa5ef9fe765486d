"""What the check asks about new rows of bare tables: each planted slip is asked about, and a clean table is not."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Command
from tests.data.small import EFFECTS, SAMPLES, Small

E = "alpha2020/effects.csv"
HEADER = (
    "effect_id,sample_id,var_a,var_b,statistic,value,n,se,measure_a,measure_b,informant_a,informant_b,time_a,time_b,"
    "as_printed,source,locator,reading,since\n"
)


def row(number: int, since: str, **cells: str) -> str:
    known = {
        "effect_id": f"alpha2020-n{number}", "sample_id": "alpha2020_s1", "var_a": "positive", "var_b": "engagement",
        "statistic": "r", "value": ".36", "n": "118", "measure_a": f"m{number}", "measure_b": "scale",
        "informant_a": "student", "informant_b": "teacher", "source": "doi:10/x", "locator": "Table 2",
        "reading": "table", "since": since,
    } | cells  # fmt: skip
    return ",".join(known.get(name, "") for name in HEADER.strip().split(",")) + "\n"


@pytest.fixture
def since(small: Small) -> str:
    """The version in which new rows of the small dataset enter."""
    from replication.dataset import load_dataset
    from replication.study.new import next_version

    return next_version(load_dataset(small.root).version)


def others(small: Small) -> None:
    """Eight further studies with r from .28 to .42: what a new one is compared with."""
    samples, effects = SAMPLES.replace("alpha2020", "beta2021"), EFFECTS.replace("alpha2020", "beta2021")
    lines = effects.splitlines()
    for i in range(2, 10):
        samples += f"beta2021_s{i},Beta {i},{200 + 10 * i},student,Norway,1.0.0\n"
        cells = lines[1].replace("beta2021-e1", f"beta2021-x{i}").replace("_s1", f"_s{i}")
        lines.append(cells.replace(",.35,120", f",.{26 + 2 * i},{150 + 7 * i}"))
    small.write("beta2021/samples.csv", samples)
    small.write("beta2021/effects.csv", "\n".join(lines).replace("118", "110") + "\n")


def asked(study: Command, small: Small, *rows: str) -> str:
    small.write(E, HEADER + "".join(rows))
    return study("check", "alpha2020", "--data", small.root).out


SLIPS: dict[str, tuple[dict[str, str], str]] = {
    "far from other studies": ({"value": "-.63", "var_b": "engagement"}, "[prediction]"),
    "two digits swapped": ({"value": ".83"}, "as other studies of 118 would have"),
    "no place": ({"locator": ""}, "[locator]"),
    "another statistic": ({"as_printed": "β = .36"}, "is the statistic beta?"),
    "the error of z": ({"value": ".50", "se": ".0933"}, "[se-of-z]"),  # 1 / sqrt(115) = .0933
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_in_a_bare_table_is_asked_about(study: Command, small: Small, since: str, slip: str) -> None:
    others(small)
    cells, expected = SLIPS[slip]
    clean = asked(study, small, row(1, since))
    assert clean == "alpha2020: nothing to mend.\n"
    assert expected in asked(study, small, row(1, since, **cells))


def test_rows_of_released_versions_are_not_asked_again(study: Command, small: Small) -> None:
    others(small)
    assert "[locator]" not in asked(study, small, row(1, "1.0.0", locator=""))


def test_two_informants_of_one_measure(study: Command, small: Small, since: str) -> None:
    said = asked(study, small, row(1, since), row(2, since, var_a="negative", value="-.2", informant_b="student"))
    assert "found student; expected teacher, as in alpha2020-n1 [informants]" in said


def test_who_reports_a_test(study: Command, small: Small, since: str) -> None:
    small.write(
        "alpha2020/measures.csv",
        "variable,measure,form,items,since\npositive,m1,index,x,1.0.0\nengagement,scale,test,x,1.0.0\n",
    )
    assert "[test-informant]" in asked(study, small, row(1, since))
    assert "[test-informant]" not in asked(study, small, row(1, since, informant_b="test"))


def test_persons_report_in_a_row_of_schools(study: Command, small: Small, since: str) -> None:
    small.write("alpha2020/samples.csv", SAMPLES.replace(",student,", ",school,"))
    assert "found school with student; expected an informant of a school" in asked(study, small, row(1, since))
    rest = {"informant_a": "principal", "informant_b": "records"}
    assert "[unit]" not in asked(study, small, row(1, since, **rest))


def test_many_schools_without_an_effective_n(study: Command, small: Small, since: str) -> None:
    small.write("alpha2020/samples.csv", SAMPLES.replace("since\n", "since,schools\n").replace("1.0.0\n", "1.0.0,9\n"))
    assert "found n 118 in 9 clusters" in asked(study, small, row(1, since))


def test_one_groups_numbers_entered_for_the_other(study: Command, small: Small, since: str) -> None:
    small.write("alpha2020/samples.csv", SAMPLES + "alpha2020_s2,Girls,64,student,Norway,1.0.0\n")
    pairs = [("positive", "engagement", ".36"), ("negative", "engagement", "-.21"), ("positive", "achievement", ".17")]
    rows = [row(i, since, var_a=a, var_b=b, value=v) for i, (a, b, v) in enumerate(pairs, 1)]
    girls = [
        row(i, since, sample_id="alpha2020_s2", n="60", var_a=a, var_b=b, value=v)
        for i, (a, b, v) in enumerate(pairs, 4)
    ]
    assert "found 3 of 3 correlations as in alpha2020_s1" in asked(study, small, *rows, *girls)


def test_parts_that_add_up_to_a_whole(study: Command, small: Small, since: str) -> None:
    more = "alpha2020_s2,Girls,64,student,Norway,1.0.0\nalpha2020_s3,Boys,56,student,Norway,1.0.0\n"
    small.write("alpha2020/samples.csv", SAMPLES + more)
    assert "alpha2020_s2 and alpha2020_s3, whose sizes add up to it [parts]" in asked(study, small, row(1, since))
    whole = (SAMPLES + more).replace("since\n", "since,subgroup_of\n").replace("Norway,1.0.0\n", "Norway,1.0.0,\n")
    parts = whole.replace("64,student,Norway,1.0.0,", "64,student,Norway,1.0.0,alpha2020_s1")
    small.write(
        "alpha2020/samples.csv", parts.replace("56,student,Norway,1.0.0,", "56,student,Norway,1.0.0,alpha2020_s1")
    )
    assert "[parts]" not in asked(study, small, row(1, since))


def test_times_tell_rows_apart_and_stability_is_not_itself(study: Command, small: Small, since: str) -> None:
    """T1 with T1, T1 with T2, T2 with T2 are three rows; closeness at T1 with closeness at T2 is a stability."""
    same = {"measure_a": "strs", "measure_b": "scale"}
    rows = [
        row(1, since, **same, time_a="T1", time_b="T1"),
        row(2, since, **same, time_a="T1", time_b="T2", value=".30"),
        row(3, since, **same, time_a="T2", time_b="T2", value=".33"),
        row(4, since, var_b="positive", measure_a="strs", measure_b="strs", time_a="T1", time_b="T2", value=".61",
            informant_b="student"),
    ]  # fmt: skip
    assert asked(study, small, *rows) == "alpha2020: nothing to mend.\n"
    assert "[duplicate-pair]" in asked(study, small, rows[0], row(5, since, **same, time_a="T1", time_b="T1"))


def test_what_many_rows_say_alike_is_said_once_and_answered_once(study: Command, small: Small, since: str) -> None:
    rows = [row(i, since, value=f".3{i}", locator="") for i in range(1, 6)]
    said = asked(study, small, *rows)
    assert said.count("[locator]") == 1 and "the same in 4 more rows: 3, 4, 5, 6" in said
    answer = ("--reason", "The file of the authors has neither pages nor tables.", "--who", "A. Student")
    assert study("answer", "alpha2020", "locator", "all", *answer, "--data", small.root).code == 0
    assert study("check", "alpha2020", "--data", small.root).out.startswith("alpha2020: nothing to mend (5 answered")
