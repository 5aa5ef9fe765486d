"""Checks of everything read against everything else: tables against tables, records against tables, rows in time."""

from __future__ import annotations

from replication.dataset import checking
from replication.dataset.cells import VERSION
from replication.dataset.columns import Columns
from replication.dataset.folder import Folder, missing_file
from replication.dataset.problems import Problem, nearest, shown
from replication.dataset.records import ArticleFile, TrapFile
from replication.dataset.row_versions import check_row_versions, check_work_version
from replication.dataset.successors import check_successors

__all__ = ["asked", "check_across", "check_records", "check_rows_in_time"]

_IDS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("effects.csv", "screened.csv"), "effect_id"),
    (("samples.csv",), "sample_id"),
    (("claims.csv",), "claim_id"),
    (("directions.csv",), "direction_id"),
    (("conceptual.csv",), "estimate_id"),
)
"""Ids that stand once in the whole dataset, and the tables they stand in."""


def asked(folder: Folder, file: str) -> bool:
    """Whether a file is among those to check."""
    return folder.only is None or file.partition("/")[0] in folder.only


def check_across(folder: Folder) -> None:
    """Tables against each other, recipes and explanations against tables."""
    for names, column in _IDS:
        rows = [pair for name in names for pair in folder.every.get(name, {}).items()]
        # All works are read even where one is asked for: an id may be taken by any of them.
        found = checking.check_unique(rows, column)
        folder.problems += [problem for problem in found if asked(folder, problem.file)]
    known = _ids(folder, "samples.csv", "sample_id")
    for file, frame in _frames_in_scope(folder, "samples.csv"):
        _check_samples(folder, file, frame, known)
    for file, frame in _frames_in_scope(folder, "effects.csv"):
        _check_effects(folder, file, frame)
    for file, frame in _frames_in_scope(folder, "descriptives.csv"):
        if f"{file.partition('/')[0]}/samples.csv" in folder.every.get("samples.csv", {}):
            folder.problems += checking.check_descriptives(file, frame, known)
    for file, frame in _frames_in_scope(folder, "claims.csv"):
        folder.problems += checking.check_claims(file, file.partition("/")[0], frame)
    _check_recipes(folder, known)
    for file, frame in _frames_in_scope(folder, "effects.csv"):
        folder.problems += checking.check_computed(file, frame, folder.recipes.get(file.partition("/")[0], ()))
    for file, frame in _frames_in_scope(folder, "conceptual.csv"):
        work = file.partition("/")[0]
        directions = _ids(folder, "directions.csv", "direction_id")
        folder.problems += checking.check_conceptual(file, frame, folder.conceptual.get(work, ()), directions)
    claims = _ids(folder, "claims.csv", "claim_id")
    for file, explanations in folder.explanations.items():
        folder.problems += checking.check_explanations(file, explanations, claims)


def _frames_in_scope(folder: Folder, table: str) -> list[tuple[str, Columns]]:
    return [(file, frame) for file, frame in folder.every.get(table, {}).items() if asked(folder, file)]


def _check_samples(folder: Folder, file: str, frame: Columns, known: set[str]) -> None:
    folder.problems += checking.check_samples(file, frame, known)
    folder.problems += checking.check_units(file, frame)
    effects = f"{file.partition('/')[0]}/effects.csv"
    if not (folder.root / effects).exists():
        folder.problems.append(missing_file(effects))


def _check_recipes(folder: Folder, known: set[str]) -> None:
    for work, recipes in folder.recipes.items():
        if asked(folder, work):
            measures = folder.every.get("measures.csv", {}).get(f"{work}/measures.csv")
            file = f"{work}/recipes.toml"
            folder.problems += checking.check_recipes(file, recipes, known, measures, folder.vocabulary)


def check_rows_in_time(folder: Folder, version: str) -> None:
    """Since when and until when rows count, in files whose versions are versions."""
    # Without a version of today nothing can be too early or too late; VERSION has its own message.
    if not VERSION.fullmatch(version):
        return
    for key, work in folder.works.items():
        if asked(folder, key):
            folder.problems += check_work_version(f"{key}/work.toml", work.since, version)
    for table, frames in folder.every.items():
        # One cell that is no version would make every comparison with it meaningless.
        dated = {file: frame for file, frame in frames.items() if _dated(frame)}
        for file, frame in dated.items():
            if asked(folder, file):
                own = folder.works.get(file.partition("/")[0])
                folder.problems += check_row_versions(file, frame, version, own.since if own else "")
        folder.problems += [p for p in check_successors(dated, table) if asked(folder, p.file)]


def _dated(frame: Columns) -> bool:
    """Whether every version in the table is one; what is none has been said of its cell."""
    return all(VERSION.fullmatch(word) for word in {*frame["since"], *frame["until"]} - {""})


def check_records(folder: Folder, article: ArticleFile | None, traps: TrapFile | None) -> None:
    """Records name works that exist, have an id of their own and words of the vocabulary."""
    mentioned: dict[str, list[tuple[str, list[str]]]] = {
        "article/statements.toml": [(s.id, s.works) for s in article.statement] if article else [],
        "traps.toml": [(trap.id, trap.works) for trap in traps.trap] if traps else [],
    }
    for file, corrections in folder.corrections_by_file.items():
        mentioned[file] = [(correction.id, correction.works) for correction in corrections]
        known = folder.vocabulary.words("correction_status")
        folder.problems += [
            Problem(file, 0, c.id, "word", shown(c.status), "a word of [correction_status]", nearest(c.status, known))
            for c in corrections
            if c.status not in known
        ]
    for file, found in mentioned.items():
        folder.problems += checking.check_mentions(file, found, folder.folders)
        folder.problems += checking.check_repeated(file, [name for name, _ in found])
    for file, frame in folder.every.get("screened.csv", {}).items():
        if "work" in frame:
            named = [(effect, [work] if work else []) for effect, work in frame.rows("effect_id", "work")]
            folder.problems += checking.check_mentions(file, named, folder.folders)


def _ids(folder: Folder, table: str, column: str) -> set[str]:
    return {row for frame in folder.every.get(table, {}).values() for row in frame[column]}


def _check_effects(folder: Folder, file: str, frame: Columns) -> None:
    work = file.partition("/")[0]
    sample_file = f"{work}/samples.csv"
    if not (folder.root / sample_file).exists():
        folder.problems.append(missing_file(sample_file))
        return
    samples = folder.every.get("samples.csv", {}).get(sample_file)
    if samples is None:
        return  # not readable, and said so already
    measures = folder.every.get("measures.csv", {}).get(f"{work}/measures.csv")
    constructs = folder.vocabulary.constructs
    folder.problems += checking.check_effects(file, frame, samples, measures, folder.folders, constructs)
