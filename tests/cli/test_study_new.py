"""`study new`: a folder of templates and a bibliography entry, or a reason why not and nothing written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from replication.dataset import check_dataset, load_dataset
from tests.cli.conftest import Command
from tests.data.small import Small

FIELDS = ("--author", "Smith, Ann and Jones, Bo", "--title", "An invented title", "--year", "2024")
REFUSED = {
    "../x": "looks like a path",
    "/etc/passwd": "looks like a path",
    "a\\b": "looks like a path",
    "..": "looks like a path",
    "": "the key is empty",
    "Smith2024": "small letters and digits",
    "smith 2024": "small letters and digits",
    "2024smith": "small letters and digits",
    "ab": "3 to 40 small letters",
    "x" * 41: "3 to 40 small letters",
    "løvlie2017": "latin small letter o with stroke",
    "smith\u202e2024": "right-to-left override",
    "sm\u0456th2024": "cyrillic small letter byelorussian-ukrainian i",
    "article": "reserved name of this project",
    "coders": "reserved name of this project",
    "con": "reserved name of Windows",
    "com1": "reserved name of Windows",
    "alpha2020": "already in the dataset",
}


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


@pytest.mark.parametrize("key", REFUSED)
def test_a_key_that_cannot_be_is_refused_with_the_reason(study: Command, small: Small, key: str) -> None:
    before = files(small.root)
    said = study("new", "--data", small.root, *FIELDS, "--", key)
    assert said.code == 1
    assert REFUSED[key] in said.err
    assert said.err.startswith("error: ") and said.err.count("\n") == 1
    assert files(small.root) == before


def test_a_key_that_only_the_bibliography_has_is_taken(study: Command, small: Small) -> None:
    small.write("references.bib", (small.root / "references.bib").read_text() + "@misc{gamma2022, title={x}}\n")
    assert "already in the dataset" in study("new", "gamma2022", "--data", small.root, *FIELDS).err


def test_the_folder_has_templates_with_the_words_beside_each_field(study: Command, small: Small) -> None:
    assert study("new", "smith2024", "--data", small.root, *FIELDS).code == 0
    folder = small.root / "smith2024"
    assert {path.name for path in folder.iterdir()} == {
        "work.toml", "samples.csv", "effects.csv", "measures.csv", "descriptives.csv", "claims.csv", "NOTES.md",
    }  # fmt: skip
    effects = (folder / "effects.csv").read_text(encoding="utf-8")
    assert effects.startswith("effect_id,sample_id,var_a,var_b,statistic,value,n,")
    assert "# value (must be filled): the value as printed" in effects
    assert "positive (positive relationship)" in effects
    assert "# example: smith2024-001,smith2024_s1,positive,engagement,r,.35," in effects
    assert "primary_study: own data" in (folder / "work.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("made", ["", "--xlsx"])
def test_the_command_that_is_offered_next_runs_as_printed(
    study: Command, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said = study("new", "smith2024", *filter(None, [made]), *FIELDS, "--data", small.root)
    program, *offered = shlex.split(said.out.splitlines()[-1])[2:]
    assert program == "replication.study"
    then = study(*offered)
    assert re.search(r"smith2024: \d+ problems? to mend|smith2024\.xlsx has no rows yet", then.out + then.err), then


def test_the_example_rows_become_a_sound_study_when_uncommented(study: Command, small: Small) -> None:
    """The examples are no data until the # goes; then they pass every check."""
    study("new", "smith2024", "--data", small.root, *FIELDS)
    assert {p.rule for p in check_dataset(small.root).problems} == {"no-rows"}
    for name in ("samples.csv", "effects.csv", "measures.csv", "descriptives.csv", "claims.csv"):
        path = small.root / "smith2024" / name
        lines = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join([lines[0], lines[-1].removeprefix("# example: ")]) + "\n", encoding="utf-8")
    (small.root / "smith2024" / "measures.csv").write_text(
        "variable,measure,form,items,since\npositive,closeness,index,STRS,1.1.0\n"
        "engagement,engagement-scale,index,nine items,1.1.0\n",
        encoding="utf-8",
    )
    said = study("check", "smith2024", "--data", small.root)
    assert (said.code, said.out) == (0, "smith2024: nothing to mend.\n")
    assert "smith2024-001" in set(load_dataset(small.root).effects["effect_id"])


