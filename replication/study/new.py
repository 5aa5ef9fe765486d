"""Folders made new: of a work, with templates and a bibliography entry; and one to practise in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from replication.dataset import Dataset
from replication.dataset.cells import VERSION
from replication.dataset.problems import nearest, shown
from replication.errors import UserError
from replication.study.bibtex import Entry, entry_text
from replication.study.keys import check_key, check_text
from replication.study.templates import TEMPLATE_TABLES, record_template, table_template
from replication.writing import exclusive, temporary_folder, write_together

__all__ = ["PRACTICE_FILES", "NewWork", "create_work", "make_practice", "next_version"]

PRACTICE_FILES = ("article.md", "table.txt", "vikmoen2025.bib")
"""The invented article, its table as one would paste it, and its reference."""

_WORDS = ("kind", "role", "setting", "quantitative")


@dataclass(frozen=True, slots=True)
class NewWork:
    """What is known of a new work: key, bibliography entry and the fields of `work.toml`.

    `tables` are finished tables by file name; without one, each table gets a template.
    """

    key: str
    entry: Entry
    fields: Mapping[str, str]
    tables: Mapping[str, str] = field(default_factory=dict)


def create_work(root: Path, dataset: Dataset, work: NewWork) -> Path:
    """Write the folder and the entry; either both are there or none.

    Raises
    ------
    UserError
        when the key may not be used or a field holds no word of the vocabulary; nothing is written then.
    """
    fields = {name: check_text(name, text) for name, text in work.fields.items()}
    for name in _WORDS:
        known = dataset.vocabulary.words(name)
        if fields.get(name, "") not in known:
            raise UserError(f'{name} is "{fields.get(name, "")[:60]}": {nearest(fields.get(name, ""), known)}')
    # Made before the lock is taken: what is wrong with it costs nobody else a wait.
    entry = entry_text(work.key, work.entry)
    since = next_version(dataset.version)
    with exclusive(root):  # whether the key is free is asked under the lock: two may want the same
        check_key(work.key, root, set(dataset.works) | set(dataset.references))
        before = (root / "references.bib").read_text(encoding="utf-8")
        texts = {f"{work.key}/{name}": text for name, text in _texts(work, fields, since, dataset)}
        write_together(root, {**texts, "references.bib": f"{before.rstrip()}\n\n{entry}"})
    return root / work.key


def next_version(version: str) -> str:
    """The dataset version in which new rows enter: the next after the released one.

    Raises
    ------
    UserError
        when the dataset's VERSION is no version.

    >>> next_version("1.0.0")
    '1.1.0'
    """
    if not VERSION.fullmatch(version):
        raise UserError(f"the dataset's VERSION: found {shown(version)}; expected three numbers such as 1.0.0; mend it")
    major, minor, _ = version.split(".")
    return f"{major}.{int(minor) + 1}.0"


def _texts(work: NewWork, fields: Mapping[str, str], since: str, dataset: Dataset) -> Iterator[tuple[str, str]]:
    """The files of the work's folder: name and content."""
    yield "work.toml", record_template(work.key, fields, since, dataset.vocabulary)
    templates = {name: table_template(name, work.key, since, dataset.vocabulary) for name in TEMPLATE_TABLES}
    yield from (work.tables or templates).items()
    yield (
        "NOTES.md",
        f"# {work.key}\n\nWhat a reader must know about this work: what was read, what is odd, what is missing.\n",
    )


def make_practice(root: Path, folder: Path) -> Path:
    """Write the article, its table and its reference into a new folder, with a copy of the dataset beside them.

    Raises
    ------
    UserError
        when there is something of that name already.
    """
    if folder.exists():
        raise UserError(f"{folder} is there already; delete it to begin anew, or name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the folder: a rename is one step only within a disk.
    with temporary_folder("practice", folder.parent) as above:
        building = above / folder.name
        building.mkdir()
        kept = resources.files("replication.study").joinpath("practice")
        for name in PRACTICE_FILES:
            text = kept.joinpath(name).read_text(encoding="utf-8")
            (building / name).write_text(text, encoding="utf-8", newline="\n")
        shutil.copytree(root, building / "references", ignore=shutil.ignore_patterns(".*"))
        building.rename(folder)  # whole, or not there at all
    return folder
