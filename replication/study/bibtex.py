"""A bibliography entry: read from BibTeX as journals and libraries give it, or made from answers, and written out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from replication.dataset.problems import shown
from replication.errors import UserError
from replication.study.keys import check_text

__all__ = ["KEPT", "Entry", "entry_text", "read_entry"]

KEPT = (
    "author", "editor", "title", "journal", "booktitle", "publisher", "school", "institution", "howpublished", "year",
    "volume", "number", "pages", "doi", "url", "note",
)  # fmt: skip
_LARGEST = 100_000


@dataclass(frozen=True, slots=True)
class Entry:
    """Kind of publication in BibTeX's words (article, book, phdthesis, …) and fields as plain text."""

    kind: str
    fields: Mapping[str, str]


def read_entry(path: Path) -> Entry:
    """The one entry of a .bib file; its own key does not matter.

    Raises
    ------
    UserError
        when there is no entry, several, or something that is not BibTeX.
    """
    from pybtex.database import PybtexError, parse_string

    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give the path of a .bib file") from error
    if len(content) > _LARGEST:
        raise UserError(f"{path.name} has {len(content)} bytes; give a file with the one entry of this work")
    try:
        entries = parse_string(content.decode("utf-8-sig"), "bibtex").entries
    except UnicodeDecodeError:
        raise UserError(f"{path.name} is not UTF-8 text; save it as UTF-8") from None
    except PybtexError as error:
        raise UserError(f"{path.name} is not BibTeX ({shown(error)}); look for a missing brace or comma") from error
    if len(entries) != 1:
        raise UserError(f"{path.name} has {len(entries)} entries; give a file with the one entry of this work")
    entry = next(iter(entries.values()))
    people = {role: " and ".join(str(person) for person in persons) for role, persons in entry.persons.items()}
    fields = {**people, **{name.lower(): str(value) for name, value in entry.fields.items()}}
    return Entry(entry.type.lower(), {name: check_text(name, fields[name]) for name in KEPT if fields.get(name)})


def entry_text(key: str, entry: Entry) -> str:
    """The entry as it stands in `references.bib`.

    Raises
    ------
    UserError
        when author, title or year is missing, or braces do not balance.
    """
    lacking = [name for name in ("author", "title", "year") if not entry.fields.get(name)]
    if lacking:
        options = " ".join(f"--{name}" for name in lacking)
        raise UserError(f"the bibliography entry lacks {' and '.join(lacking)}; give {options}")
    for name, text in entry.fields.items():
        if not _balanced(text):
            raise UserError(f"{name} has braces that do not balance: {shown(text)}")
    width = max(map(len, entry.fields))
    lines = [f"  {name.ljust(width)} = {{{entry.fields[name]}}}" for name in KEPT if entry.fields.get(name)]
    return f"@{entry.kind}{{{key},\n" + ",\n".join(lines) + "\n}\n"


def _balanced(text: str) -> bool:
    depth = 0
    for letter in text:
        depth += (letter == "{") - (letter == "}")
        if depth < 0:
            return False
    return depth == 0
