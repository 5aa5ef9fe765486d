"""One page per work, and the list of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from replication.report.archive import Archive, Record
from replication.report.gallery import Gallery
from replication.report.making import Given, Plan
from replication.report.pages.claims import claim_rows, pictures_of, reasons_of, tally
from replication.report.view import Page

__all__ = ["plans"]

ROLES = ("cited", "related", "primary", "survey")


def plans(archive: Archive, language: str) -> Iterator[Plan]:
    """The list of works and a page for each, in one language."""
    path = archive.menu.address("works.html", language)
    yield Plan(path, language, _list)
    for key in archive.dataset.works:
        path = archive.menu.address(f"works/{key}.html", language)
        yield Plan(path, language, partial(_page, key=key, path=path), about=key)


_ON_A_PAGE = 1000  # works: a fourth of a megabyte


def _list(given: Given) -> Iterator[Page]:
    """All works by their role here, on as many pages as they need."""
    archive, words = given.archive, given.words
    found = [(role, key) for role in ROLES for key in _keys(archive, role)]
    parts = [found[start : start + _ON_A_PAGE] for start in range(0, len(found), _ON_A_PAGE)] or [[]]
    paths = ["works.html", *(f"works-{number}.html" for number in range(2, len(parts) + 1))]
    for number, (path, part) in enumerate(zip(paths, parts, strict=True)):
        lines = {role: [_line(archive, key) for at, key in part if at == role] for role in ROLES}
        values = {"lines": lines, "paths": paths, "number": number, "current": "works"}
        address = archive.menu.address(path, words.language)
        yield Page(address, "works.html", words.say("title.works"), values, words)


def _page(given: Given, key: str, path: str) -> list[Page]:
    archive, words = given.archive, given.words
    title = words.cited(archive.short(key))
    return [Page(path, "work.html", title, _work(archive, key, given.gallery), words)]


def _keys(archive: Archive, role: str) -> list[str]:
    if role == "cited":
        return list(archive.dataset.cited())
    return [key for key, work in archive.dataset.works.items() if work.role == role]


def _line(archive: Archive, key: str) -> Mapping[str, Any]:
    rows = claim_rows(archive, archive.claims_of(key))
    return {
        "key": key,
        "work": archive.dataset.works[key],
        "reference": archive.dataset.references.get(key),
        "counts": tally(rows),
        "total": len(rows),
        "effects": len(archive.table("effects.csv", key)),
    }


def _work(archive: Archive, key: str, gallery: Gallery) -> Mapping[str, Any]:
    dataset = archive.dataset
    rows = claim_rows(archive, archive.claims_of(key))
    outcome = _outcome(archive, key)
    return {
        "key": key,
        "work": dataset.works[key],
        "reference": dataset.references.get(key),
        "rows": rows,
        "counts": tally(rows),
        "reasons": reasons_of(archive, rows),
        "second_hand": sum(row.claim.second_hand for row in rows),
        "outcome": outcome,
        "pictures": pictures_of(gallery, outcome) if outcome else [],
        "samples": archive.table("samples.csv", key),
        "row_pages": archive.row_pages.get(key, ()),
        "measures": archive.table("measures.csv", key),
        "screened": archive.table("screened.csv", key),
        "corrections": [c for c in dataset.corrections if key in c.works],
        "explanations": [e for e in dataset.explanations if any(row.claim.id in e.claims for row in rows)],
        "traps": [trap for trap in dataset.traps if key in trap.works],
        "statements": [s for s in dataset.statements if key in s.works],
        "note": dataset.notes.get(key, ""),
        "few": 12,
        "current": "works",
    }


def _outcome(archive: Archive, key: str) -> Record | None:
    found = archive.outcome(key)
    # A finding may bear the name of a work; only a reproduction is about its numbers.
    return found if found is not None and found["kind"] == "reproduction" else None
