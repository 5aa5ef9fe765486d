"""`data/references` -> `Dataset`. Reads every file, collects every problem, and only then decides.

Two ideas: a bad file never hides another (all problems are reported at once), and a dataset with an error is no
dataset (nothing is loaded around a broken row). `references.bib` is read by pybtex, one `Reference` per entry.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from replication.dataset import checking
from replication.dataset.cells import VERSION, Stack, check_cells, stack, typed, typed_rows
from replication.dataset.columns import Cells, Columns, Deferred, Frames
from replication.dataset.cross_table_checks import asked, check_across, check_records, check_rows_in_time
from replication.dataset.folder import WORK_TABLES, Folder, missing_file, parsed_record, walk
from replication.dataset.letters import hidden_lines, lacks_glyph
from replication.dataset.model import Dataset
from replication.dataset.problems import Problem, format_problems, in_order, shown
from replication.dataset.reading import read_bytes
from replication.dataset.records import ArticleFile, Reference, TrapFile, read_toml
from replication.dataset.released import RELEASED, check_released
from replication.dataset.schema import TABLES, Vocabulary
from replication.dataset.tex import tex_to_text
from replication.digests import folder_digest
from replication.errors import DataError
from replication.writing import finish_writing

__all__ = ["Checked", "check_dataset", "load_dataset", "read_bibliography", "read_vocabulary"]

_VENUES = ("journal", "booktitle", "publisher", "school", "howpublished", "institution", "organization")


def read_bibliography(path: Path, file: str) -> tuple[dict[str, Reference], list[Problem]]:
    """All entries by key, and what could not be read."""
    from pybtex.database import BibliographyData, PybtexError
    from pybtex.database.input.bibtex import Parser

    content = read_bytes(path, file)
    if isinstance(content, Problem):
        return {}, [content]
    try:
        text = content.decode("utf-8-sig")
        hidden = list(hidden_lines(text, file))
        # The parser by its own name: by that of its format pybtex looks through every installed package first.
        bibliography: BibliographyData = Parser().parse_string(text)
        references = {key: _reference(key, entry) for key, entry in bibliography.entries.items()}
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        return {}, [Problem(file, row, "", "encoding", "bytes that are not UTF-8", "UTF-8 text", "save as UTF-8")]
    # pybtex passes on what its parser trips over; whatever it is, the coder needs a place and not a traceback.
    except (PybtexError, ValueError, LookupError, RecursionError) as error:
        row = int(getattr(error, "lineno", 0) or 0)
        twice = "repeated" in str(error).lower()
        hint = "delete one of the two" if twice else "look for a missing brace or comma"
        return {}, [Problem(file, row, "", "bibtex", shown(error), "BibTeX entries", hint)]
    if not references:
        return {}, [Problem(file, 0, "", "bibtex", "no entry", "BibTeX entries", "restore it from version control")]
    return references, [*hidden, *_without_glyph(references, file)]


def _without_glyph(references: Mapping[str, Reference], file: str) -> Iterator[Problem]:
    """Names and titles in a script that the paper report cannot show: no fault, but its author should know."""
    for key, reference in references.items():
        letter = lacks_glyph(" ".join((reference.title, *reference.authors, reference.venue)))
        if letter:
            hint = "nothing to mend: the pages show it; write the name in Latin letters, too, if paper matters"
            expected = "letters the PDF's fonts have; it prints □ in place of this one"
            yield Problem(file, 0, key, "no-glyph", shown(letter), expected, hint, "warning")


def _reference(key: str, entry: object) -> Reference:
    fields = {name.lower(): str(value) for name, value in entry.fields.items()}  # type: ignore[attr-defined]
    people = entry.persons.get("author", ())  # type: ignore[attr-defined]
    venue = next((fields[name] for name in _VENUES if name in fields), "")
    return Reference(
        key=key,
        title=_plain(fields.get("title", "")),
        authors=tuple(_plain(str(person)) for person in people),
        year=_plain(fields.get("year", "")),
        venue=_plain(venue),
        doi=_plain(fields.get("doi", "")),
        note=_plain(fields.get("note", "")),
    )


def _plain(text: str) -> str:
    return " ".join(tex_to_text(text).replace("{", "").replace("}", "").replace("--", "–").split())


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
    "shared_n",
    "label",
]
_OF_ROW_OR_SAMPLE = ("unit", "clusters", "icc", "grade", "publication_status", "risk_of_bias")
"""Columns of both tables: a row's own cell counts, and where it is empty its sample's."""


_SPARED = ("informant_a", "informant_b", "design", "reading", "since", "note", "flags", "source", "locator")
"""Columns whose errors leave a row readable: nothing is computed from them."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a check: every problem, and the dataset when none of them is an error.

    `readable` is what could be read in spite of errors, without the rows that have one: for further questions to the
    coder, never for an analysis.
    """

    problems: tuple[Problem, ...]
    dataset: Dataset | None
    readable: Dataset | None = None

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep the dataset from loading."""
        return tuple(p for p in self.problems if p.severity == "error")


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


