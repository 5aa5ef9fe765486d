"""Walking the dataset's folder: every file read, none believed yet. Problems are collected, nothing is raised."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from replication.dataset.columns import Columns
from replication.dataset.conceptual_records import ConceptualFile, ConceptualRecord
from replication.dataset.letters import hidden_lines
from replication.dataset.problems import Problem, nearest, shown
from replication.dataset.reading import RawTable, read_bytes, read_table
from replication.dataset.recipes import Recipe, RecipeFile
from replication.dataset.records import (
    AnswerFile,
    Correction,
    CorrectionFile,
    Explanation,
    ExplanationFile,
    PacketFile,
    RecordedAnswer,
    RecordType,
    Work,
    parse_record,
    read_toml,
)
from replication.dataset.schema import TABLES, Vocabulary

__all__ = ["WORK_TABLES", "Folder", "missing_file", "parsed_record", "walk"]

_TOP_TABLES = ("screened.csv", "leads.csv")
_TOP_FILES = (
    "README.md",
    "CHANGES.md",
    "VERSION",
    "references.bib",
    "vocabulary.toml",
    "traps.toml",
    "released.csv",
    *_TOP_TABLES,
)
WORK_TABLES = (
    "samples.csv",
    "effects.csv",
    "measures.csv",
    "descriptives.csv",
    "claims.csv",
    "directions.csv",
    "conceptual.csv",
)
_WORK_FILES = (
    "work.toml",
    "corrections.toml",
    "explanations.toml",
    "recipes.toml",
    "conceptual.toml",
    "packet.toml",
    "answers.toml",
    "NOTES.md",
)
_TO_ADD = {
    "work.toml": "a new work? `python -m replication.study new KEY` writes one; else restore it from version control",
    "samples.csv": "add it, a row for each group of persons; was there one, restore it from version control",
    "effects.csv": "add the rows of its samples; was there one, restore it from version control",
}


@dataclass(slots=True)
class Folder:
    """What was read while walking the folder; local to one check.

    `every` holds all rows of each table by file name and file, `frames` those without an error, `whole` all files of a
    kind as one table where no row has one.
    """

    root: Path
    vocabulary: Vocabulary
    only: Collection[str] | None = None
    folders: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    works: dict[str, Work] = field(default_factory=dict)
    raws: dict[str, list[RawTable]] = field(default_factory=dict)
    frames: dict[str, dict[str, Columns]] = field(default_factory=dict)
    every: dict[str, dict[str, Columns]] = field(default_factory=dict)
    whole: dict[str, Columns] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    common_notes: dict[str, str] = field(default_factory=dict)
    corrections_by_file: dict[str, list[Correction]] = field(default_factory=dict)
    explanations: dict[str, list[Explanation]] = field(default_factory=dict)
    recipes: dict[str, tuple[Recipe, ...]] = field(default_factory=dict)
    answers: dict[str, tuple[RecordedAnswer, ...]] = field(default_factory=dict)
    conceptual: dict[str, tuple[ConceptualRecord, ...]] = field(default_factory=dict)
    packets: dict[str, PacketFile] = field(default_factory=dict)

    @property
    def corrections(self) -> list[Correction]:
        """All corrections."""
        return [correction for found in self.corrections_by_file.values() for correction in found]


def missing_file(file: str) -> Problem:
    """The problem that a file is not there."""
    hint = _TO_ADD.get(file.rpartition("/")[2], "restore it from version control")
    return Problem(file, 0, "", "missing-file", "no such file", f"the file {file}", hint)


def walk(folder: Folder) -> None:
    """Read every file of the dataset into `folder`; what is no file of it is a problem."""
    for path in sorted(folder.root.iterdir()):
        if path.name.startswith("."):
            continue
        # A linked folder may lead out of the dataset, where neither digest nor version control sees it.
        if path.is_symlink() or not path.is_dir():
            _top_file(folder, path)
        # What the article itself printed wrong belongs to no cited work.
        elif path.name == "article":
            _record_file(folder, path / "corrections.toml", "article/corrections.toml")
        elif path.name == "notes":
            for note in sorted(path.glob("*.md")):
                _notes_file(folder, note, f"notes/{note.name}", folder.common_notes, note.stem)
        else:
            _work_folder(folder, path)


def _top_file(folder: Folder, path: Path) -> None:
    if path.name in _TOP_TABLES:
        _table_file(folder, path, path.name)
    elif path.name not in _TOP_FILES:
        folder.problems.append(_unknown_file(path.name, path.name, _TOP_FILES))
    elif path.is_symlink():
        # Read for its problem alone: a link to nowhere or out of the dataset is said here.
        found = read_bytes(path, path.name)
        folder.problems += [found] if isinstance(found, Problem) else []


def _unknown_file(file: str, name: str, known: tuple[str, ...]) -> Problem:
    return Problem(file, 0, "", "unknown-file", shown(name), "a file the dataset knows", nearest(name, known))


def _work_folder(folder: Folder, path: Path) -> None:
    folder.folders.add(path.name)
    if not (path / "work.toml").exists():
        # Its tables are read all the same, so that one run lists everything there is to mend.
        folder.problems.append(missing_file(f"{path.name}/work.toml"))
    for item in sorted(path.iterdir()):
        file = f"{path.name}/{item.name}"
        if item.name in WORK_TABLES:
            _table_file(folder, item, file)
        elif item.suffix == ".toml" and item.name in _WORK_FILES:
            _record_file(folder, item, file)
        elif item.name == "NOTES.md":
            _notes_file(folder, item, file, folder.notes, path.name)
        # A mistyped file name is the quietest way to lose rows: nothing unknown is passed over.
        elif not (item.name.startswith(".") or (item.is_dir() and item.name == "coders")):
            folder.problems.append(_unknown_file(file, item.name, (*WORK_TABLES, *_WORK_FILES)))


def _notes_file(folder: Folder, path: Path, file: str, notes: dict[str, str], name: str) -> None:
    content = read_bytes(path, file)
    if isinstance(content, Problem):
        folder.problems.append(content)
        return
    try:
        # With or without the mark that Windows editors put before the text.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"the byte 0x{content[error.start]:02X}, which is not UTF-8"
        # The line by counting bytes, as what cannot be decoded cannot be split into lines.
        row = content[: error.start].count(b"\n") + 1
        folder.problems.append(Problem(file, row, "", "encoding", found, "UTF-8 text", "save the file as UTF-8"))
        return
    folder.problems += hidden_lines(text, file)
    notes[name] = text


def _record_file(folder: Folder, path: Path, file: str) -> None:
    if path.name == "work.toml":
        work = parsed_record(folder, Work, file)
        if work is not None:
            folder.works[path.parent.name] = work
    elif path.name == "corrections.toml":
        corrections = parsed_record(folder, CorrectionFile, file)
        # An unreadable record counts as empty from here on; its problem is written down and stops the load.
        folder.corrections_by_file[file] = corrections.correction if corrections else []
    elif path.name == "explanations.toml":
        explanations = parsed_record(folder, ExplanationFile, file)
        folder.explanations[file] = explanations.explanation if explanations else []
    elif path.name == "recipes.toml":
        recipes = parsed_record(folder, RecipeFile, file)
        folder.recipes[path.parent.name] = tuple(recipes.recipe) if recipes else ()
    elif path.name == "conceptual.toml":
        conceptual = parsed_record(folder, ConceptualFile, file)
        folder.conceptual[path.parent.name] = tuple(conceptual.conceptual) if conceptual else ()
    elif path.name == "packet.toml":
        packet = parsed_record(folder, PacketFile, file)
        if packet is not None:
            folder.packets[path.parent.name] = packet
    elif path.name == "answers.toml":
        answers = parsed_record(folder, AnswerFile, file)
        folder.answers[path.parent.name] = tuple(answers.answer) if answers else ()


def parsed_record(folder: Folder, model: type[RecordType], file: str) -> RecordType | None:
    """The record in `file`, or None with the problems written down."""
    path = folder.root / file
    if not (path.exists() or path.is_symlink()):
        folder.problems.append(missing_file(file))
        return None
    record = read_toml(path, file)
    if isinstance(record, Problem):
        folder.problems.append(record)
        return None
    parsed, problems = parse_record(model, record, file)
    folder.problems += problems
    return parsed


def _table_file(folder: Folder, path: Path, file: str) -> None:
    table = TABLES[path.name]
    raw, problems = read_table(path, file, table)
    folder.problems += problems
    if raw is not None:
        folder.raws.setdefault(table.name, []).append(raw)
