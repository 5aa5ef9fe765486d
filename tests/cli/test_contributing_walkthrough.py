"""CONTRIBUTING's six steps, done as they stand there: on the real dataset without the study they add."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from replication import paths
from replication.dataset import load_dataset
from tests.cli.conftest import Command

TEXT = (paths.project_root() / "CONTRIBUTING.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    """The fenced block of a kind, e.g. "csv effects.csv"."""
    match = re.search(rf"^```{re.escape(kind)}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert match, kind
    return match[1]


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The real dataset as if Ridder (2018) had never been added."""
    root = tmp_path / "references"
    shutil.copytree(paths.data_dir(), root)
    shutil.rmtree(root / "ridder2018")
    bibliography = (root / "references.bib").read_text(encoding="utf-8")
    without = re.sub(r"@mastersthesis\{ridder2018,.*?\n\}\n", "", bibliography, flags=re.DOTALL)
    assert without != bibliography
    (root / "references.bib").write_text(without, encoding="utf-8")
    return root


def test_the_six_steps(study: Command, before: Path) -> None:
    data = ("--data", before)
    bib = before.parent / "ridder.bib"
    bib.write_text(block("bibtex"), encoding="utf-8")
    assert study("new", "ridder2018", "--bib", bib, *data).code == 0
    folder = before / "ridder2018"
    for name in ("samples.csv", "effects.csv"):
        (folder / name).write_text(block(f"csv {name}"), encoding="utf-8")
    for name in ("measures.csv", "descriptives.csv", "claims.csv"):
        (folder / name).unlink()

    asked = study("check", "ridder2018", *data)
    assert asked.code == 0
    assert asked.out.splitlines()[0] == block("text").strip()
    assert asked.out.splitlines()[1] == "ridder2018: 0 problems to mend, 1 question to answer."
    reason = re.search(r'answer ridder2018 p ridder2018-001 --reason "([^"]+)"', TEXT)
    assert reason
    study("answer", "ridder2018", "p", "ridder2018-001", "--reason", reason[1], "--who", "A. Student", *data)
    assert study("check", "ridder2018", "--strict", *data).code == 0

    for coder, text in (
        ("ann", block("csv effects.csv")),
        ("bo", block("csv effects.csv").replace(".22,83", ".22,38")),
    ):
        (folder / "coders" / coder).mkdir(parents=True)
        (folder / "coders" / coder / "effects.csv").write_text(text, encoding="utf-8")
    assert study("agree", "ridder2018", *data).code == 1
    decided = ("--who", "Both", "--why", "looked up together, abstract")
    assert study("settle", "ridder2018", "ridder2018-001", "n", "83", *decided, *data).code == 0
    assert study("agree", "ridder2018", "--write", *data).code == 0

    preview = study("preview", "ridder2018", "--out", before.parent / "preview.html", *data)
    assert preview.code == 0 and "coded from an abstract" in preview.out
    page = before.parent / "check.html"
    assert study("check", "ridder2018", "--format", "html", "--out", page, *data).code == 0
    assert "nothing to mend" in page.read_text(encoding="utf-8")
    rows = load_dataset(before).effects
    ours = load_dataset(paths.data_dir()).effects
    shared = ["effect_id", "var_a", "var_b", "value_text", "n", "measure_a", "locator"]
    assert rows.loc[rows["work"] == "ridder2018", shared].to_numpy().tolist() == (
        ours.loc[ours["work"] == "ridder2018", shared].to_numpy().tolist()
    )


def test_every_command_it_names_exists(study: Command) -> None:
    named = set(re.findall(r"python -m replication\.study (\w+)", TEXT))
    assert named >= {"new", "check", "answer", "convert", "compute", "agree", "settle", "preview", "todo", "versions"}
    for name in named:
        assert study(name, "--help").code == 0


def test_what_it_converts_comes_out(study: Command) -> None:
    command = re.search(r"study (convert --from t [^\n]+)", TEXT)
    assert command
    assert "r = 0.2080, n 120" in study(*command[1].split()).out
