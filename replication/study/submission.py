"""A study as somebody hands it in, from a workbook or the browser form: checked as it stands, then taken over.

Two ideas. A submission is text in tables, whatever it came from, and every row knows where it stands in its file. It is
checked by the dataset's own check, in a copy of the dataset that holds it: no rule is written twice.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from replication.dataset import Dataset, Problem, format_problems, readable_dataset
from replication.dataset.reading import DecimalComma, RawTable, decided, read_as_told
from replication.dataset.schema import TABLES, Vocabulary
from replication.errors import DataError, UserError
from replication.study.bibtex import KEPT, Entry
from replication.study.checking import CheckReport, check_study
from replication.study.known_works import known_works
from replication.study.new import NewWork, create_work, next_version
from replication.study.plausibility.query import Place
from replication.study.tables import rows_as_csv
from replication.writing import exclusive, temporary_folder, write_atomic, write_together

__all__ = [
    "FIRST_ROW",
    "RECORD_FIELDS",
    "SHEETS",
    "Rows",
    "Submission",
    "check_submission",
    "sheet_name",
    "submission_as_told",
    "take_submission",
]

SHEETS: Mapping[str, str] = {
    name.removesuffix(".csv"): name
    for name in ("samples.csv", "effects.csv", "measures.csv", "descriptives.csv", "claims.csv", "directions.csv")
}
"""The tables of a submission by the name of their sheet."""
RECORD_FIELDS: Mapping[str, str] = {
    "key": "first author and year in small letters, e.g. smith2024",
    "author": "all authors: Smith, Ann and Jones, Bo",
    "title": "title of the work",
    "year": "year of publication",
    "publication": "what it is: article, book, phdthesis, mastersthesis, techreport or misc",
    "journal": "journal, publisher or university",
    "doi": "DOI, if it has one",
    "url": "address, if it has one",
    "kind": "kind of work",
    "role": "its role here: primary for a study, related for a synthesis",
    "setting": "where it took place",
    "design": "who was studied, when and how, in a sentence",
    "missing": "what could not be read, and where it would be",
}
"""What is asked of the work itself, with its meaning, in the order in which it is asked."""
FIRST_ROW = 3
"""The first row of a sheet that counts: the header and an example stand above it."""
_USUAL = {"publication": "article", "kind": "primary_study", "role": "primary"}
_VENUE = {"book": "publisher", "phdthesis": "school", "mastersthesis": "school", "techreport": "institution"}
_NUMBERED = {"effects.csv": "effect_id", "claims.csv": "claim_id", "directions.csv": "direction_id"}


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one table as text by column, and the row of its sheet on which each stands."""

    rows: tuple[Mapping[str, str], ...]
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Submission:
    """One study from one file: what is said of the work, its tables, and what was wrong with the file itself."""

    file: str
    record: Mapping[str, str]
    tables: Mapping[str, Rows]
    problems: tuple[Problem, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)
    """The row of the sheet `work` on which each field stands."""

    @property
    def key(self) -> str:
        """The work's key."""
        return self.record.get("key", "")


def check_submission(root: Path, submission: Submission) -> CheckReport:
    """The check of a submission against the dataset, with every message at its place in the file.

    Raises
    ------
    UserError
        when the work cannot be made at all: no key, no author, a word nobody knows.
    """
    return _checked(root, submission, readable_dataset(root))


def _checked(root: Path, submission: Submission, dataset: Dataset) -> CheckReport:
    whole, problems = _prepared(submission, dataset)
    if not whole.tables:
        raise UserError(f"{submission.file} has no rows yet; fill its sheets from row {FIRST_ROW} on, then try again")
    others = dataset.without(whole.key) if whole.key in dataset.works else dataset
    problems += _known(whole, others)
    # In a copy, so that a submission with errors never stands in the dataset, not even for a moment.
    with _copy(root, whole.key) as copied:
        create_work(copied, others, _new_work(whole, others.vocabulary))
        _keep_answers(root / whole.key, copied / whole.key)
        report = check_study(copied, whole.key)
    return _placed(report, whole, (*submission.problems, *problems))


