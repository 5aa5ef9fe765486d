"""A bibliography entry out of what reference managers export: BibTeX and its dialects, RIS, CSL JSON.

Libraries read the formats (pybtex, rispy); here their fields get BibTeX's names.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from replication.dataset.problems import shown
from replication.dataset.spreadsheets import decode
from replication.dataset.tex import tex_to_text
from replication.errors import UserError
from replication.study.bibtex import KEPT, Entry
from replication.study.keys import check_text

__all__ = ["read_reference"]

_LARGEST = 200_000
_BIBLATEX = {"journaltitle": "journal", "location": "address", "date": "year", "maintitle": "booktitle"}
_BIBLATEX_KINDS = {
    "online": "misc", "electronic": "misc", "report": "techreport", "thesis": "phdthesis", "mvbook": "book",
    "collection": "book", "incollection": "incollection", "unpublished": "unpublished", "dataset": "misc",
}  # fmt: skip
_RIS_KINDS = {
    "JOUR": "article", "EJOUR": "article", "MGZN": "article", "BOOK": "book", "EBOOK": "book", "CHAP": "incollection",
    "THES": "phdthesis", "RPRT": "techreport", "CONF": "inproceedings", "CPAPER": "inproceedings",
}  # fmt: skip
_CSL_KINDS = {
    "article-journal": "article", "article": "article", "book": "book", "chapter": "incollection",
    "thesis": "phdthesis", "report": "techreport", "paper-conference": "inproceedings",
}  # fmt: skip
_KEY = re.compile(r"@(\w+)\s*([{(])\s*[^,={}\"()]*,")
_NO_ENTRY = ("comment", "string", "preamble")


def read_reference(path: Path) -> Entry:
    """The one entry of a file of BibTeX (.bib), RIS (.ris) or CSL JSON (.json); its own key does not matter.

    Raises
    ------
    UserError
        when there is no entry, several, or something that is none of the three.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); give the path of a .bib, .ris or .json file"
        ) from error
    if len(content) > _LARGEST:
        raise UserError(f"{path.name} has {len(content)} bytes; give a file with the one entry of this work")
    try:
        text, _ = decode(content)
    except UnicodeDecodeError:
        raise UserError(f"{path.name} is not UTF-8 text; save it as UTF-8") from None
    entries = _read_as(text, path)
    if len(entries) != 1:
        raise UserError(f"{path.name} has {len(entries)} entries; give a file with the one entry of this work")
    kind, fields = entries[0]
    # Abstracts, files and keywords stay out: they are long, and some are under copyright.
    kept = {name: check_text(name, tex_to_text(str(fields[name]))) for name in KEPT if fields.get(name)}
    return Entry(kind, kept)


def _read_as(text: str, path: Path) -> list[tuple[str, Mapping[str, str]]]:
    start = text.lstrip()[:1]
    # By the content first: files are renamed more often than formats are chosen.
    if start in ("[", "{") and path.suffix.lower() != ".bib":
        return _csl(text, path.name)
    if re.match(r"\s*TY\s{0,2}-", text):
        return _ris(text, path.name)
    return _bibtex(text, path.name)


def _bibtex(text: str, name: str) -> list[tuple[str, Mapping[str, str]]]:
    from pybtex.database import PybtexError, parse_string

    try:
        entries = parse_string(_with_plain_keys(text), "bibtex").entries.values()
    except PybtexError as error:
        raise UserError(f"{name} is not BibTeX ({shown(error)}); look for a missing brace or comma") from error
    found: list[tuple[str, Mapping[str, str]]] = []
    for entry in entries:
        people = {role: " and ".join(str(person) for person in persons) for role, persons in entry.persons.items()}
        fields = {**people, **{field.lower(): str(value) for field, value in entry.fields.items()}}
        for old, new in _BIBLATEX.items():
            if fields.get(old) and not fields.get(new):
                fields[new] = fields[old][:4] if new == "year" else fields[old]
        kind = entry.type.lower()
        found.append((_BIBLATEX_KINDS.get(kind, kind), fields))
    return found


def _with_plain_keys(text: str) -> str:
    """Keys made plain and different: some programs leave them empty, or write spaces and letters into them."""
    numbers = itertools.count(1)

    def plain(match: re.Match[str]) -> str:
        kept = match[1].lower() in _NO_ENTRY
        return match[0] if kept else f"@{match[1]}{match[2]}entry{next(numbers)},"

    return _KEY.sub(plain, text)


def _ris(text: str, name: str) -> list[tuple[str, Mapping[str, str]]]:
    import rispy

    try:
        entries = rispy.loads(text)
    except Exception as error:  # the library's errors have no common kind
        raise UserError(
            f"{name} is not RIS ({str(error)[:100]}); export it again from the reference manager"
        ) from error
    return [(_RIS_KINDS.get(str(entry.get("type_of_reference")), "misc"), _of_ris(entry)) for entry in entries]


def _of_ris(entry: Mapping[str, Any]) -> Mapping[str, str]:
    first = entry.get("start_page", "")
    pages = f"{first}--{entry['end_page']}" if first and entry.get("end_page") else first
    year = re.search(r"\d{4}", str(entry.get("year") or entry.get("publication_year") or entry.get("date") or ""))
    return {
        "author": " and ".join(entry.get("authors") or entry.get("first_authors") or ()),
        "title": str(entry.get("title") or entry.get("primary_title") or ""),
        "journal": str(
            entry.get("journal_name") or entry.get("secondary_title") or entry.get("alternate_title3") or ""
        ),
        "publisher": str(entry.get("publisher") or ""),
        "year": year[0] if year else "",
        "volume": str(entry.get("volume") or ""),
        "number": str(entry.get("number") or ""),
        "pages": str(pages),
        "doi": str(entry.get("doi") or ""),
        "url": str((entry.get("urls") or [""])[0]),
    }


def _csl(text: str, name: str) -> list[tuple[str, Mapping[str, str]]]:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        raise UserError(f"{name} is no CSL JSON; export it again from the reference manager") from None
    entries = read.get("items", [read]) if isinstance(read, dict) else read
    if not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{name} is no CSL JSON; export it again from the reference manager")
    return [(_CSL_KINDS.get(str(entry.get("type")), "misc"), _of_csl(entry)) for entry in entries]


def _of_csl(entry: Mapping[str, Any]) -> Mapping[str, str]:
    dates = entry.get("issued", {})
    parts = dates.get("date-parts", [[""]]) if isinstance(dates, dict) else [[""]]
    taken = {
        "title": "title",
        "volume": "volume",
        "issue": "number",
        "publisher": "publisher",
        "DOI": "doi",
        "URL": "url",
    }
    fields = {new: str(entry.get(old) or "") for old, new in taken.items()}
    return fields | {
        "author": " and ".join(_csl_names(entry.get("author", ()))),
        "journal": str(entry.get("container-title") or ""),
        "pages": str(entry.get("page") or "").replace("-", "--", 1),
        "year": str(parts[0][0]) if parts and parts[0] else "",
    }


def _csl_names(people: Iterable[Any]) -> list[str]:
    named = [person for person in people if isinstance(person, dict)]
    return [
        f"{person['family']}, {person['given']}" if person.get("family") and person.get("given")
        else str(person.get("family") or f"{{{person.get('literal', '')}}}")
        for person in named
    ]  # fmt: skip