def test_a_dataset_whose_version_is_none_gets_no_work(study: Command, small: Small) -> None:
    small.write("VERSION", "1.0")
    before = files(small.root)
    said = study("new", "smith2024", "--data", small.root, *FIELDS)
    assert said.code == 1 and said.err.count("\n") == 1
    assert 'found "1.0"; expected three numbers such as 1.0.0' in said.err
    assert files(small.root) == before


def test_a_bibtex_entry_without_a_doi_fills_the_entry(study: Command, small: Small, tmp_path: Path) -> None:
    bib = tmp_path / "entry.bib"
    bib.write_text(
        "@Article{x1, author={Smith, Ann and Jönes, Bo}, title={Closeness and {E}ngagement},\n"
        " journal={Journal of Things}, year=2024, pages={1--20}, abstract={long}}\n",
        encoding="utf-8",
    )
    assert study("new", "smith2024", "--bib", bib, "--data", small.root).code == 0
    text = (small.root / "references.bib").read_text(encoding="utf-8")
    assert "@article{smith2024,\n  author  = {Smith, Ann and Jönes, Bo}," in text
    assert "abstract" not in text
    reference = load_or_read(small)["smith2024"]
    assert (reference.short, reference.title) == ("Smith & Jönes (2024)", "Closeness and Engagement")


def load_or_read(small: Small) -> dict[str, object]:
    from replication.dataset.loading import read_bibliography

    return read_bibliography(small.root / "references.bib", "references.bib")[0]  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has 0 entries"),
        ("@article{a, title={x}} @article{b, title={y}}", "has 2 entries"),
        ("@article{a, title={x", "is not BibTeX"),
        ("@article{a, title={x}}", "lacks author and year"),
        ("@article{a, author={A, B}, year=2020, title={x\u202ey}}", "invisible letter (U+202E)"),
    ],
)
def test_a_bad_bibtex_file_is_refused(study: Command, small: Small, tmp_path: Path, text: str, reason: str) -> None:
    bib = tmp_path / "entry.bib"
    bib.write_text(text, encoding="utf-8")
    before = files(small.root)
    said = study("new", "smith2024", "--bib", bib, "--data", small.root)
    assert said.code == 1 and reason in said.err
    assert files(small.root) == before


def test_a_word_that_is_not_in_the_vocabulary_is_refused_with_the_nearest(study: Command, small: Small) -> None:
    said = study("new", "smith2024", "--kind", "primary-study", "--data", small.root, *FIELDS)
    assert said.code == 1 and 'did you mean "primary_study"?' in said.err


def test_braces_that_do_not_balance_do_not_break_the_bibliography(study: Command, small: Small) -> None:
    said = study("new", "smith2024", "--data", small.root, "--author", "A, B", "--title", "x } y", "--year", "2024")
    assert said.code == 1 and "do not balance" in said.err
    assert len(load_dataset(small.root).references) == 2


def test_at_a_terminal_it_asks_for_what_is_missing(
    study: Command, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def prompt(question: str, default: str) -> str:
        asked.append(question)
        return {"Author": "Smith, Ann", "Title": "An invented title", "Year": "2024"}.get(question, default)

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.prompt", prompt)
    assert study("new", "smith2024", "--year", "2024", "--data", small.root).code == 0
    assert asked[:2] == ["Author", "Title"]
    assert any(question.startswith("Setting (school, higher_education,") for question in asked)
    assert 'setting = "school"' in (small.root / "smith2024/work.toml").read_text(encoding="utf-8")
