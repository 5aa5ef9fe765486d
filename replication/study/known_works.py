"""Whether a work is in the dataset already: by DOI, title, authors and year, or the address where it was read."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from replication.dataset import Dataset
from replication.dataset.records import Reference
from replication.dataset.tex import tex_to_text

__all__ = ["KnownWork", "known_works"]

_SAME_TITLE = 0.92  # of letters in common: a subtitle's comma or a misspelt word apart
_NEAR_TITLE = 0.6  # with the same first author and year
_ADDRESSES = (("effects.csv", "source"), ("claims.csv", "source_url"), ("samples.csv", "source"))


@dataclass(frozen=True, slots=True)
class KnownWork:
    """A work of the dataset that may be the new one, and what the two have in common."""

    key: str
    shared: str
    reference: Reference


def known_works(dataset: Dataset, fields: Mapping[str, str]) -> list[KnownWork]:
    """The works that may be the one with these bibliography fields, surest first; each once."""
    found: dict[str, KnownWork] = {}
    for known in (*_by_doi(dataset, fields), *_by_title(dataset, fields), *_by_address(dataset, fields)):
        # The surest ground comes first and is the one that is told.
        found.setdefault(known.key, known)
    return list(found.values())


def _by_doi(dataset: Dataset, fields: Mapping[str, str]) -> Iterator[KnownWork]:
    doi = _doi(fields.get("doi", "") or fields.get("url", ""))
    for key, reference in dataset.references.items():
        if doi and doi == _doi(reference.doi):
            yield KnownWork(key, f"DOI {doi}", reference)


def _by_title(dataset: Dataset, fields: Mapping[str, str]) -> Iterator[KnownWork]:
    title, year, who = _letters(fields.get("title", "")), fields.get("year", "")[:4], _first(fields.get("author", ""))
    if not title:
        return
    for key, reference in dataset.references.items():
        other = _letters(reference.title)
        alike = difflib.SequenceMatcher(None, title, other, autojunk=False)
        if alike.real_quick_ratio() < _NEAR_TITLE or alike.quick_ratio() < _NEAR_TITLE:
            continue  # two cheap upper bounds: most titles end here
        same_people = bool(who) and who == _first(" and ".join(reference.authors)) and year == reference.year[:4]
        share = alike.ratio()
        if share >= _SAME_TITLE:
            yield KnownWork(key, "the title", reference)
        elif same_people and share >= _NEAR_TITLE:
            yield KnownWork(key, "first author, year and most of the title", reference)


def _by_address(dataset: Dataset, fields: Mapping[str, str]) -> Iterator[KnownWork]:
    address = _address(fields.get("url", ""))
    if not address:
        return
    for table, column in _ADDRESSES:
        rows = dataset.table(table)
        for work, source in zip(rows["work"], rows[column], strict=True):
            if _address(str(source)) == address and work in dataset.references:
                yield KnownWork(work, f"the address {address}", dataset.references[work])


def _doi(text: str) -> str:
    match = re.search(r"10\.\d{4,9}/\S+", text.lower())
    return match[0].rstrip(".,;)") if match else ""


def _address(text: str) -> str:
    """An address without what differs between copies of it; a bare host is nobody's own."""
    plain = re.sub(r"^https?://(www\.)?|[/#?]+$", "", text.strip().lower())
    return plain if "/" in plain and " " not in plain else ""


def _letters(text: str) -> str:
    """Letters and digits alone, without accents: what a title is known by."""
    plain = unicodedata.normalize("NFKD", tex_to_text(text)).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def _first(authors: str) -> str:
    """The first author's family name."""
    first = re.split(r"\s+and\s+|;", authors)[0].strip()
    family = first.partition(",")[0] if "," in first else first.rpartition(" ")[2]
    return _letters(family)
