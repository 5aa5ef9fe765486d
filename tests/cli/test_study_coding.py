"""Double coding: agreement by field, disagreements, decisions with who and why, and the merged table."""

from __future__ import annotations

import numpy as np
import pytest

from replication.study.coding.agreement import agreement_of, icc_agreement
from replication.study.coding.coders import read_coders
from replication.study.coding.comparing import compare_coders
from tests.cli.conftest import Command
from tests.data.small import EFFECTS, Small

HEADER = "effect_id,sample_id,var_a,var_b,statistic,value,n,informant_a,informant_b,reading,since\n"
WORDS = ("student", "teacher")


def coded(rows: list[tuple[str, str, int, str]]) -> str:
    """One coder's table: constructs, value, n and informant of each row."""
    lines = [
        f"alpha2020-e{i},alpha2020_s1,positive,{b},r,{value},{n},student,{informant},table,1.0.0\n"
        for i, (b, value, n, informant) in enumerate(rows, 1)
    ]
    return HEADER + "".join(lines)


@pytest.fixture
def doubled(small: Small) -> Small:
    """Ten rows by two coders who differ in one value, one n and two informants."""
    constructs = ("engagement", "achievement", "belonging", "victimization", "perpetration") * 2
    ann = [(constructs[i], f".{20 + i}", 100 + i, WORDS[i % 2]) for i in range(10)]
    bo = [list(row) for row in ann]
    bo[2][1], bo[4][2], bo[6][3], bo[7][3] = ".52", 140, "teacher", "student"
    (small.root / "alpha2020/coders/ann").mkdir(parents=True)
    (small.root / "alpha2020/coders/bo").mkdir()
    small.write("alpha2020/coders/ann/effects.csv", coded(ann))
    small.write("alpha2020/coders/bo/effects.csv", coded([tuple(row) for row in bo]))  # type: ignore[misc]
    small.replace("alpha2020/samples.csv", "120", "220")
    return small


def test_agreement_by_field(study: Command, doubled: Small) -> None:
    said = study("agree", "alpha2020", "--data", doubled.root)
    assert said.code == 1
    assert "effects.csv value: 9 of 10 cells agree (90 %" in said.out
    assert "effects.csv informant_b: 8 of 10 cells agree" in said.out
    assert 'alpha2020-e3, value: ann ".22", bo ".52"; open' in said.out
    assert "4 disagreements are open" in said.out


def test_kappa_is_chance_corrected_by_hand(doubled: Small) -> None:
    """Both use each word five times: expected agreement .5, observed .8, kappa .6."""
    from replication.dataset import load_dataset

    vocabulary = load_dataset(doubled.root).vocabulary
    coders, problems = read_coders(doubled.root / "alpha2020", vocabulary)
    assert problems == []
    fields = {field.column: field for field in agreement_of(compare_coders(coders))}
    assert fields["informant_b"].kappa == pytest.approx((0.8 - 0.5) / (1 - 0.5))
    assert fields["informant_b"].kappa_low < 0.6 < fields["informant_b"].kappa_high
    assert np.isnan(fields["informant_a"].kappa) and "one word" in fields["informant_a"].note
    assert 0 < fields["value"].icc < 1 and fields["value"].icc_low < fields["value"].icc < fields["value"].icc_high


def test_icc_of_perfect_and_of_shifted_coders() -> None:
    """Absolute agreement: equal numbers give 1, a constant shift costs."""
    x = np.arange(10.0)
    assert icc_agreement(np.column_stack([x, x])).value == 1.0
    shifted = icc_agreement(np.column_stack([x, x + 1])).value
    variance = x.var(ddof=1)
    assert shifted == pytest.approx(variance / (variance + 0.5), abs=1e-12)


def test_icc_interval_holds_in_simulation() -> None:
    """Simulated coders with a true ICC of .8: the 95 % interval holds it in about 95 of 100 data sets."""
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(300):
        ratings = rng.normal(0, np.sqrt(0.8), (30, 1)) + rng.normal(0, np.sqrt(0.2), (30, 2))
        icc = icc_agreement(ratings)
        held += icc.low <= 0.8 <= icc.high
    assert 0.91 <= held / 300 <= 0.99


