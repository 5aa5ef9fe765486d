"""Risk of bias of each sample from features that are on record: rules decide, impressions do not.

Each domain reads one or two columns. What no column says is unclear, also where somebody might guess it: the samples of
earlier syntheses carry a size and little else, so nearly everything about them is unclear. A coder's own judgement
(`risk_of_bias` in samples.csv or effects.csv) stands beside the rules and does not replace them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from replication.analysis.outcome import Cell, Findings, Number, Ref, Sentence, Table, numbers, placed, refs
from replication.dataset import Dataset
from replication.dataset.columns import Columns
from replication.evidence.protocol import open_ids

__all__ = ["DOMAINS", "Risk", "SampleFeatures", "features_of", "judged", "risk_of_bias"]

Risk = Literal["low", "some_concerns", "high", "unclear"]
_Record = dict[str, Any]  # a row of a table
_Measure = tuple[str, str, str]  # work, variable, measure

# The shares at which missing answers begin to matter and to worry: 5 and 20 per cent, the customary marks of the
# missing-data literature (Schafer, 1999; Schulz & Grimes, 2002). Reliability: .80 and .60, after Nunnally (1978) for
# research use and for the least that is still reported as a scale.
_MISSING = (5.0, 20.0)
_RELIABILITY = (0.80, 0.60)
_RESPONSE = 80.0  # per cent: what the large school surveys ask of a country before they report it without a mark
_SELECTED = ("range_restricted", "extreme_groups")


@dataclass(frozen=True, slots=True)
class SampleFeatures:
    """What is on record about one sample; NaN or empty where nothing is.

    `same_informant` is the share of its rows in which one person reports both sides, `missing_pct` the largest share of
    missing answers of a measure, `reliability` the smallest of its scales, `one_item` whether a relationship or outcome
    is a single question, `design` whether weights or an effective n enter its rows, `schools` the number of clusters,
    `selected` whether rows are flagged as cut by a variable; `sampling` and `response_pct` say how its members came in.
    """

    sample: str
    same_informant: float
    missing_pct: float
    reliability: float
    one_item: bool
    design: bool
    schools: float
    selected: bool
    sampling: str
    response_pct: float


def risk_of_bias(data: Dataset) -> Findings:
    """The table of domains by sample, students' samples of public files first, and how many domains are unclear."""
    effects = data.columns("effects.csv")
    persons = effects.where(unit == data.vocabulary.person for unit in effects["unit"])
    rows, nobodys = persons.only(*_ASKED).frame(), open_ids(data)
    open_samples = {sample for sample, name in persons.rows("sample_id", "effect_id") if name in nobodys}
    samples = data.samples
    whole = samples[(samples["subgroup_of"] == "") & samples["sample_id"].isin(set(rows["sample_id"]))]
    public = whole["sample_id"].isin(open_samples)
    tables = []
    values: dict[str, Cell | Number] = {}
    for name, title, part in (
        ("open", "risk_open", whole[public]),
        ("published", "risk_published", whole[~public]),
    ):
        features = features_of(data, rows, part["sample_id"])
        labels = [str(label or sample) for label, sample in zip(part["label"], part["sample_id"], strict=True)]
        table = _table(name, title, labels, features)
        tables.append(table)
        unclear = sum(cell == "unclear" for row in table.rows for cell in row)
        counts = {f"{name}_unclear": unclear, f"{name}_cells": len(table.rows) * len(DOMAINS)}
        values |= numbers(counts, Ref("table", table.id))
    return Findings(tables=placed("more", tables), sentences=(Sentence("riskofbias.unclear", values, "answer"),))


def features_of(data: Dataset, rows: pd.DataFrame, samples: Iterable[str]) -> list[SampleFeatures]:
    """What the tables hold about some samples; `rows` are the effects to look among."""
    # Split once, as plain records: to ask a frame for the rows of each sample takes a hundred times as long.
    records = {record["sample_id"]: record for record in data.columns("samples.csv").records()}
    own, described = (
        _by_sample(Columns.of(rows[list(_ASKED)]).records()),
        _by_sample(data.columns("descriptives.csv").records()),
    )
    measures = data.columns("measures.csv").rows("work", "variable", "measure", "form")
    single = {(work, variable, measure) for work, variable, measure, form in measures if form == "single item"}
    return [_features(records[sample], own[sample], described[sample], single) for sample in samples]