def _known(submission: Submission, others: Dataset) -> list[Problem]:
    """The question whether the work is held already under another key."""
    place = sheet_name(submission.file, "work")
    return [
        Problem(
            place, submission.lines.get("title", 0), "title", "known-work", known.shared, "a work that is not held yet",
            f"{known.key} has it, too: {known.reference.short}; add rows there if it is the same work", "warning",
        )
        for known in known_works(others, submission.record)
    ]  # fmt: skip


def take_submission(root: Path, submission: Submission, *, replace_work: bool = False) -> Path:
    """Write a submission as a work's folder; nothing is written while something is to be mended.

    `replace_work` allows a work that is there already and in no released version.

    Raises
    ------
    UserError
        with every problem, or when the work may not be replaced.
    """
    with exclusive(root):  # what is checked is what is there when it is written
        dataset = readable_dataset(root)
        report = _checked(root, submission, dataset)
        if report.errors:
            raise DataError(f"mend this first, nothing was written:\n{format_problems(report.errors)}", report.errors)
        whole, _ = _prepared(submission, dataset)
        if not (root / whole.key).exists():
            return create_work(root, dataset, _new_work(whole, dataset.vocabulary))
        _may_be_replaced(dataset, whole.key, replace_work)
        # None deletes: a sheet that was emptied must not leave its old table behind.
        gone = dict.fromkeys(set(SHEETS.values()) - set(whole.tables))
        write_together(root, {f"{whole.key}/{name}": text for name, text in {**gone, **_texts(whole)}.items()})
    return root / whole.key


def _may_be_replaced(dataset: Dataset, key: str, asked: bool) -> None:
    work = dataset.works.get(key)
    if work is None or work.since != next_version(dataset.version):
        raise UserError(f"{key} is part of a released version: correct its rows as CONTRIBUTING.md says (until, since)")
    if not asked:
        raise UserError(f"{key} is there already; --replace writes the tables of this file in place of its own")


def _prepared(submission: Submission, dataset: Dataset) -> tuple[Submission, list[Problem]]:
    """The submission with decimal points, and with what follows from elsewhere filled in: versions and plain ids."""
    problems: list[Problem] = []
    tables = {}
    since = next_version(dataset.version)
    samples = [row.get("sample_id", "") for row in submission.tables.get("samples.csv", Rows((), ())).rows]
    for name, rows in submission.tables.items():
        if not rows.rows:
            continue
        raw, undecided = decided(_raw(submission, name, rows), TABLES[name])
        problems += undecided
        filled = [dict(zip(raw.header, cells, strict=True)) for cells in raw.rows]
        tables[name] = Rows(tuple(_completed(filled, name, submission.key, since, samples)), rows.lines)
    return replace(submission, tables=tables), problems


def submission_as_told(submission: Submission, decimal: DecimalComma) -> Submission:
    """The submission with each number such as 5,123 read as somebody says, who is asked once for each sheet."""
    tables = dict(submission.tables)
    for name, rows in submission.tables.items():
        raw, _ = decided(_raw(submission, name, rows), TABLES[name])  # what its other numbers tell is not asked
        told = read_as_told(raw, TABLES[name], decimal)
        if told is not raw:
            cells = (dict(zip(told.header, row, strict=True)) for row in told.rows)
            tables[name] = replace(rows, rows=tuple(cells))
    return replace(submission, tables=tables)


def _raw(submission: Submission, name: str, rows: Rows) -> RawTable:
    header = tuple(TABLES[name].by_name)
    cells = tuple(tuple(row.get(column, "") for column in header) for row in rows.rows)
    return RawTable(sheet_name(submission.file, name), header, cells, rows.lines)


def _completed(
    rows: Sequence[dict[str, str]], name: str, key: str, since: str, samples: Sequence[str]
) -> Iterator[dict[str, str]]:
    """Rows with `since`, an id where the sheet has none, and the one sample where there is one alone."""
    identity = _NUMBERED.get(name, "")
    taken = {row.get(identity, "") for row in rows}
    free = (f"{key}-{i:03d}" for i in range(1, 100_000) if f"{key}-{i:03d}" not in taken)
    for row in rows:
        row["since"] = row.get("since") or since
        if identity and not row.get(identity):
            row[identity] = next(free)
        if name in ("effects.csv", "descriptives.csv") and not row.get("sample_id") and len(samples) == 1:
            row["sample_id"] = samples[0]
        yield row


