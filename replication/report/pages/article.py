"""The article's statements, what each would need, what the evidence says, how sure; and its reference list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replication.dataset.records import Statement
from replication.report.archive import Archive
from replication.report.pages.common import claim_rows, tally
from replication.report.pages.findings import answers, in_section
from replication.report.view import Page
from replication.report.words import Words

__all__ = ["page"]


def page(archive: Archive, words: Words) -> Page:
    """The article page in one language."""
    path = "article.html" if words.language == "en" else f"{words.language}/article.html"
    values = {
        "statements": [_statement(archive, statement, words) for statement in archive.dataset.statements],
        "corrections": [c for c in archive.dataset.corrections if c.id.startswith("list-")],
        "cited": archive.dataset.cited(),
        "fits": [archive.dataset.works[key] for key in archive.dataset.cited()],
        "current": "article",
    }
    return Page(path, "article.html", words.say("title.article"), values, words)


def _statement(archive: Archive, statement: Statement, words: Words) -> Mapping[str, Any]:
    norwegian = words.language == "nb"
    outcome = archive.outcome(statement.finding) if statement.finding else None
    # A run may leave an analysis out; the statement and what it would need stand all the same.
    found = outcome["sentences"] if outcome else []
    rows = claim_rows(archive, [c for work in statement.works for c in archive.claims_of(work)])
    return {
        "id": statement.id,
        "says": statement.says_nb if norwegian else statement.says,
        "needs": statement.needs_nb if norwegian else statement.needs,
        "limits": statement.limits_nb if norwegian else statement.limits,
        "works": statement.works,
        "finding": statement.finding,
        "outcome": outcome["id"] if outcome else "",
        "answers": answers(outcome) if outcome else [],
        "sure": in_section(found, "sure"),
        "counts": tally(rows),
    }
