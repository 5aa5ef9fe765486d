"""5,123 is 5.123 or 5123: told by the other numbers, asked at a terminal, refused with both readings elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from replication.dataset import load_dataset
from tests.cli.conftest import Command
from tests.cli.test_study_matrix import REST
from tests.cli.test_study_workbook import EFFECT, SAMPLE
from tests.data.small import Small
from tests.hostile.test_writers import HANDED_IN

MEANS = {
    "variable": "engagement",
    "measure": "interest",
    "n": "120",
    "mean": "2,345",
    "sd": "1,310",
    "reading": "table",
}
LOG_ODDS = "alpha2020-e3,alpha2020_s1,positive,engagement,log_odds,{},{},student,student,doi:10/x,p. 4,table,1.0.0,\n"


def answers(monkeypatch: pytest.MonkeyPatch, *said: str) -> list[str]:
    """Somebody at the terminal who gives these answers; the questions that were asked."""
    asked, left = [], list(said)

    def prompt(question: str) -> str:
        asked.append(question)
        return left.pop(0)

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.prompt", prompt)
    return asked


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    tables = {"samples": [SAMPLE], "effects": [EFFECT], "descriptives": [MEANS]}
    path = tmp_path / "smith2024.json"
    path.write_text(json.dumps({**HANDED_IN, "tables": tables}), encoding="utf-8")
    return path


def test_elsewhere_than_at_a_terminal_both_readings_are_said(study: Command, small: Small, saved: Path) -> None:
    said = study("take", saved, "--data", small.root)
    assert said.code == 1 and "write 2.345 or 2345" in said.err
    assert not (small.root / "smith2024").exists()


def test_at_a_terminal_it_is_asked_once_for_a_sheet(
    study: Command, small: Small, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answers(monkeypatch, "maybe", "2.345")  # an answer that is none of the two is no answer
    said = study("take", saved, "--data", small.root)
    assert said.code == 0, said.err
    assert len(asked) == 2 and asked[0].startswith("smith2024.json, sheet descriptives, row 1, column mean: 2,345 is")
    assert load_dataset(small.root).table("descriptives.csv")[["mean", "sd"]].to_numpy().tolist() == [
        ["2.345", "1.310"]
    ]


@pytest.mark.parametrize(("answer", "value", "n"), [("1.310", "1.310", "1,214"), ("1310", "1310", "1214")])
def test_a_table_is_tidied_as_it_was_told(
    study: Command, small: Small, monkeypatch: pytest.MonkeyPatch, answer: str, value: str, n: str
) -> None:
    effects = small.root / "alpha2020/effects.csv"
    small.write("alpha2020/effects.csv", effects.read_text(encoding="utf-8") + LOG_ODDS.format('"1,310"', '"1,214"'))
    before = effects.read_bytes()
    assert "plainly already" in study("tidy", "alpha2020", "--data", small.root).out and effects.read_bytes() == before
    assert len(answers(monkeypatch, answer)) == 0
    assert "Stored plainly: effects.csv" in study("tidy", "alpha2020", "--data", small.root).out
    cells = effects.read_text(encoding="utf-8").splitlines()[-1]
    # Persons have no decimals: a count stays for the check to refuse where commas are said to be decimal commas.
    assert f"log_odds,{value}," in cells and (n if "," not in n else f'"{n}"') in cells


@pytest.mark.parametrize(("answer", "mean", "sd"), [("2.345", "2.345", "1.310"), ("2345", "2345", "1310")])
def test_a_pasted_matrix_is_read_as_it_was_told(
    study: Command, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, mean: str, sd: str
) -> None:
    table = tmp_path / "table.txt"
    table.write_text("\tM\tSD\t1\t2\n1. Care\t3.1\t.62\t-\n2. Interest\t2,345\t1,310\t.22\t-\n", encoding="utf-8")
    told = ("--variables", "positive=care@student, engagement=interest@student", *REST, "--write")
    refused = study("matrix", "alpha2020", table, *told, "--data", small.root)
    assert refused.code == 1 and "2.345 with a decimal comma, 2345 with a comma of thousands" in refused.err
    assert not (small.root / "alpha2020/descriptives.csv").exists()
    asked = answers(monkeypatch, answer)
    assert study("matrix", "alpha2020", table, *told, "--data", small.root).code == 0
    assert len(asked) == 1 and asked[0].startswith('the matrix, "Interest": 2,345 is 2.345')
    means = load_dataset(small.root).table("descriptives.csv")
    assert means[["mean", "sd"]].to_numpy().tolist() == [["3.1", ".62"], [mean, sd]]
