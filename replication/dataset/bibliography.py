"""`references.bib` through pybtex: one plain-text `Reference` an entry."""

from __future__ import annotations

from pathlib import Path

from replication.dataset.problems import Problem, shown
from replication.dataset.reading import read_bytes
from replication.dataset.records import Reference

__all__ = ["read_bibliography"]

_VENUES = ("journal", "booktitle", "publisher", "school", "howpublished", "institution", "organization")


def read_bibliography(path: Path, file: str) -> tuple[dict[str, Reference], list[Problem]]:
    """All entries by key, and what could not be read."""
    from pybtex.database import BibliographyData, PybtexError, parse_string

    content = read_bytes(path, file)
    if isinstance(content, Problem):
        return {}, [content]
    try:
        bibliography: BibliographyData = parse_string(content.decode("utf-8-sig"), "bibtex")
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        return {}, [Problem(file, row, "", "encoding", "bytes that are not UTF-8", "UTF-8 text", "save as UTF-8")]
    except PybtexError as error:
        row = int(getattr(error, "lineno", 0) or 0)
        twice = "repeated" in str(error).lower()
        hint = "delete one of the two" if twice else "look for a missing brace or comma"
        return {}, [Problem(file, row, "", "bibtex", shown(error), "BibTeX entries", hint)]
    if not bibliography.entries:
        return {}, [Problem(file, 0, "", "bibtex", "no entry", "BibTeX entries", "restore it from version control")]
    return {key: _reference(key, entry) for key, entry in bibliography.entries.items()}, []


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
    return " ".join(text.replace("{", "").replace("}", "").replace("--", "–").replace("\\&", "&").split())