def readable_dataset(root: Path) -> Dataset:
    """The dataset as far as it can be read, which is what words, versions and known works are taken from.

    Raises
    ------
    DataError
        when nothing of it can.
    """
    checked = check_dataset(root, [])
    if checked.readable is None:
        raise DataError(f"the dataset cannot be read:\n{format_problems(checked.problems)}", checked.problems)
    return checked.readable


def check_dataset(root: Path, works: Collection[str] | None = None) -> Checked:
    """Read everything under `root` and check it.

    Parameters
    ----------
    root : the dataset's folder.
    works : check the tables of these works only, against the whole dataset; None checks all. What is not checked is
        only read, so `dataset` is None then.
    """
    if not root.is_dir():
        found = Problem(str(root), 0, "", "no-folder", "no such folder", "the dataset's folder", "check the path")
        return Checked((found,), None)
    # A process that was stopped while writing may have left files half exchanged: first settle which version holds.
    finish_writing(root)
    vocabulary = _vocabulary(root)
    if not isinstance(vocabulary, Vocabulary):
        return Checked(vocabulary, None)
    folder = Folder(root, vocabulary, works)
    references, problems = (
        read_bibliography(root / "references.bib", "references.bib")
        if (root / "references.bib").exists()
        else ({}, [missing_file("references.bib")])
    )
    folder.problems += problems
    walk(folder)
    _check_tables(folder)
    folder.problems += checking.check_works(folder.works, references, vocabulary, "references.bib", folder.folders)
    check_across(folder)
    folder.problems += check_released(root, folder.every, works)
    # A dataset need not be about an article; a folder of one without its statements is a fault.
    about = (root / "article").is_dir()
    article = parsed_record(folder, ArticleFile, "article/statements.toml") if about else None
    traps = parsed_record(folder, TrapFile, "traps.toml")
    version = _version(folder)
    check_rows_in_time(folder, version)
    check_records(folder, article, traps)
    problems = in_order(folder.problems)
    # What cannot be read of article and traps is no reason to ask a coder's rows nothing.
    records = (article, traps or TrapFile(trap=[]))
    readable = _dataset(folder, version, references, records, problems)
    # What was not checked may be wrong: part of the works never makes a dataset to analyse.
    whole = works is None and not any(p.severity == "error" for p in problems)
    return Checked(tuple(problems), readable if whole else None, readable)


