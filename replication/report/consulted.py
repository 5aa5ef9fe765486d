"""What a page consults: written down while it is made, so that it is made again only when an answer has changed.

Three ideas:

1. A page is never handed the archive. It is handed one that writes down every question put to it (`watched`): which
   works, rows, outcomes, places. What cannot be watched (the tables as frames, the digest) is left out of it, so a page
   cannot depend on it. Its words are watched as well (`listening`), and the templates it is filled in.
2. A question is a part of the archive and a key; no key stands for the whole part, as when a page goes through it.
   Whether there is something of a name, and which names there are, are questions of their own: most pages that look for
   a work want to know no more of it.
3. A page made before is the same today when every question it put has the same answer (`Answers`), and when it was made
   by the same code (`site`). Nobody declares what a page depends on, so nobody can forget it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from replication.digests import digest_of, packed
from replication.report.archive import Archive
from replication.report.templating import template_digests
from replication.report.words import SHARED, Words

__all__ = [
    "LEFT_OUT",
    "OF_ARCHIVE",
    "OF_DATASET",
    "TEMPLATES",
    "Answers",
    "Asked",
    "Log",
    "Watched",
    "as_json",
    "listening",
    "name_of",
    "parts_of",
    "watched",
]

Asked = Mapping[str, str]
"""Questions by part of the archive: the keys looked up in it, null for the whole of it, as the text of a JSON list.

A text, as it goes from process to process and into a file, and most that is done with it is to see that it is the same.
"""

OF_DATASET = (
    "works", "references", "notes", "recipes", "answers", "statements", "corrections", "explanations", "traps",
    "common_notes",
)  # fmt: skip
_OF_FIELDS = "works"
"""The part whose records are asked for field by field."""
TEMPLATES = "templates"
"""The part whose keys are the templates a page is filled in."""
_NOTHING: Mapping[str, Any] = MappingProxyType({})
LEFT_OUT: Mapping[str, Any] = {
    **dict.fromkeys(("tables", "withdrawn", "conceptual", "packets"), _NOTHING), "digest": "", "warnings": (),
}  # fmt: skip
OF_ARCHIVE = (
    "outcomes", "by_outcome", "digests", "run", "about", "by_claim", "by_work", "living", "checks", "open_data",
    "row_pages", "users", "places",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Log:
    """The questions put so far, each once and in order."""

    asked: dict[str, dict[str | None, None]] = field(default_factory=dict)

    def note(self, part: str, key: str | None) -> None:
        """Write one question down."""
        self.of(part)[key] = None

    def of(self, part: str) -> dict[str | None, None]:
        """The questions put to a part, to which further ones are added."""
        # Handed to whoever is asked: there are half a million questions, and a call each would cost more than they do.
        return self.asked.setdefault(part, {})

    def take(self, other: Log) -> None:
        """Write down what another has asked, whose result is used here."""
        for part, keys in other.asked.items():
            if keys:
                self.of(part).update(keys)

    def plain(self) -> dict[str, str]:
        """The questions as text; keys of a part that was asked for as a whole say nothing more."""
        # Sorted, so that pages which put the same questions hold the same list, whatever they asked first.
        asked = sorted((part, keys) for part, keys in self.asked.items() if keys)
        return {part: as_json([None] if None in keys else sorted(keys)) for part, keys in asked}


as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Plain data as the shortest text."""