def _new_work(submission: Submission, vocabulary: Vocabulary) -> NewWork:
    # The usual setting is the first of the list: what the topic is about.
    usual = {**_USUAL, "setting": vocabulary.words("setting")[0]}
    said = {**usual, **{name: text for name, text in submission.record.items() if text}}
    kind = said["publication"]
    fields: dict[str, str] = {name: said[name] for name in ("author", "title", "year", "doi", "url") if name in said}
    if "journal" in said:
        fields[_VENUE.get(kind, "journal" if kind == "article" else "howpublished")] = said["journal"]
    entry = Entry(kind, {name: fields[name] for name in KEPT if name in fields})
    words = {name: said.get(name, "") for name in ("kind", "role", "setting", "design", "missing")}
    return NewWork(submission.key, entry, words | {"quantitative": "yes"}, _texts(submission))


def _texts(submission: Submission) -> dict[str, str]:
    return {name: rows_as_csv(TABLES[name], rows.rows) for name, rows in submission.tables.items()}


@contextmanager
def _copy(root: Path, key: str) -> Iterator[Path]:
    """The dataset in a folder of its own, without the work of this key; files are linked where the disk allows it."""
    with temporary_folder("check") as folder:
        copied = folder / root.name
        shutil.copytree(root, copied, copy_function=_linked, ignore=lambda at, names: _passed(root, key, at, names))
        _forget_entry(copied / "references.bib", key)
        yield copied


def _passed(root: Path, key: str, at: str, names: Sequence[str]) -> set[str]:
    here = Path(at) == root
    return {name for name in names if name.startswith(".") or (here and name == key)}


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a system without links
        shutil.copyfile(source, target)


def _forget_entry(bibliography: Path, key: str) -> None:
    """Take the entry of a work that is there already out of the copy's bibliography."""
    text = bibliography.read_text(encoding="utf-8")
    lines, inside, kept = text.splitlines(keepends=True), False, []
    for line in lines:
        inside = (line.startswith("@") and line.partition("{")[2].strip().rstrip(",") == key) or (
            inside and not line.startswith("@")
        )
        kept += [] if inside else [line]
    if len(kept) < len(lines):
        write_atomic(bibliography, "".join(kept))


def _keep_answers(present: Path, copied: Path) -> None:
    if (present / "answers.toml").is_file():
        shutil.copyfile(present / "answers.toml", copied / "answers.toml")


def sheet_name(file: str, table: str) -> str:
    """How a message names a table of a submission."""
    return f"{file}, sheet {table.removesuffix('.csv')}"


def _placed(report: CheckReport, submission: Submission, own: Sequence[Problem]) -> CheckReport:
    """A report on the copied folder as one on the file that was handed in."""

    def at(problem: Problem) -> Problem:
        work, _, name = problem.file.partition("/")
        if work == submission.key and name in submission.tables:
            lines = submission.tables[name].lines
            row = lines[problem.row - 2] if 2 <= problem.row < len(lines) + 2 else 0
            return replace(problem, file=sheet_name(submission.file, name), row=row)
        if problem.file == "references.bib" or name == "work.toml":
            row = submission.lines.get(problem.column, 0)
            return replace(problem, file=sheet_name(submission.file, "work"), row=row)
        return replace(problem, file=f"{submission.file} → {problem.file}")

    asked = []
    for entry in report.queries:
        placed = at(entry.problem)
        where = Place(placed.file, placed.row, entry.query.rows[0])
        asked.append(replace(entry, query=entry.query.at(where)))
    said = {(problem.file, problem.row, problem.column) for problem in own}
    followed = (p for p in map(at, report.problems) if (p.file, p.row, p.column) not in said or p.rule != "empty-cell")
    problems = (*own, *followed)  # a cell that could not be read is not empty as well
    return replace(report, title=submission.file, problems=problems, queries=tuple(asked))
