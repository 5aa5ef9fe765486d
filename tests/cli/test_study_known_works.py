"""`new` finds a work that is held already, reads what reference managers export, and writes nothing it cannot read."""

from __future__ import annotations

from pathlib import Path

import pytest

from replication.dataset import load_dataset
from tests.cli.conftest import Command
from tests.data.small import Small

BIB = """@article{alpha2020,
  author = {L{\\o}vlie, Anne and Gr{\\=u}z{\\=i}tis, Jel{\\'i}na},
  title = {Closeness \\& conflict in {\\AA}s: 10\\% of sk{\\o}len},
  year = {2020},
  doi = {10.1234/abc.5}
}
@article{beta2021,
  author = {Invented, I.},
  title = {An invented study},
  year = {2021}
}
"""
KNOWN: dict[str, tuple[tuple[str, ...], str]] = {
    "by DOI": (("--doi", "https://doi.org/10.1234/ABC.5", "--title", "Quite another title"), "DOI 10.1234/abc.5"),
    "by title": (("--title", "Closeness and conflict in As: 10% of skolen"), "the title"),
    "by authors, year and most of the title": (
        ("--author", "Løvlie, A.", "--year", "2020", "--title", "Closeness & conflict in Ås, short version"),
        "first author, year and most of the title",
    ),
    "by address": (("--url", "https://www.example.org/read/here/", "--title", "Quite another title"), "the address"),
}
REFERENCES: dict[str, tuple[str, str]] = {
    "ris": (
        "entry.ris",
        "TY  - JOUR\nAU  - Løvlie, Anne\nAU  - Smith, Bo\nTI  - A thing\nJO  - Journal of Things\nPY  - 2024/03//\n"
        "VL  - 7\nSP  - 1\nEP  - 20\nDO  - 10.1234/x\nER  - \n",
    ),
    "csl": (
        "entry.json",
        '[{"type": "article-journal", "title": "A thing", "author": [{"family": "Løvlie", "given": "Anne"}, '
        '{"family": "Smith", "given": "Bo"}], "issued": {"date-parts": [[2024, 3]]}, "container-title": '
        '"Journal of Things", "DOI": "10.1234/x", "page": "1-20", "volume": "7"}]',
    ),
    "biblatex": (
        "entry.bib",
        "@article{L\u00f8vlie 2024,\n author = {L{\\o}vlie, Anne and Smith, Bo},\n title = {A thing},\n"
        " journaltitle = {Journal of Things},\n date = {2024-03-01},\n volume = 7,\n"
        " pages = {1--20},\n doi = {10.1234/x}\n}\n",
    ),
    "no key, Windows-1252": (
        "entry.bib",
        "@article{,\n author = {Løvlie, Anne and Smith, Bo},\n title = {A thing},\n journal = {Journal of Things},\n"
        " year = 2024,\n month = mar,\n volume = 7,\n pages = {1--20},\n doi = {10.1234/x}\n}\n",
    ),
}


@pytest.fixture
def held(small: Small) -> Small:
    small.write("references.bib", BIB)
    small.replace("alpha2020/effects.csv", "doi:10/x", "https://example.org/read/here")
    return small


@pytest.mark.parametrize("how", KNOWN)
def test_a_work_that_is_held_is_found(study: Command, held: Small, how: str) -> None:
    options, expected = KNOWN[how]
    rest = tuple(x for pair in (("--author", "Other, B."), ("--year", "1999")) if pair[0] not in options for x in pair)
    said = study("new", "gamma2022", *options, *rest, "--data", held.root)
    assert said.code == 1 and f"alpha2020 has {expected}" in said.err and "Løvlie & Grūzītis (2020)" in said.err
    assert not (held.root / "gamma2022").exists()
    assert study("new", "gamma2022", *options, *rest, "--another", "--data", held.root).code == 0


def test_another_work_of_the_same_authors_is_no_twin(study: Command, held: Small) -> None:
    options = ("--author", "Løvlie, A.", "--year", "2020", "--title", "Homework and sleep in upper secondary school")
    assert study("new", "gamma2022", *options, "--data", held.root).code == 0


@pytest.mark.parametrize("kind", REFERENCES)
def test_what_reference_managers_export_is_read(study: Command, small: Small, tmp_path: Path, kind: str) -> None:
    name, text = REFERENCES[kind]
    path = tmp_path / name
    path.write_text(text, encoding="cp1252" if "1252" in kind else "utf-8")
    assert study("new", "lovlie2024", "--bib", path, "--data", small.root).code == 0
    entry = (small.root / "references.bib").read_text(encoding="utf-8").partition("@article{lovlie2024,")[2]
    fields = {line.partition("=")[0].strip(): line.partition("= ")[2].rstrip(",") for line in entry.splitlines()}
    assert fields["author"] == "{Løvlie, Anne and Smith, Bo}"
    assert (fields["journal"], fields["year"]) == ("{Journal of Things}", "{2024}")
    assert (fields["pages"].replace("–", "--"), fields["doi"]) == ("{1--20}", "{10.1234/x}")


def test_tex_letters_are_letters(held: Small) -> None:
    reference = load_dataset(held.root).references["alpha2020"]
    assert reference.title == "Closeness & conflict in Ås: 10% of skølen"
    assert reference.authors == ("Løvlie, Anne", "Grūzītis, Jelína")


@pytest.mark.parametrize(
    ("author", "stored"),
    [
        ("Smith, Ann; Jones, Bo", "{Smith, Ann and Jones, Bo}"),
        ("Smith, Ann and Jones, Bo", "{Smith, Ann and Jones, Bo}"),
    ],
)
def test_semicolons_between_authors_become_and(study: Command, small: Small, author: str, stored: str) -> None:
    options = ("--author", author, "--title", "A thing", "--year", "2024")
    assert study("new", "smith2024", *options, "--data", small.root).code == 0
    assert f"author = {stored}" in (small.root / "references.bib").read_text(encoding="utf-8")
    assert load_dataset_problems(small) == {"no-rows"}


def load_dataset_problems(small: Small) -> set[str]:
    return {problem.rule for problem in small.check().problems}


@pytest.mark.parametrize("author", ["A, B, C, D", "Smith, Ann, Bo, Cy, Di"])
def test_authors_that_break_the_bibliography_are_refused(study: Command, small: Small, author: str) -> None:
    before = (small.root / "references.bib").read_bytes()
    said = study("new", "smith2024", "--author", author, "--title", "A thing", "--year", "2024", "--data", small.root)
    assert said.code == 1 and "with `and` between them" in said.err
    assert (small.root / "references.bib").read_bytes() == before and not (small.root / "smith2024").exists()


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.ris", "TY  - JOUR\nTI  - x\nER  - \n\nTY  - JOUR\nTI  - y\nER  - \n", "has 2 entries"),
        ("a.json", "[1, 2]", "is no CSL JSON"),
        ("a.json", "[" * 5000, "is no CSL JSON"),
        ("a.bib", "\x00\x01", "has 0 entries"),
    ],
)
def test_a_bad_reference_is_a_line(
    study: Command, small: Small, tmp_path: Path, name: str, text: str, reason: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    said = study("new", "smith2024", "--bib", tmp_path / name, "--data", small.root)
    assert said.code == 1 and reason in said.err and said.err.count("\n") == 1