class Watched(Mapping[str, Any]):
    """A mapping that writes down which of its keys are looked up, or that it was gone through."""

    __slots__ = ("_asked", "_log", "_names", "_part", "_source")

    def __init__(self, source: Mapping[str, Any], part: str, log: Log) -> None:
        self._source, self._part, self._log = source, part, log
        self._asked, self._names = log.of(part), log.of(f"{part}{_NAMES}")

    def __getitem__(self, key: str) -> Any:
        self._asked[key] = None
        return self._source[key]

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or the default; that there is none is an answer as well."""
        self._asked[key] = None
        return self._source.get(key, default)

    def __contains__(self, key: object) -> bool:
        self._names[str(key)] = None
        return key in self._source

    def __iter__(self) -> Iterator[str]:
        self._names[None] = None
        return iter(self._source)

    def __len__(self) -> int:
        self._names[None] = None
        return len(self._source)

    def items(self) -> ItemsView[str, Any]:
        """All keys with their values."""
        self._asked[None] = None
        return self._source.items()

    def values(self) -> ValuesView[Any]:
        """All values."""
        self._asked[None] = None
        return self._source.values()


class _WatchedWorks(Watched):
    """The records of works by key, of which every field that is read is a question of its own.

    A record holds paragraphs that one page shows; a dozen others look at its role.
    """

    __slots__ = ()

    def __getitem__(self, key: str) -> Any:
        self._names[key] = None
        return _Fields(self._source[key], self._log, self._part, key)

    def get(self, key: str, default: Any = None) -> Any:
        """The record of a work, or the default."""
        found = key in self
        return self[key] if found else default

    def items(self) -> ItemsView[str, Any]:
        """All keys with their records."""
        return {key: self[key] for key in self}.items()

    def values(self) -> ValuesView[Any]:
        """All records."""
        return {key: self[key] for key in self}.values()


class _Fields:
    """A record that writes down which of its fields are read."""

    __slots__ = ("_key", "_log", "_part", "_record")

    def __init__(self, record: Any, log: Log, part: str, key: str) -> None:
        self._record, self._log, self._part, self._key = record, log, part, key

    def __getattr__(self, name: str) -> Any:
        self._log.note(self._part, f"{self._key}{_WITHIN}{name}")
        return getattr(self._record, name)


_WITHIN = "\t"  # between a record and its field, or the names of tables within tables, which hold dots and spaces
_NAMES = ", names"  # behind the name of a part: which keys it has, and in which order


class _WatchedList(Sequence[Any]):
    """A list of records that writes down that it was looked at: as a whole, as it has no keys."""

    __slots__ = ("_log", "_part", "_source")

    def __init__(self, source: Sequence[Any], part: str, log: Log) -> None:
        self._source, self._part, self._log = source, part, log

    def __getitem__(self, at: Any) -> Any:
        self._log.note(self._part, None)
        return self._source[at]

    def __iter__(self) -> Iterator[Any]:
        self._log.note(self._part, None)
        return iter(self._source)

    def __len__(self) -> int:
        self._log.note(self._part, None)
        return len(self._source)


class _Heard(Mapping[str, Any]):
    """Texts by key, some within tables of their own, that writes down which are looked up, or that it was gone through.

    What somebody has gone through holds plain tables, as nothing in it can be asked for that is not written down.
    """

    __slots__ = ("_asked", "_inner", "_place", "_source")

    def __init__(self, source: Mapping[str, Any], asked: dict[str | None, None], place: str = "") -> None:
        self._source, self._asked, self._place = source, asked, place
        self._inner: dict[str, _Heard] = {}

    def __getitem__(self, key: str) -> Any:
        found = self.get(key, _ABSENT)
        if found is _ABSENT:
            raise KeyError(key)
        return found

    # The one above in terms of this one: most words looked for are not there, and an error each would be slow.
    def get(self, key: str, default: Any = None) -> Any:
        """The text or the table of a key, or the default; that there is none is an answer as well."""
        if key in self._inner:
            return self._inner[key]
        found = self._source.get(key, default)
        if not self._place and key in SHARED:
            return found  # they decide whether any page is made anew
        # That a table is there says nothing yet: what is looked up in it is written down.
        if isinstance(found, dict) and key in self._source:
            self._inner[key] = _Heard(found, self._asked, f"{self._place}{key}{_WITHIN}")
            return self._inner[key]
        self._asked[self._place + key] = None
        return found

    def __contains__(self, key: object) -> bool:
        self._asked[f"{self._place}{key}"] = None
        return key in self._source

    def __iter__(self) -> Iterator[str]:
        self._note_all()
        return iter(self._source)

    def __len__(self) -> int:
        self._note_all()
        return len(self._source)

    def items(self) -> ItemsView[str, Any]:
        """All keys with their texts."""
        self._note_all()
        return self._source.items()

    def values(self) -> ValuesView[Any]:
        """All texts."""
        self._note_all()
        return self._source.values()

    def _note_all(self) -> None:
        self._asked[self._place.removesuffix(_WITHIN) or None] = None


_ABSENT: Any = object()


def listening(words: Words, names: Mapping[str, str], log: Log) -> Words:
    """The words of a page, which writes down every text it says; works are cited by these names."""
    return replace(words, names=names, table=_Heard(words.table, log.of(f"words {words.language}")), said={})


def _fields(records: Mapping[str, BaseModel]) -> Iterator[tuple[str, Any]]:
    """What stands in each field of each record."""
    for key, record in records.items():
        yield from ((f"{key}{_WITHIN}{name}", value) for name, value in record)


def _texts(table: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """Every text by the names of the tables it is in, and every table."""
    for key, text in table.items():
        yield place + key, text
        if isinstance(text, Mapping):
            yield from _texts(text, f"{place}{key}{_WITHIN}")


def parts_of(archive: Archive) -> dict[str, Mapping[str, Any] | Sequence[Any]]:
    """Everything of an archive that can be asked for, by the name of its part; each table of the dataset is a part."""
    parts = {name: getattr(archive.dataset, name) for name in OF_DATASET}
    parts |= {name: getattr(archive, name) for name in OF_ARCHIVE}
    parts["names"] = archive.names
    return parts | {f"table {name}": rows for name, rows in archive.tables.items()}


def watched(archive: Archive, log: Log) -> Archive:
    """The archive with every part writing down what it is asked for."""
    parts = {name: kind(part, name, log) for name, part, kind in _kinds_of(archive)}
    # What is not watched is not there: the frames, which could be read unseen, and the digest of it all.
    of_dataset: dict[str, Any] = {name: parts[name] for name in OF_DATASET}
    dataset = replace(archive.dataset, **of_dataset, **LEFT_OUT)
    of_archive: dict[str, Any] = {name: parts[name] for name in (*OF_ARCHIVE, "names")}
    tables: dict[str, Any] = {name: parts[f"table {name}"] for name in archive.tables}
    return replace(archive, dataset=dataset, tables=tables, **of_archive)


@lru_cache(maxsize=1)  # the same for each of a thousand pages and pictures
def _kinds_of(archive: Archive) -> list[tuple[str, Any, Callable[[Any, str, Log], Watched | _WatchedList]]]:
    """Every part of an archive by name, and how it is watched."""

    def kind(name: str, part: Any) -> Callable[[Any, str, Log], Watched | _WatchedList]:
        return _WatchedList if not isinstance(part, Mapping) else _WatchedWorks if name == _OF_FIELDS else Watched

    return [(name, part, kind(name, part)) for name, part in parts_of(archive).items()]


class Answers:
    """The answers of an archive, its words and its templates to the questions of pages, as digests; each is taken once.

    `spoken` are the words by language.
    """

    def __init__(self, archive: Archive, spoken: Mapping[str, Words] = _NOTHING) -> None:
        heard = {f"words {language}": dict(_texts(words.table)) for language, words in spoken.items()}
        parts = parts_of(archive)
        names = {f"{name}{_NAMES}": dict.fromkeys(part) for name, part in parts.items() if isinstance(part, Mapping)}
        fields = {_OF_FIELDS: dict(_fields(archive.dataset.works))}
        self._parts = {**parts, **names, **fields, **heard, TEMPLATES: template_digests()}
        self._of_parts: dict[str, str] = {}
        self._of_records: dict[int, str] = {}
        # Hundreds of pages put the same questions.
        self._of_lists: dict[tuple[str, bytes], str] = {}

    def digest(self, asked: Asked) -> str:
        """The digest of the answers to some questions, in their order."""
        return digest_of(*(text for part, keys in asked.items() for text in (part, self._of_list(part, keys))))

    def _of_list(self, part: str, listed: str) -> str:
        asked = part, name_of(listed)
        if asked not in self._of_lists:
            # Joined, as a page asks up to thousands of questions; no answer has a line break in it.
            self._of_lists[asked] = digest_of(listed, "\n".join(self._answers(part, json.loads(listed))))
        return self._of_lists[asked]

    def _answers(self, part: str, keys: Iterable[str | None]) -> list[str]:
        source = self._parts.get(part, ())
        named = source if isinstance(source, Mapping) else _NOTHING
        # What is absent is told from what is empty.
        return [
            self._whole(part) if key is None else self._of_record(named[key]) if key in named else "absent"
            for key in keys
        ]

    def _whole(self, part: str) -> str:
        if part not in self._of_parts:
            source = self._parts.get(part, ())
            if isinstance(source, Mapping):
                answers = self._answers(part, source)
                found = digest_of(*(f"{name}={answer}" for name, answer in zip(source, answers, strict=True)))
            else:
                found = digest_of(*map(self._of_record, source))
            self._of_parts[part] = found
        return self._of_parts[part]

    def _of_record(self, record: Any) -> str:
        """A record of plain data as text, which shows all that it holds; of a long one the digest."""
        # Not kept: of half a million places of rows that would take as much memory as they.
        if _is_short(record):
            return repr(record)
        place = id(record)
        # An outcome is asked for by its id and with all others: it is looked at once. The archive holds it.
        if place not in self._of_records:
            self._of_records[place] = _content(record)
        return self._of_records[place]


def _content(record: Any) -> str:
    """What a record holds, as a short text that is another one for another record."""
    try:
        return digest_of(packed(record))
    except ValueError:  # a record of the dataset, which shows all it holds
        text = repr(record)
        return text if len(text) < _SHORT else digest_of(text)


def _is_short(record: object) -> bool:
    return isinstance(record, str) and len(record) < _SHORT


def name_of(listed: str) -> bytes:
    """What tells a list of questions from any other, held in its place: thousands of long lists are gigabytes."""
    return hashlib.sha256(listed.encode()).digest()


_SHORT = 64  # an answer shorter than a digest stands for itself
