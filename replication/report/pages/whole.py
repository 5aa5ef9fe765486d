"""Pages about the whole: methods and validation, what is still to be read, traps, provenance, and the search index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from replication.report.archive import Archive
from replication.report.gallery import Gallery
from replication.report.pages.claims import claim_rows, pictures_of
from replication.report.view import Page
from replication.report.words import Words

__all__ = ["pages"]


def pages(archive: Archive, words: Words, gallery: Gallery) -> Iterator[Page]:
    """The remaining pages."""
    yield Page("methods.html", "methods.html", words.say("title.methods"), _methods(archive, gallery), words)
    yield Page("missing.html", "missing.html", words.say("title.missing"), _missing(archive), words)
    traps = {"traps": archive.dataset.traps, "current": "traps"}
    yield Page("traps.html", "traps.html", words.say("title.traps"), traps, words)
    provenance = {"run": archive.run, "outcomes": archive.outcomes, "current": "provenance"}
    yield Page("provenance.html", "provenance.html", words.say("title.provenance"), provenance, words)


def _methods(archive: Archive, gallery: Gallery) -> Mapping[str, Any]:
    choices: dict[str, Counter[str]] = {}
    for outcome in archive.outcomes:
        for estimate in outcome["estimates"]:
            for name, choice in estimate["method"].items():
                # Counted over the outcomes: a list of methods written by hand would fall behind them.
                choices.setdefault(name, Counter())[str(choice)] += 1
    validation = archive.outcome("validation")
    return {
        "choices": {name: counter.most_common() for name, counter in sorted(choices.items())},
        "validation": validation,
        "pictures": pictures_of(gallery, validation) if validation else [],
        "analyses": [o for o in archive.outcomes if o["id"] != "validation"],
        "findings": archive.menu.findings,
        "current": "methods",
    }


def _missing(archive: Archive) -> Mapping[str, Any]:
    rows = claim_rows(archive, archive.claims)
    waiting: dict[str, Counter[str]] = {}
    for row in rows:
        if row.verdict in ("NOT_COMPUTABLE", "PENDING"):
            waiting.setdefault(row.claim.work, Counter())[row.verdict] += 1
    works = archive.dataset.works
    return {
        "works": [(key, work, waiting.get(key, {})) for key, work in works.items() if work.missing or key in waiting],
        "directions": archive.table("directions.csv"),
        "open_data": archive.open_data,
        "leads": archive.table("leads.csv"),
        "reading": archive.outcome("reading"),
        "second_hand": [row for row in rows if row.claim.second_hand],
        "current": "missing",
    }
