"""Pages about the whole: methods and validation, frequent questions, what is still to be read, traps, provenance."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from replication.report.archive import Archive, Record
from replication.report.gallery import Gallery
from replication.report.making import Given, Plan
from replication.report.pages import overview, sources
from replication.report.pages.claims import claim_rows, pictures_of
from replication.report.view import Page
from replication.report.words import Words, load_words

__all__ = ["plans", "provenance"]


def plans(archive: Archive, language: str) -> Iterator[Plan]:
    """The pages about the whole in one language."""
    shown: dict[str, Callable[[Given], Mapping[str, Any]]] = {
        "methods": lambda given: _methods(given.archive, given.gallery),
        "missing": lambda given: _missing(given.archive),
        "traps": lambda given: {"traps": given.archive.dataset.traps, "current": "traps"},
    }
    if archive.menu.holds("faq"):
        shown["faq"] = lambda given: {"questions": _questions(given.archive, given.words), "current": "faq"}
    for name, values in shown.items():
        path = archive.menu.address(f"{name}.html", language)
        yield Plan(path, language, partial(_page, name=name, path=path, values=values))
    path = archive.menu.address("sources.html", language)
    yield Plan(path, language, lambda given: [sources.page(given.archive, given.words)])


def _page(given: Given, name: str, path: str, values: Callable[[Given], Mapping[str, Any]]) -> list[Page]:
    return [Page(path, f"{name}.html", given.words.say(f"title.{name}"), values(given), given.words)]


def provenance(given: Given) -> list[Page]:
    """What the report was made from: names of files, versions and digests, which have one language."""
    values = {"run": given.archive.run, "outcomes": given.archive.outcomes, "current": "provenance"}
    return [Page("provenance.html", "provenance.html", given.words.say("title.provenance"), values, given.words)]


def _questions(archive: Archive, words: Words) -> list[Mapping[str, Any]]:
    """The frequent questions with their answers; each closes with a generated sentence, where it names one."""
    whole = [overview.reading(archive), _at_home(archive)]
    found = []
    for question in words.table["faq"].values():
        outcome = archive.outcome(question["finding"])
        sentences = outcome["sentences"] if outcome else whole
        named = [s for s in sentences if question["sentence"] and question["sentence"] in s["key"]]
        # A question is met by the answer, not by what an earlier section says beside it.
        named.sort(key=lambda sentence: sentence.get("section") != "answer")
        page = overview.existing(archive, question["page"])
        found.append({**question, "page": page, "outcome": outcome["id"] if outcome else "faq", "sentences": named[:1]})
    # Without its sentence a question may have no answer in this run.
    return [question for question in found if question["answer"] or question["sentences"]]


def _at_home(archive: Archive) -> Record:
    """How many samples of persons and of schools are of the readers' country, however it is written."""
    english = load_words("en")
    samples = [row for row in archive.table("samples.csv") if not row["subgroup_of"]]
    home, person = english.country(archive.menu.country), archive.dataset.vocabulary.person
    counts = {
        "all": sum(row["unit"] == person for row in samples),
        "students": sum(row["unit"] == person and english.country(row["country"]) == home for row in samples),
        "schools": sum(row["unit"] == "school" and english.country(row["country"]) == home for row in samples),
    }
    return {"key": "faq.country", "values": {name: overview.count(value, "dataset") for name, value in counts.items()}}


def _methods(archive: Archive, gallery: Gallery) -> Mapping[str, Any]:
    """What the page of methods shows: rules, words and signs, then how the software was checked and what was chosen."""
    choices: dict[str, Counter[str]] = {}
    for outcome in archive.outcomes:
        for estimate in outcome["estimates"]:
            for name, choice in estimate["method"].items():
                # Counted over the outcomes: a list of methods written by hand would fall behind them.
                # By its text, since a choice may be a label with values.
                choices.setdefault(name, Counter())[json.dumps(choice)] += 1
    validation = archive.outcome("validation")
    return {
        "choices": {
            name: [(json.loads(choice), count) for choice, count in counter.most_common()]
            for name, counter in sorted(choices.items())
        },
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