def _dataset(
    folder: Folder,
    version: str,
    references: Mapping[str, Reference],
    records: tuple[ArticleFile | None, TrapFile],
    problems: Sequence[Problem],
) -> Dataset:
    article, traps = records
    live, withdrawn = _by_life(_join(folder))
    return Dataset(
        version=version,
        # released.csv is about the data: making the list anew must not make another dataset.
        digest=folder_digest(folder.root, skip=(RELEASED,)),
        # MappingProxyType below: a frozen dataclass alone would still hand out dicts that can be changed.
        vocabulary=folder.vocabulary,
        works=MappingProxyType(folder.works),
        references=MappingProxyType(dict(references)),
        article=article.article if article else None,
        statements=tuple(article.statement) if article else (),
        corrections=tuple(folder.corrections),
        explanations=tuple(e for found in folder.explanations.values() for e in found),
        traps=tuple(traps.trap),
        notes=MappingProxyType(folder.notes),
        common_notes=MappingProxyType(folder.common_notes),
        warnings=tuple(problems),
        recipes=MappingProxyType(folder.recipes),
        answers=MappingProxyType(folder.answers),
        conceptual=MappingProxyType(folder.conceptual),
        packets=MappingProxyType(folder.packets),
        tables=Frames(live),
        withdrawn=Frames(withdrawn),
    )


def read_vocabulary(root: Path) -> Vocabulary:
    """The closed vocabularies of a dataset; DataError where they cannot be read."""
    finish_writing(root)
    vocabulary = _vocabulary(root)
    if not isinstance(vocabulary, Vocabulary):
        raise DataError(format_problems(vocabulary), vocabulary)
    return vocabulary


def _vocabulary(root: Path) -> Vocabulary | tuple[Problem, ...]:
    file = "vocabulary.toml"
    if not (root / file).exists():
        return (missing_file(file),)
    record = read_toml(root / file, file)
    if isinstance(record, Problem):
        return (record,)
    try:
        vocabulary = Vocabulary.from_toml(record)
    except (KeyError, TypeError) as error:
        found = Problem(file, 0, "", "vocabulary", shown(error), "tables of words and constructs", "see its header")
        return (found,)
    needed = {c.vocabulary for t in TABLES.values() for c in t.columns if c.vocabulary} | set(checking.RECORD_LISTS)
    missing = tuple(
        Problem(
            file, 0, name, "vocabulary", "no such list", f"the list [{name}]", "add it, or restore its last version"
        )
        for name in sorted(needed - set(vocabulary.lists))
    )
    return missing or vocabulary


def _check_tables(folder: Folder) -> None:
    """Check the cells of all files of one kind together; files with a readable header become tables."""
    for name in tuple(folder.raws):
        # Taken out: what is stacked is not held a second time, row by row.
        raws = folder.raws.pop(name)
        whole = stack(raws, TABLES[name])
        wanted = [raw for raw in raws if asked(folder, raw.file)]
        if wanted:
            part = whole if len(wanted) == len(raws) else stack(wanted, TABLES[name])
            folder.problems += check_cells(part, folder.vocabulary)
        rows = typed_rows(whole)
        folder.whole[name] = _with_works(whole, rows)
        folder.every[name] = _of_works(whole, rows)
    errors = [p for p in folder.problems if p.severity == "error"]
    # Row 0 or 1: the file or its header is at fault, and with it every row.
    unusable = {p.file for p in errors if p.row <= 1 and p.rule != "unknown-column"}
    bad: dict[str, set[int]] = {}
    for problem in errors:
        if problem.column not in _SPARED:
            bad.setdefault(problem.file, set()).add(problem.row)
    for name, frames in folder.every.items():
        usable = {file: frame for file, frame in frames.items() if file not in unusable}
        folder.every[name] = usable
        folder.frames[name] = {file: _without(frame, bad.get(file, set())) for file, frame in usable.items()}
        if len(usable) < len(frames) or bad.keys() & usable.keys():
            del folder.whole[name]


def _of_works(stacked: Stack, rows: Columns) -> dict[str, Columns]:
    """Each file's table; those in the folder of a work with its key in front."""
    tables = typed(stacked, rows)
    if stacked.table.name not in WORK_TABLES:
        return tables
    return {file: table.labelled("work", _work_of(file)) for file, table in tables.items()}


