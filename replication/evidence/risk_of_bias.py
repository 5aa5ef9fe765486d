"""Risk of bias of each sample from features that are on record: rules decide, impressions do not.

Each domain reads one or two columns. What no column says is unclear, also where somebody might guess it: the samples of
earlier syntheses carry a size and little else, so nearly everything about them is unclear. A coder's own judgement
(`risk_of_bias` in samples.csv or effects.csv) stands beside the rules and does not replace them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from replication.analysis.outcome import Cell, Findings, Number, Ref, Sentence, Table, numbers, placed, refs
from replication.dataset import Dataset
from replication.evidence.protocol import candidates

__all__ = ["DOMAINS", "Risk", "SampleFeatures", "features_of", "judged", "risk_of_bias"]

Risk = Literal["low", "some_concerns", "high", "unclear"]

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
    rows = candidates(data)
    rows = rows[rows["unit"] == data.vocabulary.person]
    open_samples = set(rows.loc[rows["body"] == "open", "sample_id"])
    samples = data.samples
    whole = samples[(samples["subgroup_of"] == "") & samples["sample_id"].isin(set(rows["sample_id"]))]
    public = whole["sample_id"].isin(open_samples)
    tables = []
    values: dict[str, Cell | Number] = {}
    for name, title, part in (
        ("open", "risk_open", whole[public]),
        ("published", "risk_published", whole[~public]),
    ):
        features = [features_of(data, rows, str(sample)) for sample in part["sample_id"]]
        labels = [str(label or sample) for label, sample in zip(part["label"], part["sample_id"], strict=True)]
        table = _table(name, title, labels, features)
        tables.append(table)
        unclear = sum(cell == "unclear" for row in table.rows for cell in row)
        counts = {f"{name}_unclear": unclear, f"{name}_cells": len(table.rows) * len(DOMAINS)}
        values |= numbers(counts, Ref("table", table.id))
    return Findings(tables=placed("more", tables), sentences=(Sentence("riskofbias.unclear", values, "answer"),))


def features_of(data: Dataset, rows: pd.DataFrame, sample: str) -> SampleFeatures:
    """What the tables hold about one sample; `rows` are the effects to look among."""
    own = rows[rows["sample_id"] == sample]
    record = data.samples[data.samples["sample_id"] == sample].iloc[0]
    described = data.table("descriptives.csv")
    described = described[described["sample_id"] == sample]
    # Rows without an informant say nothing; counted as different they would make a sample look better.
    known = own[(own["informant_a"] != "") & (own["informant_b"] != "")]
    flags = {flag.partition("=")[0] for cell in own["flags"] for flag in str(cell).split(";")}
    return SampleFeatures(
        sample=sample,
        same_informant=float((known["informant_a"] == known["informant_b"]).mean()) if len(known) else math.nan,
        missing_pct=_largest(described.get("missing_pct"), _unanswered(own, float(record["n"]))),  # the worst counts
        reliability=float(described["reliability"].min()) if len(described) else math.nan,
        one_item=_one_item(data, own),
        design=bool(own["n_effective"].notna().any() or own["value_weighted"].notna().any()),
        schools=_largest(pd.Series([record["schools"], record["clusters"]], dtype=float)),
        selected=bool(flags & set(_SELECTED)),
        sampling=str(record["sampling"]),
        response_pct=float(record["response_pct"]),
    )


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


def _largest(*series: pd.Series | None) -> float:
    """The largest number of some columns that may be missing or empty."""
    found = [float(s.max()) for s in series if s is not None and s.notna().any()]
    return max(found) if found else math.nan


def _unanswered(rows: pd.DataFrame, n: float) -> pd.Series:
    """The share of a sample, in per cent, that each row computed from a file is without.

    Of a printed row nothing follows: the n of its sample is usually the n of the print, whoever was left out before.
    """
    computed = rows.loc[rows["reading"] == "computed", "n"]
    return pd.Series(dtype=float) if math.isnan(n) or computed.empty else 100.0 * (1.0 - computed / n)


def _one_item(data: Dataset, rows: pd.DataFrame) -> bool:
    """Whether a measure of these rows is a single question."""
    measures = data.measures
    single = set(
        map(tuple, measures.loc[measures["form"] == "single item", ["work", "variable", "measure"]].to_numpy())
    )
    return any(key in single for key in _measures(rows))


def _measures(rows: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    for side in ("a", "b"):
        yield from zip(rows["work"], rows[f"var_{side}"], rows[f"measure_{side}"], strict=True)
