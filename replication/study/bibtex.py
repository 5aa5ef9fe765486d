"""A bibliography entry, as it is written to the dataset's bibliography: complete, and readable there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from replication.dataset.problems import shown
from replication.errors import UserError

__all__ = ["KEPT", "Entry", "entry_text", "people"]

KEPT = (
    "author", "editor", "title", "journal", "booktitle", "publisher", "school", "institution", "howpublished", "year",
    "volume", "number", "pages", "doi", "url", "note",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """Kind of publication in BibTeX's words (article, book, phdthesis, …) and fields as plain text."""

    kind: str
    fields: Mapping[str, str]


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
    # Semicolons are what people type between authors; `and` is what BibTeX reads.
    fields = {**entry.fields, "author": people(entry.fields["author"])}
    width = max(map(len, fields))
    lines = [f"  {name.ljust(width)} = {{{fields[name]}}}" for name in KEPT if fields.get(name)]
    text = f"@{entry.kind}{{{key},\n" + ",\n".join(lines) + "\n}\n"
    _refuse_unreadable(text)
    return text


def people(authors: str) -> str:
    """Authors as BibTeX wants them: `and` between them, where semicolons stood.

    >>> people("Smith, Ann; Jones, Bo")
    'Smith, Ann and Jones, Bo'
    """
    parts = [part.strip() for part in authors.split(";") if part.strip()]
    return " and ".join(parts) if len(parts) > 1 else authors


def _refuse_unreadable(text: str) -> None:
    """The entry as the whole bibliography will be read: what breaks it is never written."""
    from pybtex.database import InvalidNameString, PybtexError, parse_string

    try:
        parse_string(text, "bibtex")
    except InvalidNameString as error:
        raise UserError(
            f'{shown(error)}: expected authors as "Smith, Ann and Jones, Bo", with `and` between them'
        ) from None
    except PybtexError as error:
        raise UserError(
            f"the entry cannot be read as BibTeX ({shown(error)}); look for an odd brace or comma"
        ) from None


def _balanced(text: str) -> bool:
    depth = 0
    for letter in text:
        depth += (letter == "{") - (letter == "}")
        # "}{" has as many of both and still breaks the file.
        if depth < 0:
            return False
    return depth == 0
