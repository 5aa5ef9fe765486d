"""Printed directions beside open data: does the same pair, at the same unit, point the same way where we can count?

Of many printed results only the direction could be read. For each, the samples computed from public files that hold
the same pair of constructs at the same unit are pooled, and one of five words says what they show. The word is no
verdict on the print: its size is unknown, and its persons are others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from replication.analysis.outcome import (
    Cell,
    Estimate,
    Findings,
    Label,
    Number,
    Ref,
    Sentence,
    Table,
    Text,
    placed,
    refs,
)
from replication.dataset import Dataset, Selection, select
from replication.dataset.schema import Vocabulary
from replication.effects.correlation import back_to_r
from replication.effects.covariance import constant_correlation
from replication.evidence.pooling import effect_sizes, estimate_r
from replication.evidence.protocol import open_ids
from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.multilevel.robust import robust
from replication.models.multilevel.structure import BlockV
from replication.models.probability import normal_isf

__all__ = ["Says", "direction_support", "open_rows", "says"]

Says = Literal["same_beyond_zero", "same_sign", "opposite", "no_sample", "no_sign"]
"""What open data say of a printed direction: the same sign with an interval that excludes zero, the same sign, the
opposite sign, no sample of that pair and unit, or nothing because the print names no sign."""

RHO = 0.6  # rows of one sample share persons: the value of the robust variance literature (Tanner-Smith & Tipton, 2014)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A pair of constructs at one unit: what a direction is about, in the words of the effects table."""

    relationship: str
    outcome: str
    unit: str

    @property
    def id(self) -> str:
        """The id of its pool."""
        return f"open-{self.relationship}-{self.outcome}-{self.unit}"


def direction_support(data: Dataset) -> Findings:
    """Each printed direction with the pool of the same pair in open data, and how many have one on their side."""
    pools: dict[_Pair, Estimate | None] = {}
    rows: list[tuple[Cell, ...]] = []
    directions = data.directions.to_dict("records")
    for row in directions:
        pair = _pair(row, data.vocabulary)
        # Many directions are about one pair: it is pooled once.
        if pair and pair not in pools:
            pools[pair] = _pool(data, pair)
        pool = pools.get(pair) if pair else None
        rows.append(_row(row, pool))
    links = refs("row", (row["direction_id"] for row in directions))
    table = Table(
        id="open-data",
        title="directions_and_open_data",
        columns=("work", "association", "direction", "level", "open_data", "r", "low", "high", "samples"),
        rows=tuple(rows),
        links=links,
        note="directions_note",
    )
    estimates = tuple(pool for pool in pools.values() if pool)
    counts = Counter(str(row[4]) for row in rows)
    numbers = {word: Number(counts[word], Ref("table", table.id)) for word in get_args(Says)}
    total = Number(len(rows), Ref("page", "missing"))
    return Findings(
        estimates=placed("directions", estimates),
        tables=placed("directions", [table]),
        sentences=(Sentence("directions.support", {"all": total, **numbers}, "answer"),),
    )


def says(direction: str, pool: Estimate | None) -> Says:
    """What a pool says of a printed direction ("+", "-", "0" or "?").

    >>> says("+", None)
    'no_sample'
    """
    if direction not in ("+", "-"):
        return "no_sign"
    if pool is None:
        return "no_sample"
    # The sign first: an interval beyond zero on the other side is "opposite", not a weaker yes.
    if (pool.value > 0) != (direction == "+"):
        return "opposite"
    return "same_beyond_zero" if pool.low * pool.high > 0 else "same_sign"


def open_rows(data: Dataset, pair: tuple[str, str], unit: str) -> Selection:
    """The correlations of a pair at one unit that this project computed from public files, whole samples only."""
    nobodys = open_ids(data)
    found = select(data, pair=pair, unit=unit).keep(lambda r: r["effect_id"].isin(nobodys), "printed_by_somebody")
    return found.keep(lambda r: r["subgroup_of"] == "", "part_of_another_sample")


def _pair(row: Mapping[Any, Any], vocabulary: Vocabulary) -> _Pair | None:
    """The constructs and the unit of a direction; None where one of them is several, or is held for no sample."""
    said = [vocabulary.stands_for(str(row[name])) for name in ("predictor_construct", "outcome_domain", "level")]
    # A direction about several constructs cannot be set beside the pool of one.
    return _Pair(*(words[0] for words in said)) if all(len(words) == 1 for words in said) else None


def _row(row: Mapping[Any, Any], pool: Estimate | None) -> tuple[Cell, ...]:
    numbers: tuple[Cell, ...] = (pool.value, pool.low, pool.high, pool.samples) if pool else (None, None, None, None)
    printed = (str(row["work"]), str(row["association"]), str(row["direction"]), str(row["level"]))
    return (*printed, says(str(row["direction"]), pool), *numbers)


def _pool(data: Dataset, pair: _Pair) -> Estimate | None:
    """The pool of a pair: rows in samples with CR2 by sample; of a single sample its mean; None without any row."""
    found = open_rows(data, (pair.relationship, pair.outcome), pair.unit)
    if not len(found):
        return None
    label = Label("direction_pool", {"a": pair.relationship, "b": pair.outcome, "unit": pair.unit})
    samples = found.rows["sample_id"].to_numpy()
    # One sample has no variance between samples; a model with it would report the bound as a finding.
    if len(set(samples)) == 1:
        return _one_sample(found, pair.id, label)
    y, v = effect_sizes(found)
    fit = fit_multilevel(y, BlockV.constant_correlation(v, samples, RHO), {"sample": samples})
    return estimate_r(robust(fit, kind="CR2", clusters=samples), found, id=pair.id, label=label, group="open_data")


def _one_sample(found: Selection, name: str, label: Text) -> Estimate:
    """The mean of the rows of one sample, with the variance of a mean of rows that correlate by RHO."""
    y, v = effect_sizes(found)
    mean, se = float(y.mean()), float(np.sqrt(constant_correlation(v, RHO).sum())) / len(y)
    half = float(normal_isf(0.025)) * se
    value, low, high = (float(back_to_r(z)) for z in (mean, mean - half, mean + half))
    return Estimate(
        id=name,
        label=label,
        metric="r",
        value=value,
        low=low,
        high=high,
        k=len(y),
        samples=1,
        n=found.persons,
        group="open_data",
        method={"model": "mean_of_one_sample", "rho of its rows": f"{RHO:g}"},
        rows=tuple(found.rows["effect_id"]),
    )
