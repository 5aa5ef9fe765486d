"""`data/references` -> `Dataset`. Reads every file, collects every problem, and only then decides.

Two ideas: a bad file never hides another (all problems are reported at once), and a dataset with an error is no
dataset (nothing is loaded around a broken row).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from replication.dataset import checking
from replication.dataset.bibliography import read_bibliography
from replication.dataset.cells import VERSION, Stack, check_cells, stack, typed
from replication.dataset.columns import TABLES
from replication.dataset.model import Dataset
from replication.dataset.problems import Problem, format_problems, in_order, nearest, shown
from replication.dataset.reading import RawTable, read_bytes, read_table
from replication.dataset.recipes import Recipe, RecipeFile
from replication.dataset.records import (
    Answer,
    AnswerFile,
    ArticleFile,
    Correction,
    CorrectionFile,
    Explanation,
    ExplanationFile,
    RecordType,
    TrapFile,
    Work,
    parse_record,
    read_toml,
)
from replication.dataset.vocabulary import Vocabulary
from replication.digests import folder_digest
from replication.errors import DataError

__all__ = ["Checked", "check_dataset", "load_dataset"]

_TOP_TABLES = ("screened.csv", "leads.csv")
_TOP_FILES = ("README.md", "CHANGES.md", "VERSION", "references.bib", "vocabulary.toml", "traps.toml", *_TOP_TABLES)
_WORK_TABLES = ("samples.csv", "effects.csv", "measures.csv", "descriptives.csv", "claims.csv", "directions.csv")
_WORK_FILES = ("work.toml", "corrections.toml", "explanations.toml", "recipes.toml", "answers.toml", "NOTES.md")
_NOT_WORKS = ("article", "notes")
_SAMPLE_COLUMNS = [
    "sample_id",
    "unit",
    "country",
    "cycle",
    "school_level",
    "age_mean",
    "female_pct",
    "ses",
    "oecd",
    "subgroup_of",
    "overlaps",
    "label",
]


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a check: every problem, and the dataset when none of them is an error."""

    problems: tuple[Problem, ...]
    dataset: Dataset | None

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep the dataset from loading."""
        return tuple(p for p in self.problems if p.severity == "error")


@dataclass(slots=True)
class _Folder:
    """What was read while walking the folder; local to one check."""

    root: Path
    vocabulary: Vocabulary
    folders: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    works: dict[str, Work] = field(default_factory=dict)
    raws: dict[str, list[RawTable]] = field(default_factory=dict)
    frames: dict[str, dict[str, pd.DataFrame]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    corrections: list[Correction] = field(default_factory=list)
    explanations: dict[str, list[Explanation]] = field(default_factory=dict)
    recipes: dict[str, tuple[Recipe, ...]] = field(default_factory=dict)
    answers: dict[str, tuple[Answer, ...]] = field(default_factory=dict)


def load_dataset(root: Path) -> Dataset:
    """The dataset under `root`.

    Raises
    ------
    DataError
        with every problem as a line, when any of them is an error.
    """
    checked = check_dataset(root)
    if checked.dataset is None:
        errors = checked.errors
        head = f"the dataset has {len(errors)} problem{'s' if len(errors) != 1 else ''}; nothing was computed"
        raise DataError(f"{head}\n{format_problems(errors)}", tuple(errors))
    return checked.dataset


def check_dataset(root: Path) -> Checked:
    """Read and check everything under `root`."""
    if not root.is_dir():
        found = Problem(str(root), 0, "", "no-folder", "no such folder", "the dataset's folder", "check the path")
        return Checked((found,), None)
    vocabulary = _vocabulary(root)
    if isinstance(vocabulary, Problem):
        return Checked((vocabulary,), None)
    folder = _Folder(root, vocabulary)
    references, problems = (
        read_bibliography(root / "references.bib", "references.bib")
        if (root / "references.bib").exists()
        else ({}, [_missing("references.bib")])
    )
    folder.problems += problems
    _walk(folder)
    _check_tables(folder)
    folder.problems += checking.check_works(folder.works, references, vocabulary, "references.bib", folder.folders)
    _cross_check(folder)
    article = _parsed(folder, ArticleFile, "article/statements.toml")
    traps = _parsed(folder, TrapFile, "traps.toml")
    version = _version(folder)
    problems = in_order(folder.problems)
    if any(p.severity == "error" for p in problems) or article is None or traps is None:
        return Checked(tuple(problems), None)
    tables = _join(folder)
    live, withdrawn = _by_life(tables)
    dataset = Dataset(
        version=version,
        digest=folder_digest(root),
        vocabulary=vocabulary,
        works=MappingProxyType(folder.works),
        references=MappingProxyType(references),
        article=article.article,
        statements=tuple(article.statement),
        corrections=tuple(folder.corrections),
        explanations=tuple(e for found in folder.explanations.values() for e in found),
        traps=tuple(traps.trap),
        notes=MappingProxyType(folder.notes),
        warnings=tuple(problems),
        recipes=MappingProxyType(folder.recipes),
        answers=MappingProxyType(folder.answers),
        tables=MappingProxyType(live),
        withdrawn=MappingProxyType(withdrawn),
    )
    return Checked(tuple(problems), dataset)


def _vocabulary(root: Path) -> Vocabulary | Problem:
    file = "vocabulary.toml"
    if not (root / file).exists():
        return _missing(file)
    record = read_toml(root / file, file)
    if isinstance(record, Problem):
        return record
    try:
        vocabulary = Vocabulary.from_toml(record)
    except (KeyError, TypeError) as error:
        return Problem(file, 0, "", "vocabulary", shown(error), "tables of words and constructs", "see its header")
    needed = {c.vocabulary for t in TABLES.values() for c in t.columns if c.vocabulary}
    for name in sorted(needed - set(vocabulary.lists)):
        return Problem(file, 0, name, "vocabulary", "no such list", f"the list [{name}]", "add it")
    return vocabulary


def _missing(file: str) -> Problem:
    return Problem(file, 0, "", "missing-file", "no such file", f"the file {file}", "restore it from version control")


def _walk(folder: _Folder) -> None:
    for path in sorted(folder.root.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_symlink() or not path.is_dir():
            _top_file(folder, path)
        elif path.name == "article":
            _record_file(folder, path / "corrections.toml", "article/corrections.toml")
        elif path.name not in _NOT_WORKS:
            _work_folder(folder, path)


def _top_file(folder: _Folder, path: Path) -> None:
    if path.name in _TOP_TABLES:
        _table_file(folder, path, path.name)
    elif path.name not in _TOP_FILES:
        folder.problems.append(_unknown_file(path.name, path.name, _TOP_FILES))
    elif path.is_symlink():
        found = read_bytes(path, path.name)
        folder.problems += [found] if isinstance(found, Problem) else []


def _unknown_file(file: str, name: str, known: tuple[str, ...]) -> Problem:
    return Problem(file, 0, "", "unknown-file", shown(name), "a file the dataset knows", nearest(name, known))


def _work_folder(folder: _Folder, path: Path) -> None:
    folder.folders.add(path.name)
    if not (path / "work.toml").exists():
        folder.problems.append(_missing(f"{path.name}/work.toml"))
    for item in sorted(path.iterdir()):
        file = f"{path.name}/{item.name}"
        if item.name in _WORK_TABLES:
            _table_file(folder, item, file)
        elif item.suffix == ".toml" and item.name in _WORK_FILES:
            _record_file(folder, item, file)
        elif item.name == "NOTES.md":
            _notes_file(folder, item, file)
        elif not (item.name.startswith(".") or (item.is_dir() and item.name == "coders")):
            folder.problems.append(_unknown_file(file, item.name, (*_WORK_TABLES, *_WORK_FILES)))


def _notes_file(folder: _Folder, path: Path, file: str) -> None:
    content = read_bytes(path, file)
    if isinstance(content, Problem):
        folder.problems.append(content)
        return
    folder.notes[path.parent.name] = content.decode("utf-8", errors="replace")


def _record_file(folder: _Folder, path: Path, file: str) -> None:
    if path.name == "work.toml":
        work = _parsed(folder, Work, file)
        if work is not None:
            folder.works[path.parent.name] = work
    elif path.name == "corrections.toml":
        corrections = _parsed(folder, CorrectionFile, file)
        folder.corrections += corrections.correction if corrections else []
    elif path.name == "explanations.toml":
        explanations = _parsed(folder, ExplanationFile, file)
        folder.explanations[file] = explanations.explanation if explanations else []
    elif path.name == "recipes.toml":
        recipes = _parsed(folder, RecipeFile, file)
        folder.recipes[path.parent.name] = tuple(recipes.recipe) if recipes else ()
    elif path.name == "answers.toml":
        answers = _parsed(folder, AnswerFile, file)
        folder.answers[path.parent.name] = tuple(answers.answer) if answers else ()


def _parsed(folder: _Folder, model: type[RecordType], file: str) -> RecordType | None:
    """The record in `file`, or None with the problems written down."""
    path = folder.root / file
    if not (path.exists() or path.is_symlink()):
        folder.problems.append(_missing(file))
        return None
    record = read_toml(path, file)
    if isinstance(record, Problem):
        folder.problems.append(record)
        return None
    parsed, problems = parse_record(model, record, file)
    folder.problems += problems
    return parsed


def _table_file(folder: _Folder, path: Path, file: str) -> None:
    table = TABLES[path.name]
    raw, problems = read_table(path, file, table)
    folder.problems += problems
    if raw is not None:
        folder.raws.setdefault(table.name, []).append(raw)


def _check_tables(folder: _Folder) -> None:
    """Check the cells of all files of one kind together; files without an error become frames."""
    stacks = {name: stack(raws, TABLES[name]) for name, raws in folder.raws.items()}
    for stacked in stacks.values():
        folder.problems += check_cells(stacked, folder.vocabulary)
    broken = {p.file for p in folder.problems if p.severity == "error"}
    folder.frames = {name: _frames(stacked, broken) for name, stacked in stacks.items()}


def _frames(stacked: Stack, broken: set[str]) -> dict[str, pd.DataFrame]:
    frames = {file: frame for file, frame in typed(stacked).items() if file not in broken}
    if stacked.table.name in _WORK_TABLES:
        for file, frame in frames.items():
            frame.insert(0, "work", file.partition("/")[0])
    return frames


def _cross_check(folder: _Folder) -> None:
    frames = folder.frames
    for name, column in (("effects.csv", "effect_id"), ("samples.csv", "sample_id"), ("claims.csv", "claim_id")):
        folder.problems += checking.check_unique(frames.get(name, {}).items(), column)
    samples = frames.get("samples.csv", {})
    known = {sample for frame in samples.values() for sample in frame["sample_id"]}
    for file, frame in samples.items():
        folder.problems += checking.check_samples(file, frame, known)
    for file, frame in frames.get("effects.csv", {}).items():
        _check_effects(folder, file, frame)
    for file, frame in frames.get("descriptives.csv", {}).items():
        folder.problems += checking.check_descriptives(file, frame, known)
    for work, recipes in folder.recipes.items():
        measures = frames.get("measures.csv", {}).get(f"{work}/measures.csv")
        file = f"{work}/recipes.toml"
        folder.problems += checking.check_recipes(file, recipes, known, measures, folder.vocabulary)
    for file, frame in frames.get("claims.csv", {}).items():
        folder.problems += checking.check_claims(file, file.partition("/")[0], frame)
    claims = {claim for frame in frames.get("claims.csv", {}).values() for claim in frame["claim_id"]}
    for file, explanations in folder.explanations.items():
        folder.problems += checking.check_explanations(file, explanations, claims)


def _check_effects(folder: _Folder, file: str, frame: pd.DataFrame) -> None:
    work = file.partition("/")[0]
    sample_file = f"{work}/samples.csv"
    if not (folder.root / sample_file).exists():
        folder.problems.append(_missing(sample_file))
        return
    samples = folder.frames.get("samples.csv", {}).get(sample_file)
    if samples is None:
        return  # broken, and said so already
    measures = folder.frames.get("measures.csv", {}).get(f"{work}/measures.csv")
    folder.problems += checking.check_effects(file, frame, samples, measures, set(folder.works))


def _version(folder: _Folder) -> str:
    path = folder.root / "VERSION"
    if not (path.exists() or path.is_symlink()):
        folder.problems.append(_missing("VERSION"))
        return ""
    content = read_bytes(path, "VERSION")
    if isinstance(content, Problem):
        folder.problems.append(content)
        return ""
    version = content.decode("utf-8", errors="replace").strip()
    if not VERSION.fullmatch(version):
        folder.problems.append(Problem("VERSION", 1, "", "version", shown(version), "a version such as 1.0.0"))
    return version


def _join(folder: _Folder) -> Mapping[str, pd.DataFrame]:
    tables = {name: _concat(folder.frames.get(name, {}), name) for name in TABLES}
    samples = tables["samples.csv"][_SAMPLE_COLUMNS]
    tables["effects.csv"] = tables["effects.csv"].merge(samples, on="sample_id", how="left", validate="many_to_one")
    return tables


def _by_life(tables: Mapping[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """The rows that count today, and those that were withdrawn."""
    live, withdrawn = {}, {}
    for name, table in tables.items():
        counts = table["until"] == ""
        live[name] = table if counts.all() else table[counts].reset_index(drop=True)
        withdrawn[name] = table[~counts].reset_index(drop=True)
    return live, withdrawn


def _concat(frames: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    if frames:
        return pd.concat(list(frames.values()), ignore_index=True)
    return pd.DataFrame(columns=["work", "line", *TABLES[name].by_name])
