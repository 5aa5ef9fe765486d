"""The first figure of a finding: what is printed, what old and new samples give, and both together.

It is made of two kinds of tables of the finding's outcome: `published-<question>`, whose rows print a correlation,
and `update-<question>`, whose rows hold ours. Nothing is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from replication.claims import Claim
from replication.dataset import Dataset
from replication.errors import UserError
from replication.printed import parse_printed

__all__ = ["FINDINGS", "with_glance"]

FINDINGS = ("engagement", "achievement", "bullying", "mediation")
"""The findings that have a page, in their order."""
_COLUMNS = ("label", "value", "low", "high", "shown", "level", "row", "group")
_LONG = 7
Record = Mapping[str, Any]


def with_glance(outcome: Record, dataset: Dataset, claims: Sequence[Claim]) -> Record:
    """The outcome with the figure in front of its own; unchanged where it is no finding or has nothing to draw."""
    updates = [table for table in outcome["tables"] if table["id"].startswith("update-")]
    if outcome["id"] not in FINDINGS or not updates:
        return outcome
    printed = {claim.id: _printed(claim, dataset) for claim in claims}
    rows: dict[str, Record] = {}
    for update in updates:
        for row in _rows(outcome, update, printed):
            rows.setdefault(row["row"], row)
    columns = {name: [row[name] for row in rows.values()] for name in _COLUMNS}
    figure = {"id": "answer-glance", "kind": "agreement", "title": "At a glance", "columns": columns, "note": ""}
    return {**outcome, "figures": [{**figure, "settings": {"metric": "r"}}, *outcome["figures"]]}


def _rows(outcome: Record, update: Record, printed: Mapping[str, Record | None]) -> Iterator[Record]:
    """The printed correlations of a question, then ours."""
    question = update["id"].removeprefix("update-")
    group = update["title"].partition(":")[0]
    published = next((t for t in outcome["tables"] if t["id"] == f"published-{question}"), None)
    for name in published["links"] if published else ():
        claim = printed.get(name)
        if claim:
            yield {**claim, "group": group}
    places = [update["columns"].index(name) for name in ("r", "low", "high")]
    for cells, estimate in zip(update["rows"], update["links"], strict=True):
        value, low, high = (cells[place] for place in places)
        ours = {"label": cells[0], "value": value, "low": low, "high": high, "shown": "", "level": ""}
        yield {**ours, "row": estimate, "group": group}


def _printed(claim: Claim, dataset: Dataset) -> Record | None:
    """A claim that prints a correlation, as a row of the figure."""
    if claim.statistic != "r" or "value" not in claim.printed:
        return None
    value, low, high = (_value(claim.printed.get(part, "")) for part in ("value", "ci_low", "ci_high"))
    reference = dataset.references.get(claim.work)
    short = reference.short if reference else claim.work
    label = f"{short}, {claim.subgroup}" if claim.subgroup else short
    shown = claim.printed["value"]
    if "ci_low" in claim.printed and "ci_high" in claim.printed:
        shown = f"{shown} [{claim.printed['ci_low']}, {claim.printed['ci_high']}]" if len(shown) < _LONG else ""
    row = {"label": label, "value": value, "low": low, "high": high, "shown": shown, "level": "printed"}
    return {**row, "row": claim.id}


def _value(text: str) -> float | None:
    try:
        return parse_printed(text).value
    except UserError:
        return None
