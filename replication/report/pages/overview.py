"""The first page (what holds, what does not, the findings), and the article's statements beside the evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from replication.claims import SECOND_HAND
from replication.dataset.records import Statement
from replication.report.archive import Archive, Record
from replication.report.making import Plan
from replication.report.pages.claims import (
    ClaimRow,
    claim_rows,
    reasons_of,
    sorted_rows,
    tally,
    tally_by_group,
    unexplained,
)
from replication.report.pages.findings import answers, further, in_section
from replication.report.view import Page
from replication.report.words import Words

__all__ = ["article_page", "count", "existing", "page", "plans", "reading"]


def plans(archive: Archive, language: str) -> Iterator[Plan]:
    """The overview in one language, and the page of the article where there is one."""
    yield Plan(archive.menu.address("index.html", language), language, lambda given: [page(given.archive, given.words)])
    if archive.menu.holds("article"):
        path = archive.menu.address("article.html", language)
        yield Plan(path, language, lambda given: [article_page(given.archive, given.words)])


def page(archive: Archive, words: Words) -> Page:
    """The overview in one language."""
    rows = claim_rows(archive, archive.claims)
    path = archive.menu.address("index.html", words.language)
    read = reading(archive)
    values = {
        "lead": _lead(archive, rows),
        "groups": tally_by_group(rows),
        "read": read,
        "read_first": _part(read, "first", ("full", "cited")),
        "read_numbers": _part(read, "numbers", ("held", "abstract", "second", "text")),
        "total": len(rows),
        "reasons": reasons_of(archive, sorted_rows(archive)),
        "unexplained": unexplained(rows),
        "findings": [_card(archive, words, name) for name in archive.menu.findings],
        "further": [*further(archive), *(o for o in archive.outcomes if o["kind"] == "simulated")],
        "questions": [
            {**q, "page": existing(archive, q["page"])}
            for q in words.table["questions"].values()
            if _leads_somewhere(archive, q["page"])
        ],
        "most": 12,
        "current": "index",
    }
    return Page(path, "index.html", words.say("title.index"), values, words)


def _part(sentence: Record, name: str, values: Sequence[str]) -> Record:
    """The part of a sentence that stands on its own elsewhere, with the values it needs."""
    return {"key": f"{sentence['key']}_{name}", "values": {value: sentence["values"][value] for value in values}}


def _lead(archive: Archive, rows: list[ClaimRow]) -> Record:
    """The counts the first sentence is made of."""
    person = archive.dataset.vocabulary.person
    effects = Counter(archive.table("effects.csv").column("unit"))
    # A part of a sample is no further sample: counted with its whole it would be counted twice.
    samples = [row for row in archive.table("samples.csv") if row["unit"] == person and not row["subgroup_of"]]
    return {
        "key": "overview.lead",
        "values": {
            "claims": count(sum(row.claim.statistic != "direction" for row in rows), "claims"),
            "directions": count(sum(row.claim.statistic == "direction" for row in rows), "missing"),
            "works": count(len({row.claim.work for row in rows}), "works"),
            "held": count(len(archive.dataset.works), "works"),
            "cited": count(len(archive.dataset.cited()), "article"),
            "effects": count(effects[person], "dataset"),
            "samples": count(len(samples), "dataset"),
            "school": count(effects["school"], "dataset"),
        },
    }


def reading(archive: Archive) -> Record:
    """How many of the works the article lists were read in full: the first thing to know of everything else."""
    listed = archive.menu.holds("article")  # else every work is one that the report is about
    works = archive.dataset.works
    about = [works[key] for key in archive.dataset.cited()] if listed else list(works.values())
    grades = Counter(claim.reading for claim in archive.claims if claim.group == "cited" or not listed)
    counts = {"full": sum(work.read_in_full for work in about), "cited": len(about)}
    numbers = {
        "held": grades.total(),
        "abstract": grades["abstract"],
        "second": sum(grades[grade] for grade in SECOND_HAND),
        "text": sum(grades[grade] for grade in grades if grade not in ("abstract", *SECOND_HAND)),
    }
    values = {name: count(value, "article" if listed else "works") for name, value in counts.items()}
    values |= {name: count(value, "claims#of-cited" if listed else "claims") for name, value in numbers.items()}
    return {"key": "overview.read" if listed else "overview.read_all", "values": values}


def count(value: int, page: str) -> Record:
    """A count of the whole dataset, which leads to the page that lists what is counted."""
    return {"value": value, "ref": {"kind": "page", "id": page}}


def _card(archive: Archive, words: Words, name: str) -> Mapping[str, Any]:
    outcome = archive.outcome(name)
    found = answers(outcome) if outcome else []
    return {"name": name, "outcome": outcome, "answers": found, "title": words.say(f"title.{name}")}


def existing(archive: Archive, page: str) -> str:
    """The address of a section of a finding, without the section where no item of the finding stands in it."""
    path, _, section = page.partition("#")
    if not path.startswith("findings/"):
        return page
    outcome = archive.outcome(path.removeprefix("findings/").removesuffix(".html")) or {}
    items = [item for kind in ("estimates", "tables", "figures", "sentences") for item in outcome.get(kind, ())]
    return page if any(item.get("section") == section for item in items) else path


def _leads_somewhere(archive: Archive, page: str) -> bool:
    """Whether a page of the questions exists; that of a work does when the dataset has the work."""
    folder, _, rest = page.partition("#")[0].rpartition("/")
    return folder != "works" or rest.removesuffix(".html") in archive.dataset.works


def article_page(archive: Archive, words: Words) -> Page:
    """The article page in one language."""
    path = archive.menu.address("article.html", words.language)
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
