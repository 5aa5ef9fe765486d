"""How much English is left in Norwegian text, counted by words; quotations and titles are marked and do not count."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from replication.dataset import Dataset
from replication.report.words import load_words

__all__ = ["Page", "english_words", "is_of_the_dataset", "labels_of", "numbers_of", "plain_words", "share_of"]

_WORD = re.compile(r"[^\W\d_]{2,}")
_ID = re.compile(r"\S+/\S+\b|[\w~-]*[\d_~][\w~-]*|\w+(?:-\w+){2,}|\w+\.csv")
"""Ids of rows, samples, works and estimates; addresses and names of files."""
_ORGANISATION = re.compile(r"(?:authors of |\()([A-Z][^()]*[a-z])(?:\)| \()")
"""A university or the like that stands where nobody signed."""
_UNSPOKEN = ("script", "style", "code")
_EMPTY = ("meta", "link", "img", "br", "input", "source", "hr", "rect")


def words_of(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def leaves(table: Any) -> Iterator[str]:
    if isinstance(table, Mapping):
        for value in table.values():
            yield from leaves(value)
    elif isinstance(table, str):
        yield re.sub(r"\{[^}|]*", "", table)


def english_words() -> frozenset[str]:
    """Words of the English texts that no Norwegian text uses: those of the locale, and all that has a translation."""
    english, norwegian = load_words("en").table, load_words("nb").table
    known = {word for text in leaves(norwegian) for word in words_of(text)}
    translated = [*leaves(english), *norwegian["of_data"], *norwegian["patterns_of_data"], *norwegian["reason_leads"]]
    return frozenset({word for text in translated for word in words_of(text)} - known)


def share_of(texts: Iterable[str], english: frozenset[str], dataset: Dataset) -> tuple[float, list[str]]:
    """The share of English words, and the texts that hold one. Names, ids and codes of measures are no words."""
    names = {str(code) for code in dataset.table("measures.csv")["measure"]}
    shorts = [reference.short for reference in dataset.references.values()]
    names |= {name for short in shorts for name in (short.partition(" (")[0], *_ORGANISATION.findall(short))}
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    code = re.compile(r"(?<![\w-])(" + "|".join(map(re.escape, longest_first)) + r")(?![\w-])")
    counted, found, holding = 0, 0, []
    for text in texts:
        spoken = [word for word in _WORD.findall(_ID.sub(" ", code.sub(" ", text))) if word[0].islower()]
        left = [word for word in spoken if word in english]
        counted += len(spoken)
        found += len(left)
        holding += [f"{left}: {text[:120]}"] if left else []
    return found / max(counted, 1), holding


@dataclass
class _Element:
    tag: str
    language: str


class Page(HTMLParser):
    """The texts of a page in its language, and those marked as being in another one."""

    def __init__(self, path: Path, language: str = "nb") -> None:
        super().__init__()
        self.own: list[str] = []
        self.marked: list[str] = []
        self.stack: list[_Element] = []
        self.language = language
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag not in _EMPTY:
            inherited = self.stack[-1].language if self.stack else self.language
            self.stack.append(_Element(tag, found.get("lang", inherited)))
        for name in ("alt", "title", "aria-label", "placeholder"):
            if found.get(name):
                self.handle_data(found[name])

    def handle_endtag(self, tag: str) -> None:
        if tag not in _EMPTY:
            while self.stack and self.stack.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        if data.strip() and not any(element.tag in _UNSPOKEN for element in self.stack):
            foreign = bool(self.stack) and self.stack[-1].language != self.language
            (self.marked if foreign else self.own).append(data.strip())


_NUMBER = re.compile(r"(?<![^\W_])\d*\.?\d+(?:\.\d+)*")


def numbers_of(page: Page) -> Counter[str]:
    """How often each number stands on a page, written alike for both languages; digits within a name are none."""
    found: Counter[str] = Counter()
    for texts, language in ((page.own, page.language), (page.marked, "en")):
        for dated in texts:
            # Norwegian writes the month of a date as a word.
            text = re.sub(r"(\d{4})-\d\d-(\d\d)", r"\2 \1", dated)
            if language == "en":
                plain = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
            else:
                plain = re.sub(r"(?<=\d)\u00a0(?=\d{3}(?!\d))", "", text).replace(",", ".")
            found.update(number.removeprefix("0") or "0" for number in _NUMBER.findall(plain))
    return found


def labels_of(outcome: Mapping[str, Any]) -> Iterator[Any]:
    """Every label of an outcome as plain data that a page translates: titles, columns, cells, notes, choices."""
    yield from (outcome["title"], outcome["question"], *(row["reason"] for row in outcome["exclusions"]))
    for estimate in outcome["estimates"]:
        yield estimate["label"]
        yield from estimate["notes"]
        # The text of a path model is code, which a page marks.
        yield from (choice for choice in estimate["method"].values() if "~" not in str(choice))
    for table in outcome["tables"]:
        yield from (table["title"], table["note"], *table["columns"])
        yield from (cell for row in table["rows"] for cell in row if isinstance(cell, str | Mapping))
    for figure in outcome["figures"]:
        yield from (figure["title"], figure["note"])
        yield from (cell for name in ("label", "group") for cell in figure["columns"].get(name, ()))


_PART_END = re.compile(r"[.:;,()→]+(?: |$)")
"""Where one field of a record ends and the next begins, when a page puts several in a line."""


def is_of_the_dataset(text: str, records: str) -> bool:
    """Whether the parts of a marked text stand in the records as they are; three words may stand anywhere by chance."""
    parts = map(plain_words, _PART_END.split(text))
    return all(part.count(" ") < 3 or part in records for part in parts)


def plain_words(text: str) -> str:
    """Text as words alone, for finding it whatever its quotes and signs."""
    return re.sub(r"\W+", " ", text).strip().lower()