def _features(record: _Record, rows: list[_Record], described: list[_Record], single: set[_Measure]) -> SampleFeatures:
    # Rows without an informant say nothing; counted as different they would make a sample look better.
    known = [row for row in rows if row["informant_a"] != "" and row["informant_b"] != ""]
    same = [row["informant_a"] == row["informant_b"] for row in known]
    flags = {flag.partition("=")[0] for row in rows for flag in str(row["flags"]).split(";")}
    missing = [*(row["missing_pct"] for row in described), *_unanswered(rows, float(record["n"]))]
    return SampleFeatures(
        sample=record["sample_id"],
        same_informant=sum(same) / len(same) if same else math.nan,
        missing_pct=_largest(missing),  # the worst counts
        reliability=-_largest([-row["reliability"] for row in described]),
        one_item=any(key in single for row in rows for key in _measures(row)),
        design=any(not math.isnan(row[name]) for row in rows for name in ("n_effective", "value_weighted")),
        schools=_largest([record["schools"], record["clusters"]]),
        selected=bool(flags & set(_SELECTED)),
        sampling=str(record["sampling"]),
        response_pct=float(record["response_pct"]),
    )


# What is asked of a row, which has seventy columns.
_ASKED = (
    "sample_id", "work", "var_a", "var_b", "measure_a", "measure_b", "informant_a", "informant_b", "flags", "n",
    "n_effective", "value_weighted", "reading",
)  # fmt: skip


def _by_sample(records: Iterable[_Record]) -> defaultdict[str, list[_Record]]:
    found: defaultdict[str, list[_Record]] = defaultdict(list)
    for record in records:
        found[record["sample_id"]].append(record)
    return found


def _sampling(f: SampleFeatures) -> Risk:
    """Low needs the whole sample of a survey with its response on record; rows selected by a variable are high."""
    if f.selected or f.sampling == "not a probability sample":
        return "high"
    if f.sampling == "whole file":
        return "low" if f.response_pct >= _RESPONSE else "some_concerns"
    return "some_concerns" if f.sampling == "extract" else "unclear"


def _missing_answers(f: SampleFeatures) -> Risk:
    if math.isnan(f.missing_pct):
        return "unclear"
    few, many = _MISSING
    return "low" if f.missing_pct <= few else "some_concerns" if f.missing_pct <= many else "high"


def _informants(f: SampleFeatures) -> Risk:
    """One person on both sides inflates a correlation by shared method: high where that holds for every row."""
    if math.isnan(f.same_informant):
        return "unclear"
    return "low" if f.same_informant == 0 else "high" if f.same_informant == 1 else "some_concerns"


def _reliability(f: SampleFeatures) -> Risk:
    good, least = _RELIABILITY
    if math.isnan(f.reliability):
        return "some_concerns" if f.one_item else "unclear"
    if f.reliability < least:
        return "high"
    return "some_concerns" if f.one_item or f.reliability < good else "low"


def _clusters(f: SampleFeatures) -> Risk:
    """Students sit in schools: a standard error that takes no account of known clusters is too small."""
    if f.design:
        return "low"
    return "some_concerns" if f.schools > 1 else "unclear"


DOMAINS = {
    "sampling": _sampling,
    "missing_answers": _missing_answers,
    "informants": _informants,
    "reliability": _reliability,
    "clusters": _clusters,
}
"""The domains in the order of the table, each with its rule."""


def judged(features: SampleFeatures) -> dict[str, Risk]:
    """The risk in each domain."""
    return {name: rule(features) for name, rule in DOMAINS.items()}


def _table(name: str, title: str, labels: Sequence[str], features: Sequence[SampleFeatures]) -> Table:
    rows = tuple(
        (label, *judged(f).values(), *map(_cell, (f.same_informant, f.missing_pct, f.reliability, f.schools)))
        for label, f in zip(labels, features, strict=True)
    )
    read = ("same_informant_share", "missing_answers_percent", "lowest_reliability", "schools")
    return Table(
        id=f"risk-{name}",
        title=title,
        columns=("sample", *DOMAINS, *read),
        rows=rows,
        links=refs("row", (f.sample for f in features)),
        note="risk_note",
    )


def _cell(value: float) -> float | None:
    return None if math.isnan(value) else value


def _largest(found: Sequence[float]) -> float:
    """The largest of some numbers that may be unknown; NaN where all are."""
    return max((x for x in found if not math.isnan(x)), default=math.nan)


def _unanswered(rows: Sequence[_Record], n: float) -> list[float]:
    """The share of a sample, in per cent, that each row computed from a file is without.

    Of a printed row nothing follows: the n of its sample is usually the n of the print, whoever was left out before.
    """
    return [100.0 * (1.0 - row["n"] / n) for row in rows if row["reading"] == "computed"]


def _measures(row: _Record) -> Iterator[_Measure]:
    for side in ("a", "b"):
        yield row["work"], row[f"var_{side}"], row[f"measure_{side}"]
