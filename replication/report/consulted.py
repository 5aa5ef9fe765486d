"""What a page consults: written down while it is made, so that it is made again only when an answer has changed.

Three ideas:

1. A page is never handed the archive. It is handed one that writes down every question put to it (`watched`): which
   works, rows, outcomes, places. What cannot be watched (the tables as frames, the digest) is left out of it, so a page
   cannot depend on it.
2. A question is a part of the archive and a key; no key stands for the whole part, as when a page goes through it.
3. A page made before is the same today when every question it put has the same answer (`Answers`), and when it was made
   by the same code, templates and words (`site`). Nobody declares what a page depends on, so nobody can forget it.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from replication.digests import digest_of
from replication.report.archive import Archive

__all__ = ["LEFT_OUT", "OF_ARCHIVE", "OF_DATASET", "Answers", "Asked", "Log", "Watched", "parts_of", "watched"]

Asked = Mapping[str, Sequence[str | None]]
"""Questions by part of the archive: the keys looked up in it, None for the whole of it."""

OF_DATASET = (
    "works", "references", "notes", "recipes", "answers", "statements", "corrections", "explanations", "traps",
    "common_notes",
)  # fmt: skip
_NOTHING: Mapping[str, Any] = MappingProxyType({})
LEFT_OUT: Mapping[str, Any] = {
    **dict.fromkeys(("tables", "withdrawn", "conceptual", "packets"), _NOTHING), "digest": "", "warnings": (),
}  # fmt: skip
OF_ARCHIVE = (
    "outcomes", "by_outcome", "run", "about", "by_claim", "by_work", "living", "checks", "open_data", "row_pages",
    "users", "places",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Log:
    """The questions put so far, each once and in order."""

    asked: dict[str, dict[str | None, None]] = field(default_factory=dict)

    def note(self, part: str, key: str | None) -> None:
        """Write one question down."""
        self.asked.setdefault(part, {})[key] = None

    def take(self, other: Log) -> None:
        """Write down what another has asked, whose result is used here."""
        for part, keys in other.asked.items():
            self.asked.setdefault(part, {}).update(keys)

    def plain(self) -> dict[str, list[str | None]]:
        """The questions as plain data; keys of a part that was asked for as a whole say nothing more."""
        return {part: [None] if None in keys else list(keys) for part, keys in self.asked.items()}


class Watched(Mapping[str, Any]):
    """A mapping that writes down which of its keys are looked up, or that it was gone through."""

    __slots__ = ("_log", "_part", "_source")

    def __init__(self, source: Mapping[str, Any], part: str, log: Log) -> None:
        self._source, self._part, self._log = source, part, log

    def __getitem__(self, key: str) -> Any:
        self._log.note(self._part, key)
        return self._source[key]

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or the default; that there is none is an answer as well."""
        self._log.note(self._part, key)
        return self._source.get(key, default)

    def __contains__(self, key: object) -> bool:
        self._log.note(self._part, str(key))
        return key in self._source

    def __iter__(self) -> Iterator[str]:
        self._log.note(self._part, None)
        return iter(self._source)

    def __len__(self) -> int:
        self._log.note(self._part, None)
        return len(self._source)

    def items(self) -> ItemsView[str, Any]:
        """All keys with their values."""
        self._log.note(self._part, None)
        return self._source.items()

    def values(self) -> ValuesView[Any]:
        """All values."""
        self._log.note(self._part, None)
        return self._source.values()


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


def parts_of(archive: Archive) -> dict[str, Mapping[str, Any] | Sequence[Any]]:
    """Everything of an archive that can be asked for, by the name of its part; each table of the dataset is a part."""
    parts = {name: getattr(archive.dataset, name) for name in OF_DATASET}
    parts |= {name: getattr(archive, name) for name in OF_ARCHIVE}
    parts["names"] = archive.names
    return parts | {f"table {name}": rows for name, rows in archive.tables.items()}


def watched(archive: Archive, log: Log) -> Archive:
    """The archive with every part writing down what it is asked for."""
    parts = {
        name: Watched(part, name, log) if isinstance(part, Mapping) else _WatchedList(part, name, log)
        for name, part in parts_of(archive).items()
    }
    # What is not watched is not there: the frames, which could be read unseen, and the digest of it all.
    of_dataset: dict[str, Any] = {name: parts[name] for name in OF_DATASET}
    dataset = replace(archive.dataset, **of_dataset, **LEFT_OUT)
    of_archive: dict[str, Any] = {name: parts[name] for name in (*OF_ARCHIVE, "names")}
    tables: dict[str, Any] = {name: parts[f"table {name}"] for name in archive.tables}
    return replace(archive, dataset=dataset, tables=tables, **of_archive)


class Answers:
    """The answers of an archive to the questions of pages, as digests; each is taken once."""

    def __init__(self, archive: Archive) -> None:
        self._parts = parts_of(archive)
        self._known: dict[tuple[str, str | None], str] = {}

    def digest(self, asked: Asked) -> str:
        """The digest of the answers to some questions, in their order."""
        texts: list[str] = []
        for part, keys in asked.items():
            # Joined, as a page asks up to thousands of questions; no answer has a line break in it.
            texts += (part, repr(list(keys)), "\n".join([self._answer(part, key) for key in keys]))
        return digest_of(*texts)

    def _answer(self, part: str, key: str | None) -> str:
        known = self._known.get((part, key))
        if known is None:
            known = self._known[part, key] = self._taken(part, key)
        return known

    def _taken(self, part: str, key: str | None) -> str:
        source = self._parts.get(part, ())
        if key is None and isinstance(source, Mapping):
            return digest_of(*(f"{name}={self._answer(part, name)}" for name in source))
        value = source.get(key) if isinstance(source, Mapping) and key is not None else source
        # Records of plain data show all they hold; what is absent is told from what is empty.
        text = repr(value) if key is None or key in source else "absent"
        return text if len(text) < _SHORT else digest_of(text)


_SHORT = 64  # an answer shorter than a digest stands for itself