def _with_works(stacked: Stack, rows: Columns) -> Columns:
    """All files of one kind as one table; those in the folders of works with their keys in front."""
    if stacked.table.name not in WORK_TABLES:
        return rows
    parts = zip(stacked.files, stacked.bounds, strict=True)
    return rows.with_first("work", [work for file, (start, end) in parts for work in [_work_of(file)] * (end - start)])


def _work_of(file: str) -> str:
    return file.partition("/")[0]


def _without(table: Columns, lines: set[int]) -> Columns:
    return table.where(line not in lines for line in table["line"]) if lines else table


def _version(folder: Folder) -> str:
    path = folder.root / "VERSION"
    if not (path.exists() or path.is_symlink()):
        folder.problems.append(missing_file("VERSION"))
        return ""
    content = read_bytes(path, "VERSION")
    if isinstance(content, Problem):
        folder.problems.append(content)
        return ""
    version = content.decode("utf-8", errors="replace").strip()
    if not VERSION.fullmatch(version):
        folder.problems.append(Problem("VERSION", 1, "", "version", shown(version), "a version such as 1.0.0"))
    return version


def _join(folder: Folder) -> dict[str, Columns]:
    """All tables, the effects with the columns of their sample."""
    # Where every row of every file counts, the files need not be put together again.
    tables = {name: folder.whole.get(name) or _joined(folder.frames.get(name, {}), name) for name in TABLES}
    tables["effects.csv"] = _with_sample(tables["effects.csv"], tables["samples.csv"])
    return tables


def _with_sample(effects: Columns, samples: Columns) -> Columns:
    """The rows with their sample's cells; in columns of both, wherever their own is empty. These stand at the end."""
    # Duplicates are an error said elsewhere; here the first counts.
    place: dict[str, int] = {}
    for row, sample in enumerate(samples["sample_id"]):
        place.setdefault(sample, row)
    at = [place.get(sample, -1) for sample in effects["sample_id"]]

    def made(name: str) -> Cells:
        # What is made of the tables before is kept once, by the rows that live.
        if name not in of_sample:
            return effects.passed_on(name)
        theirs = _taken(samples, name, at)
        if name not in _OF_ROW_OR_SAMPLE:
            return theirs
        ours = effects.passed_on(name)
        empty = map(math.isnan if name in effects.numbers else operator.not_, ours)
        return [other if lacks else own for lacks, own, other in zip(empty, ours, theirs, strict=True)]

    of_sample = {*_SAMPLE_COLUMNS, *_OF_ROW_OR_SAMPLE} - {"sample_id"}
    names = [name for name in (*effects.cells, *_SAMPLE_COLUMNS) if name not in _OF_ROW_OR_SAMPLE]
    return Columns(Deferred[Cells]((*names, *_OF_ROW_OR_SAMPLE), made), effects.numbers | samples.numbers)


def _taken(samples: Columns, name: str, at: Sequence[int]) -> list[Any]:
    """The cells of a column by place; the one after the last, where -1 leads, is that of a sample that is not there."""
    column = [*samples[name], math.nan if name in samples.numbers else ""]
    return [column[place] for place in at]


def _by_life(tables: Mapping[str, Columns]) -> tuple[dict[str, Columns], dict[str, Columns]]:
    """The rows that count today, and those that were withdrawn."""
    live = {name: table.moved(map(operator.not_, table["until"])) for name, table in tables.items()}
    return live, {name: table.moved(table["until"]) for name, table in tables.items()}


def _joined(tables: Mapping[str, Columns], name: str) -> Columns:
    # A table nobody has filled still has its columns, so that no analysis need ask.
    return Columns.joined(list(tables.values())) if tables else _empty(name)


@cache
def _empty(name: str) -> Columns:
    empty = typed_rows(stack([], TABLES[name]))
    return empty if "work" in empty else empty.labelled("work", "")
