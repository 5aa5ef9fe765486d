"""Everything a report can show, indexed: where each id lives, which check answers which claim.

Paths are relative to the report's root; a page turns them into relative addresses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replication.claims import Claim, claims_of
from replication.dataset import Dataset

__all__ = ["FINDINGS", "Archive", "RowPage", "anchor", "make_archive", "outcome_page", "plain_cell"]

_LARGEST_ROW_PAGE = 560
FINDINGS = ("engagement", "achievement", "bullying")

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class RowPage:
    """One page of effect rows of one work."""

    path: str
    work: str
    part: str
    rows: Sequence[Record]


@dataclass(frozen=True, slots=True, eq=False)
class Archive:
    """The dataset and the outcomes, with the indexes pages need. `places` maps an id to page and anchor."""

    dataset: Dataset
    outcomes: Sequence[Record]
    run: Record
    claims: Sequence[Claim]
    checks: Mapping[str, Record]
    row_pages: Sequence[RowPage]
    places: Mapping[str, str]

    def outcome(self, name: str) -> Record | None:
        """The outcome with this id, if it was run."""
        return next((o for o in self.outcomes if o["id"] == name), None)

    def place(self, name: str, outcome: str = "") -> str:
        """Where an id lives: first within the outcome that names it, then anywhere; empty when nowhere."""
        return self.places.get(f"{outcome}/{name}") or self.places.get(name, "")

    def claims_of(self, work: str) -> list[Claim]:
        """The claims of one work."""
        return [claim for claim in self.claims if claim.work == work]

    def verdict(self, claim: Claim) -> str:
        """The verdict on a claim; PENDING where no analysis of this run looked at it."""
        check = self.checks.get(claim.id)
        return str(check["verdict"]) if check else "PENDING"

    def short(self, work: str) -> str:
        """Authors and year of a work as cited in running text."""
        reference = self.dataset.references.get(work)
        return reference.short if reference else work

    def table(self, name: str, work: str = "") -> list[Record]:
        """The rows of a table of the dataset, of one work when asked, with plain cells."""
        frame = self.dataset.table(name)
        if work:
            frame = frame[frame["work"] == work]
        return [{str(k): plain_cell(v) for k, v in row.items()} for row in frame.to_dict("records")]


def make_archive(dataset: Dataset, outcomes: Sequence[Record], run: Record) -> Archive:
    """Index a dataset and its outcomes."""
    row_pages = tuple(_row_pages(dataset))
    claims = claims_of(dataset)
    checks = {check["claim"]["id"]: {**check, "analysis": o["id"]} for o in outcomes for check in o["checks"]}
    places: dict[str, str] = {}
    for name, place in _places(dataset, outcomes, claims, row_pages):
        places.setdefault(name, place)
    return Archive(dataset, tuple(outcomes), run, claims, checks, row_pages, places)


def outcome_page(outcome: Record) -> str:
    """The page of an analysis: its estimates with every choice, rows used and rows left out."""
    return f"analyses/{anchor(outcome['id'])}.html"


def anchor(name: str) -> str:
    """An id as it may stand in an address: letters, digits, dots, dashes and underscores.

    >>> anchor("positive with engagement: <all>")
    'positive-with-engagement-all'
    """
    return re.sub(r"[^\w.]+", "-", name, flags=re.ASCII).strip("-") or "x"


def plain_cell(value: object) -> Any:
    """A cell of a table as text, number or None; NaN is None."""
    if value is None or value != value:  # noqa: PLR0124 - NaN and NA differ from themselves
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1e15 else value if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") else value


def _row_pages(dataset: Dataset) -> Iterator[RowPage]:
    frame = dataset.effects
    for work, rows in frame.groupby("work", sort=False):
        key = str(work)
        if len(rows) <= _LARGEST_ROW_PAGE:
            yield RowPage(f"rows/{key}.html", key, "", _records(rows))
            continue
        for cycle, part in rows.groupby("cycle", sort=True):
            for number, start in enumerate(range(0, len(part), _LARGEST_ROW_PAGE)):
                name = str(cycle) + (f"-{number + 1}" if number else "")
                chunk = part.iloc[start : start + _LARGEST_ROW_PAGE]
                yield RowPage(f"rows/{key}-{anchor(name)}.html", key, name, _records(chunk))


def _records(frame: Any) -> list[Record]:
    return [{str(k): plain_cell(v) for k, v in row.items()} for row in frame.to_dict("records")]


def _places(
    dataset: Dataset, outcomes: Sequence[Record], claims: Sequence[Claim], row_pages: Sequence[RowPage]
) -> Iterator[tuple[str, str]]:
    for work in dataset.works:
        yield work, f"works/{work}.html"
    for claim in claims:
        yield claim.id, f"works/{claim.work}.html#{anchor(claim.id)}"
    for page in row_pages:
        for row in page.rows:
            yield row["effect_id"], f"{page.path}#{anchor(row['effect_id'])}"
            yield row["sample_id"], f"{page.path}#{anchor(row['effect_id'])}"
    for name, page_path, column in (
        ("directions.csv", "missing.html", "direction_id"),
        ("leads.csv", "missing.html", "lead_id"),
        ("screened.csv", "screening.html", "effect_id"),
    ):
        for identifier in dataset.table(name)[column]:
            yield identifier, f"{page_path}#{anchor(identifier)}"
    for trap in dataset.traps:
        yield f"trap:{trap.id}", f"traps.html#{anchor(trap.id)}"
    for outcome in outcomes:
        yield from _outcome_places(outcome)
    yield from ((f"page:{name}", f"{name}.html") for name in _PAGES)


_PAGES = ("index", "claims", "works", "dataset", "methods", "missing", "traps", "screening", "article", "changes")


def _outcome_places(outcome: Record) -> Iterator[tuple[str, str]]:
    name, page = outcome["id"], outcome_page(outcome)
    yield f"analysis:{name}", page
    for group in ("estimates", "tables", "figures"):
        for item in outcome[group]:
            target = f"{page}#{anchor(item['id'])}"
            if group == "figures":
                target = f"figures/{anchor(name)}--{anchor(item['id'])}.html"
            yield f"{name}/{item['id']}", target
            yield item["id"], target
    yield name, page
