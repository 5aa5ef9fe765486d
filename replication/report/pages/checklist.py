"""What a reviewer ticks off: reporting standards item by item, risk of bias, how to cite, who decided what."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from replication import paths
from replication.errors import UserError
from replication.report.archive import Archive
from replication.report.menu import Menu
from replication.report.view import Page
from replication.report.words import Words

__all__ = ["FILE", "Item", "Met", "Standard", "page", "read_checklist"]

FILE = "checklist.toml"

Met = Literal["yes", "partly", "no"]
_FIELDS = ("number", "asks", "met", "where", "why")


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a standard: what it asks in our words, whether it is met, on which page, and why."""

    number: str
    asks: str
    met: Met
    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Standard:
    """A reporting standard with its address and its items."""

    name: str
    source: str
    items: tuple[Item, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many items are met, partly met and not met."""
        # Counted from the items, never written down beside them.
        found = Counter(item.met for item in self.items)
        return {met: found[met] for met in get_args(Met)}


def read_checklist(path: Path, menu: Menu) -> tuple[Standard, ...]:
    """The standards of a checklist file; none where there is no such file.

    Raises
    ------
    UserError
        when an item lacks a field, or names a page or a word that does not exist.
    """
    if not path.exists():
        return ()
    try:
        record = tomllib.loads(path.read_text(encoding="utf-8"))
        return tuple(_standard(path.name, standard, menu) for standard in record["standard"])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path.name} cannot be read ({error}); see the lines at its head") from None


def _standard(file: str, record: Mapping[str, Any], menu: Menu) -> Standard:
    items = tuple(_item(f"{file}, {record['name']}", item, menu) for item in record["item"])
    return Standard(str(record["name"]), str(record["source"]), items)


def _item(place: str, record: Mapping[str, Any], menu: Menu) -> Item:
    missing = [field for field in _FIELDS if not str(record.get(field, "")).strip()]
    if missing or record.keys() - set(_FIELDS):
        raise UserError(f"{place}: an item has the fields {', '.join(_FIELDS)}, all filled; found {dict(record)}")
    found = Item(**{field: str(record[field]) for field in _FIELDS})  # type: ignore[arg-type]
    if found.met not in get_args(Met):
        raise UserError(f'{place}, item {found.number}: met is "{found.met}"; write one of {", ".join(get_args(Met))}')
    known = [page.name for page in menu.pages]
    if found.where not in known:
        raise UserError(f'{place}, item {found.number}: no page "{found.where}"; write one of {", ".join(known)}')
    return found


def page(archive: Archive, words: Words) -> Page:
    """The page for reviewers, in English."""
    release = str(archive.run.get("release", "")) or words.say("site.unreleased")
    values = {
        "standards": read_checklist(paths.analyses_dir() / FILE, archive.menu),
        "bias": archive.outcome("riskofbias"),
        "deciders": _deciders(archive),
        "cite": _cite(archive, release),
        "current": "checklist",
    }
    return Page("checklist.html", "checklist.html", words.say("title.checklist"), values, words)


def _deciders(archive: Archive) -> Sequence[tuple[str, str, int]]:
    """Who answered questions about rows, by work, and how many: from the dataset's records, never from memory."""
    answers = ((answer.who, work) for work, found in archive.dataset.answers.items() for answer in found)
    return [(who, work, count) for (who, work), count in sorted(Counter(answers).items())]


def _cite(archive: Archive, release: str) -> Mapping[str, str]:
    """What a citation needs: version, dataset and the digest that says which data exactly."""
    return {
        "release": release,
        "dataset": archive.dataset.version,
        "digest": archive.about["digest"][:16],
    }
