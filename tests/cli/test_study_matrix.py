"""`study matrix`: a pasted table becomes rows of the work, or a reason why not and nothing written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from replication.dataset import load_dataset
from tests.cli.conftest import Command
from tests.data.small import Small

TABLE = (
    "Variable\tM\tSD\t1\t2\t3\t4\n1. Age\t12.40\t0.50\t-\n2. Conflict\t1.50\t0.62\t.02\t(.80)\n"
    "3. Engagement\t3.10\t0.50\t.05\t-.22*\t(.91)\n4. Achievement\t50.1\t9.8\t.01\t-.19\t.40\t-\n"
)
MEANING = ("--variables", "-, negative=conflict@teacher, engagement=scale@student, achievement=test@test")
REST = ("--locator", "Table 1", "--source", "doi:10/x", "--design", "cross-sectional")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.txt"
    path.write_text(TABLE, encoding="utf-8")
    return path


def test_rows_and_means_are_added(study: Command, small: Small, table: Path) -> None:
    data = ("--data", small.root)
    assert "Read 4 variables and 6 correlations" in study("matrix", "alpha2020", table, *data).out
    said = study("matrix", "alpha2020", table, *MEANING, *REST, "--write", *data)
    assert (said.code, said.err) == (0, "")
    dataset = load_dataset(small.root)
    rows = dataset.effects.query("work == 'alpha2020'").set_index("effect_id")
    assert rows.loc["alpha2020-001", ["var_a", "var_b", "value_text", "n"]].tolist() == [
        "negative", "engagement", "-.22", 120,
    ]  # fmt: skip
    assert rows.loc["alpha2020-003", "flags"] == "out_x_out"
    means = dataset.table("descriptives.csv")
    assert means[["variable", "mean", "reliability"]].to_numpy().tolist()[0] == ["negative", "1.50", 0.8]
    assert study("check", "alpha2020", *data).code == 0


def test_two_covariates_are_a_pair_without_a_flag(study: Command, small: Small, tmp_path: Path) -> None:
    vocabulary = (small.root / "vocabulary.toml").read_text(encoding="utf-8")
    first, second = re.findall(r'\[construct\.(\w+)\](?:\n\w+ = .*)*?\nside = "covariate"', vocabulary)[:2]
    table = tmp_path / "two.txt"
    table.write_text("1. A\t-\n2. B\t.31\t-\n", encoding="utf-8")
    said = study("matrix", "alpha2020", table, "--variables", f"{first}, {second}", *REST, "--data", small.root)
    assert (said.code, said.err) == (0, "") and said.out.splitlines()[0].endswith("r .31, n 120")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--variables", "positive, negative"), "found 2 variables; expected 4"),
        (("--variables", "-, -, -, engagment"), 'did you mean "engagement"?'),
        (("--variables", "-, -, -, engagement"), "fewer than two variables"),
        ((*MEANING, "--sample", "alpha2020_s9"), 'did you mean "alpha2020_s1"?'),
        ((*MEANING, "--n", "1,200"), 'write "1200"'),
        ((*MEANING, "--reading", "tabel"), 'did you mean "table"?'),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(
    study: Command, small: Small, table: Path, arguments: tuple[str, ...], reason: str
) -> None:
    before = (small.root / "alpha2020" / "effects.csv").read_bytes()
    said = study("matrix", "alpha2020", table, *arguments, "--write", "--data", small.root)
    assert said.code == 1 and reason in said.err
    assert (small.root / "alpha2020" / "effects.csv").read_bytes() == before
