"""The published and the open-data body of a question side by side: their difference, and what else sets them apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from replication.analysis.outcome import Cell, Estimate, Label, Number, Ref, Sentence, Table, Text, numbers, of
from replication.evidence.bias_models import one_row_a_sample
from replication.evidence.estimators import back_transform, che
from replication.evidence.question import Evidence

__all__ = ["Compared", "compare_bodies", "difference_of", "recorded"]


@dataclass(frozen=True, slots=True)
class Compared:
    """The difference of the bodies as an estimate, the table of what sets them apart, and the sentence on both."""

    difference: Estimate
    table: Table
    sentence: Sentence


def compare_bodies(
    published: Evidence, open_data: Evidence, bodies: tuple[Estimate, Estimate] | None = None
) -> Compared:
    """Published less open data in r, with its interval, and what else the two bodies differ in.

    `bodies` are the main estimates of both, where a finding has its own; by default the working model of each.
    """
    ours = bodies or (_main(published, "published"), _main(open_data, "open-data"))
    gap = difference_of(*ours, id=f"bias-difference-{published.question.id}", label=published.question.label)
    second = ours[1]
    values: dict[str, Cell | Number] = {
        "question": published.question.id,
        "chance": "bodies_differ" if gap.low * gap.high > 0 else "bodies_unclear",
        **numbers(
            {"open": second.value, "open_low": second.low, "open_high": second.high, "samples": second.samples},
            Ref("table", f"bias-bodies-{published.question.id}"),
        ),
        **numbers({"difference": gap.value, "low": gap.low, "high": gap.high}, Ref("estimate", gap.id)),
    }
    table = _bodies_table(published, open_data, ours, gap)
    return Compared(gap, table, Sentence("bias.difference", values))


def _main(found: Evidence, name: str) -> Estimate:
    return back_transform(che(found), found, name, of(found.question.label, name))


def difference_of(first: Estimate, second: Estimate, *, id: str, label: Text) -> Estimate:  # noqa: A002
    """The difference of two independent means in r, first less second; its ends from the ends of both intervals.

    Source: Zou (2007, Psychological Methods 12:399), who squares the distance of each mean to the end that matters.
    It works with any intervals of the two, so also with posterior ones, and keeps their skewness.
    """
    value = first.value - second.value
    # The lower end hangs on how far the first may lie below and the second above: the other arms do not enter.
    low = value - np.hypot(first.value - first.low, second.high - second.value)
    high = value + np.hypot(first.high - first.value, second.value - second.low)
    return Estimate(
        id=id,
        label=of(label, "published_less_open_data"),
        metric="r",
        value=value,
        low=float(low),
        high=float(high),
        k=first.k + second.k,
        samples=first.samples + second.samples,
        group="bias",
        method={"interval": Label("interval_zou", {"year": 2007})},
        rows=(*first.rows, *second.rows),
    )


def _bodies_table(published: Evidence, open_data: Evidence, ours: tuple[Estimate, Estimate], gap: Estimate) -> Table:
    """Both bodies side by side: their means, and what differs between them beside selection."""
    rows: list[tuple[Cell, ...]] = [
        ("r", ours[0].value, ours[1].value),
        ("r_low", ours[0].low, ours[1].low),
        ("r_high", ours[0].high, ours[1].high),
        ("published_less_open_data", gap.value, None),
        ("difference_low", gap.low, None),
        ("difference_high", gap.high, None),
        ("samples", ours[0].samples, ours[1].samples),
        *((what, describe(published), describe(open_data)) for what, describe in _DESCRIBED),
    ]
    return Table(
        id=f"bias-bodies-{published.question.id}",
        title=of(published.question.label, "published_and_open"),
        columns=("what", "published", "open_data"),
        rows=tuple(rows),
        note="bodies_note",
    )


def _median_n(found: Evidence) -> float:
    return float(np.median(one_row_a_sample(found).rows["n"].to_numpy(float)))


def _share(found: Evidence, column: Callable[[Evidence], list[bool | None]]) -> Cell:
    """The share of rows of which something is true, or that it is not known of most of them."""
    # A share of the few rows where it is known would pass for a share of all.
    known = [value for value in column(found) if value is not None]
    return Label("share", {"share": sum(known) / len(known)}) if 2 * len(known) > len(found.y) else "not_known"


def _same_informant(found: Evidence) -> list[bool | None]:
    pairs = zip(recorded(found, "informant_a"), recorded(found, "informant_b"), strict=True)
    return [a == b if a and b else None for a, b in pairs]


def _single_item(found: Evidence) -> list[bool | None]:
    return [form == "single item" if form else None for form in recorded(found, "form_rel")]


def recorded(found: Evidence, column: str) -> list[str]:
    """The cells of a column as text; empty where nothing is recorded, or the rows do not have the column."""
    if column not in found.rows:
        return [""] * len(found.y)
    return ["" if pd.isna(cell) else str(cell) for cell in found.rows[column]]


def _countries(found: Evidence) -> Cell:
    known = {country for country in recorded(found, "country") if country}
    return len(known) if known else "not_known"


_DESCRIBED: tuple[tuple[str, Callable[[Evidence], Cell]], ...] = (
    ("median_n_of_a_sample", _median_n),
    ("rows_same_informant", lambda found: _share(found, _same_informant)),
    ("rows_one_item", lambda found: _share(found, _single_item)),
    ("countries", _countries),
)