def test_the_check_asks_until_all_is_settled(study: Command, doubled: Small) -> None:
    data = ("--data", doubled.root)
    assert study("check", "alpha2020", *data).out.count("[coders-differ]") == 4
    why = ("--who", "Ann and Bo", "--why", "looked up together, Table 2")
    for row, column, value in (
        ("alpha2020-e3", "value", ".22"),
        ("alpha2020-e5", "n", "104"),
        ("alpha2020-e7", "informant_b", "student"),
        ("alpha2020-e8", "informant_b", "teacher"),
    ):
        assert study("settle", "alpha2020", row, column, value, *why, *data).code == 0
    agreed = study("agree", "alpha2020", "--write", *data)
    assert agreed.code == 0 and 'settled as ".22" by Ann and Bo: looked up together, Table 2' in agreed.out
    table = (doubled.root / "alpha2020/effects.csv").read_text(encoding="utf-8")
    assert table.splitlines()[3].startswith("alpha2020-e3,alpha2020_s1,positive,belonging,r,.22,102,student,student")
    assert "[coders-differ]" not in study("check", "alpha2020", *data).out


def test_a_table_that_says_otherwise_than_settled_is_asked_about(study: Command, doubled: Small) -> None:
    data = ("--data", doubled.root)
    study("settle", "alpha2020", "alpha2020-e3", "value", ".22", "--who", "A", "--why", "B", *data)
    doubled.write("alpha2020/effects.csv", coded([("engagement", ".2", 100, "student")] * 1).replace("e1,", "e3,"))
    assert "[not-as-coded]" in study("check", "alpha2020", *data).out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("alpha2020-e1", "value", ".2", "--who", "A", "--why", "B"), "the coders do not differ"),
        (("alpha2020-e3", "value", "high", "--who", "A", "--why", "B"), "expected a number with a decimal point"),
        (("alpha2020-e7", "informant_b", "studnt", "--who", "A", "--why", "B"), 'did you mean "student"?'),
        (("alpha2020-e3", "value", ".22", "--who", "A"), "say who decided"),
    ],
)
def test_a_decision_must_fit(study: Command, doubled: Small, arguments: tuple[str, ...], reason: str) -> None:
    said = study("settle", "alpha2020", *arguments, "--data", doubled.root)
    assert said.code == 1 and reason in said.err
    assert not (doubled.root / "alpha2020/coders/settled.csv").exists()


def test_rows_only_one_coder_has_are_listed(study: Command, doubled: Small) -> None:
    path = doubled.root / "alpha2020/coders/bo/effects.csv"
    path.write_text("\n".join(path.read_text(encoding="utf-8").splitlines()[:-1]) + "\n", encoding="utf-8")
    assert "alpha2020-e10: only ann has this row" in study("agree", "alpha2020", "--data", doubled.root).out
    assert study("agree", "alpha2020", "--write", "--data", doubled.root).code == 1


def test_numbers_written_otherwise_are_the_same(study: Command, small: Small) -> None:
    for coder, text in (("ann", EFFECTS), ("bo", EFFECTS.replace(".35,120", "0.350,120"))):
        (small.root / "alpha2020/coders" / coder).mkdir(parents=True)
        small.write(f"alpha2020/coders/{coder}/effects.csv", text)
    assert study("agree", "alpha2020", "--data", small.root).code == 0


def test_three_coders_get_fleiss_kappa(study: Command, doubled: Small) -> None:
    (doubled.root / "alpha2020/coders/cy").mkdir()
    text = (doubled.root / "alpha2020/coders/bo/effects.csv").read_text(encoding="utf-8")
    doubled.write("alpha2020/coders/cy/effects.csv", text)
    assert "Fleiss' kappa" in study("agree", "alpha2020", "--data", doubled.root).out


def test_a_coders_bad_file_is_said_like_any_other(study: Command, doubled: Small) -> None:
    doubled.write("alpha2020/coders/bo/effects.csv", b"\xff\xfe\x00")
    assert "UTF-16" in study("agree", "alpha2020", "--data", doubled.root).err
    assert "alpha2020/coders/bo/effects.csv, row 1" in study("check", "alpha2020", "--data", doubled.root).out


def test_a_work_without_coders_says_where_their_files_go(study: Command, small: Small) -> None:
    assert "alpha2020/coders/<name>/" in study("agree", "alpha2020", "--data", small.root).err
