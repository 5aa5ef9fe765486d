"""CONTRIBUTING, done as it stands there: its commands in their order, its tables in the workbook, on practice data."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import openpyxl
import pytest

from replication import paths
from replication.dataset import load_dataset
from tests.cli.conftest import Command, Said
from tests.data.test_planted_slips import ten_studies

ROOT = paths.project_root()
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
COMMAND = re.compile(r"^    python -m replication\.study (.+)$", re.MULTILINE)
WORK = Path("practice/references/vikmoen2025")


def tables() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The rows that the text puts into each sheet of the workbook."""
    for sheet, block in re.findall(r"<!-- sheet (\w+) -->\n((?:\|.*\n)+)", TEXT):
        lines = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines()]
        yield sheet, [dict(zip(lines[0], cells, strict=True)) for cells in lines[2:]]


def fill_in() -> None:
    """What step 2 tells a person to do."""
    book = openpyxl.load_workbook("vikmoen2025.xlsx")
    for sheet, rows in tables():
        heads = [cell.value for cell in book[sheet][1]]
        for line, row in enumerate(rows, 3):
            for name, value in row.items():
                book[sheet].cell(line, heads.index(name) + 1, value or None)
    book.save("vikmoen2025.xlsx")


def enter_twice() -> None:
    """What step 7 tells two persons to do; one of them swaps two digits."""
    text = (WORK / "effects.csv").read_text(encoding="utf-8")
    for coder, own in (("ann", text), ("bo", text.replace(",214,", ",241,", 1))):
        (WORK / "coders" / coder).mkdir(parents=True)
        (WORK / "coders" / coder / "effects.csv").write_text(own, encoding="utf-8")


def runs(study: Command, commands: Sequence[str]) -> Iterator[tuple[str, Said]]:
    agreed = 0
    for command in commands:
        name = command.split()[0]
        if command.startswith("check vikmoen2025.xlsx"):
            fill_in()
        if name == "agree":
            agreed += 1
            if agreed == 1:
                enter_twice()
        yield command, study(*shlex.split(command))


def test_the_steps_run_as_they_stand(study: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On ten simulated studies in place of the dataset: each of its fourteen commands reads all that is held."""
    held = ten_studies(tmp_path / "held").root
    monkeypatch.setattr(paths, "data_dir", lambda: held)
    monkeypatch.chdir(tmp_path)
    commands = COMMAND.findall(TEXT)
    assert [command.split()[0] for command in commands] == [
        "practice", "new", "check", "take", "answer", "check", "convert", "matrix", "agree", "settle", "agree",
        "preview", "check",
    ]  # fmt: skip
    said = list(runs(study, commands))
    open_at_first = next(i for i, (command, _) in enumerate(said) if command.startswith("agree"))
    for i, (command, answer) in enumerate(said):
        assert answer.code == (1 if i == open_at_first else 0), f"{command}\n{answer.out}{answer.err}"
    expected = re.search(r"^```text\n(.*?)\n```$", TEXT, re.MULTILINE | re.DOTALL)
    assert expected and said[2][1].out.splitlines()[0] == expected[1]
    assert said[2][1].out.splitlines()[1] == "vikmoen2025.xlsx: 0 problems to mend, 4 questions to answer."
    assert "nothing to mend (4 answered questions on record)" in said[5][1].out
    assert "r = 0.19" in said[6][1].out and "Read 4 variables and 6 correlations" in said[7][1].out
    assert "vikmoen2025" in Path("preview.html").read_text(encoding="utf-8")
    assert "nothing to mend" in Path("check.html").read_text(encoding="utf-8")
    rows = load_dataset(Path("practice/references")).effects.query("work == 'vikmoen2025'")
    assert rows["value_text"].tolist()[:6] == ["-.34", ".41", "-.27", "-.18", ".29", "-.21"]
    assert set(rows["n"]) == {214.0}


def test_the_practice_study_is_never_part_of_the_dataset() -> None:
    assert not (paths.data_dir() / "vikmoen2025").exists()
    assert "invented" in (ROOT / "replication/study/practice/article.md").read_text(encoding="utf-8").splitlines()[0]


def test_every_command_and_file_it_names_exists(study: Command) -> None:
    named = set(re.findall(r"python -m replication\.study (\w+)", TEXT))
    assert named >= {"practice", "new", "check", "take", "tidy", "answer", "convert", "matrix", "compute", "agree"}
    for name in named:
        assert study(name, "--help").code == 0
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert target.startswith("https://") or (ROOT / target).exists(), target
    for name in ("new_study.yml", "wrong_number.yml"):
        assert (ROOT / ".github/ISSUE_TEMPLATE" / name).exists()


def test_every_word_of_the_tables_is_a_word_of_the_dataset() -> None:
    vocabulary = load_dataset(paths.data_dir()).vocabulary
    lists = {"var_a": "construct", "statistic": "effect_statistic", "informant_b": "informant", "reading": "reading"}
    for _, rows in tables():
        for row in rows:
            for name, words in lists.items():
                assert name not in row or row[name] in vocabulary.words(words)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_what_practice_leaves_behind_is_not_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert {"/practice/", "/*.xlsx", "/check.html", "/preview.html"} <= set(ignored)
