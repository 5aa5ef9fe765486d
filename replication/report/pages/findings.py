"""The pages of findings, in the order they are read: the answer and how sure it is, why, what it rests on, the rest.

An item of a finding's outcome stands in the section it names. Nothing is read from ids. All sections but the first few
are folded, and open by themselves where a link or a search within the page leads into them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from replication.analysis.outcome import SECTIONS
from replication.report.archive import Archive, Record, anchor, finding_page, once, table_data
from replication.report.gallery import Gallery, table_file
from replication.report.making import File, Given, Plan
from replication.report.pages.claims import ClaimRow, claim_rows, pictures_of, reasons_of, sorted_rows
from replication.report.search import script_data, script_table
from replication.report.view import Page
from replication.report.words import Ref, Wording, Words
from replication.writing import table_path

__all__ = ["answers", "further", "in_section", "plans"]

_SIZES = ("r", "d", "g", "z", "beta", "b")
_OPEN = ("sure", "cause", "change", "bodies")
"""The sections that stand open below the answer: why it is this sure, what it is not, what it rests on."""


def plans(archive: Archive, language: str) -> Iterator[Plan]:
    """One page a finding in one language, those without a place in the menu last."""
    for name in archive.menu.findings:
        path = archive.menu.address(f"findings/{name}.html", language)
        yield Plan(path, language, partial(_page, name=name, path=path), about=name)
    for outcome in further(archive):
        path = archive.menu.address(finding_page(outcome), language)
        yield Plan(path, language, partial(_page, name=outcome["id"], path=path), about=outcome["id"])
    for outcome in archive.outcomes if language == "en" else ():
        if in_section(outcome["tables"], "explore"):
            yield Plan(f"rows of {outcome['id']}", language, partial(_pools, name=outcome["id"]))


def _page(given: Given, name: str, path: str) -> list[Page]:
    """The page of a finding, titled by the menu, or by the analysis where it has no place there."""
    archive, words = given.archive, given.words
    reasons = reasons_of(archive, sorted_rows(archive))
    values = {**_values(archive, words, name, given.gallery), "reasons": reasons}
    listed = name in archive.menu.findings
    title = words.say(f"title.{name}") if listed else words.label(archive.by_outcome[name]["title"])
    return [Page(path, "finding.html", title, values, words)]


def further(archive: Archive) -> list[Record]:
    """The findings without a place in the menu."""
    return [
        o for o in archive.outcomes if o["kind"] == "finding" and o["id"] not in (*archive.menu.findings, "validation")
    ]


def _values(archive: Archive, words: Words, name: str, gallery: Gallery) -> Mapping[str, Any]:
    outcome = archive.outcome(name)
    claims = [c for c in archive.claims if name in c.about and c.statistic in _SIZES]
    sections = list(_sections(outcome, gallery)) if outcome else []
    return {
        "name": name,
        "outcome": outcome,
        "parts": parts(answers(outcome)) if outcome else [],
        "open": _OPEN,
        "sections": [s for s in sections if claims or s["name"] != "published"],
        "questions": _questions(outcome) if outcome else {},
        "claim_rows": partial(_named_rows, archive),
        "published": claim_rows(archive, claims),
        "explored": _explored(archive, words, outcome) if outcome else None,
        "statement": next((s for s in archive.dataset.statements if s.finding == name), None),
        "current": name,
    }


_BEFORE, _AFTER = 2, 5  # columns of a table of pooled rows that stand before and after those to choose by


def _pools(given: Given, name: str) -> Iterator[File]:
    """Every pooled row of a finding: a CSV file a question, and a script for the choice in the browser."""
    archive = given.archive
    outcome = archive.by_outcome[name]
    tables = in_section(outcome["tables"], "explore")
    for table in tables:
        rows = [[link["id"], *row] for link, row in zip(table["links"], table["rows"], strict=True)]
        yield table_file(table_data(outcome, table), ("effect_id", *table["columns"]), rows, len(rows))
    # A script, because a page opened from disk may not read a file.
    questions = [
        {"id": t["about"]["question"], "rows": script_table([_pooled_row(archive, r) for r in t["rows"]])}
        for t in tables
    ]
    content = {"rho": tables[0]["rows"][0][-1], "choices": _choices(tables[0]), "questions": questions}
    yield f"assets/{anchor(name)}-rows.js", script_data("POOL", content)


def _choices(table: Record) -> list[str]:
    """The columns to choose by, as they stand in the query of an address."""
    return [str(name).replace("_", "-") for name in table["columns"][_BEFORE:-_AFTER]]


def _pooled_row(archive: Archive, cells: Sequence[Any]) -> list[Any]:
    """The cells of a pooled row in the order in which explore.js names them."""
    sample, label, *chosen = cells[:-_AFTER]
    n, _, z, v, _ = cells[-_AFTER:]
    return [sample, label, archive.place(sample), n, z, v, *chosen]


def _explored(archive: Archive, words: Words, outcome: Record) -> Mapping[str, Any] | None:
    """What the choice among pooled rows needs on a page: its script, its words, its files; None where nothing pools."""
    tables = in_section(outcome["tables"], "explore")
    if not tables:
        return None
    named = words.table["choices"]
    held = {cell for table in tables for row in table["rows"] for cell in row[_BEFORE:-_AFTER]}
    said = words.table["pages"]["explore"]
    spoken = {
        **{name: text for name, text in said.items() if name not in ("lead", "method", "noscript", "file", "shared")},
        "point": words.numerals.point,
        "group": words.numerals.group,
        "questions": {t["about"]["question"]: words.label(t["about"]["label"]) for t in tables},
        "choices": {name: named[name] for name in _choices(tables[0])},
        "values": {value: named.get(value) or words.label(value) for value in sorted(held)},
    }
    return {
        "script": f"assets/{anchor(outcome['id'])}-rows.js",
        "words": json.dumps(spoken, ensure_ascii=False),
        "files": [
            (spoken["questions"][t["about"]["question"]], table_path(table_data(outcome, t), len(t["rows"])))
            for t in tables
        ],
        "rho": words.numerals.show(tables[0]["rows"][0][-1], "tick"),
    }


def _questions(outcome: Record) -> Mapping[str, Wording]:
    """What each table of published numbers is about, as the update of the same question words it."""
    return {t["id"]: t["about"]["label"] for t in outcome["tables"] if t["kind"] == "published"}


def _named_rows(archive: Archive, links: Sequence[Ref]) -> list[ClaimRow]:
    found = (archive.claim(link["id"]) for link in links if link)
    return claim_rows(archive, [claim for claim in found if claim is not None])


def in_section(items: Sequence[Record], section: str) -> list[Record]:
    """The items that name this section as theirs."""
    return [item for item in items if item.get("section", "") == section]


def answers(outcome: Record) -> list[Record]:
    """The finding in short: its sentences under "answer", else the first of all."""
    # A finding that marks no answer still opens with the sentence its author put first.
    return in_section(outcome["sentences"], "answer") or outcome["sentences"][:1]


def parts(sentences: Sequence[Record]) -> list[dict[str, Any]]:
    """The answers to each question of a finding: the sentence that leads, how sure it is, and the rest.

    A sentence leads when it gives the answer to a question; one on the gap between bodies only adds to an answer.
    """
    found: list[dict[str, Any]] = []
    for sentence in sentences:
        values = sentence["values"]
        answer = ("question" in values and "gap" not in values) or sentence["key"].endswith(".lead")
        if answer or not found:
            found.append({"lead": sentence, "sure": [], "rest": []})
        else:
            found[-1]["sure" if "grade" in values else "rest"].append(sentence)
    return found


def _sections(outcome: Record, gallery: Gallery) -> Iterator[Mapping[str, Any]]:
    pictures = pictures_of(gallery, outcome)
    shown = {link["id"] for table in outcome["tables"] for link in table["links"] if link}
    shown |= {str(name) for p in pictures for name in p.data.columns.get("estimate", ())}
    drawn = {p.data.id for p in pictures}
    tables = [table for table in once(outcome["tables"]) if table["id"] not in drawn]
    estimates = [e for e in outcome["estimates"] if e["id"] not in shown]
    for section in SECTIONS:
        found: dict[str, Any] = {
            "sentences": in_section(outcome["sentences"], section),
            "pictures": [p for p in pictures if p.data.section == section],
            "estimates": in_section(estimates, section),
            "tables": in_section(tables, section),
        }
        if section == "answer":
            found["sentences"] = answers(outcome)
        # Claims of the works stand in "published" even where the analysis adds nothing of its own.
        if any(found.values()) or section == "published":
            yield {"name": section, **found}
