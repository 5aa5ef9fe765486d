"""Rules of risk of bias, each on both sides of where it turns; what is not on record is unclear."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pandas as pd
import pytest

from replication.analysis import Findings, Ref
from replication.analysis.outcome import Number
from replication.dataset import Dataset
from replication.dataset.columns import Columns
from replication.evidence.risk_of_bias import DOMAINS, SampleFeatures, features_of, judged, risk_of_bias

UNKNOWN = SampleFeatures(
    sample="s", same_informant=math.nan, missing_pct=math.nan, reliability=math.nan, one_item=False, design=False,
    schools=math.nan, selected=False, sampling="", response_pct=math.nan,
)  # fmt: skip


def test_a_sample_without_any_record_is_unclear_in_every_domain() -> None:
    assert set(judged(UNKNOWN).values()) == {"unclear"}


@pytest.mark.parametrize(
    ("domain", "changes", "risk"),
    [
        ("sampling", {"sampling": "whole file", "response_pct": 80.0}, "low"),
        ("sampling", {"sampling": "whole file", "response_pct": 79.9}, "some_concerns"),
        ("sampling", {"sampling": "whole file"}, "some_concerns"),
        ("sampling", {"sampling": "extract"}, "some_concerns"),
        ("sampling", {"sampling": "not a probability sample", "response_pct": 99.0}, "high"),
        ("sampling", {"sampling": "whole file", "response_pct": 99.0, "selected": True}, "high"),
        ("missing_answers", {"missing_pct": 5.0}, "low"),
        ("missing_answers", {"missing_pct": 5.1}, "some_concerns"),
        ("missing_answers", {"missing_pct": 20.0}, "some_concerns"),
        ("missing_answers", {"missing_pct": 20.1}, "high"),
        ("informants", {"same_informant": 0.0}, "low"),
        ("informants", {"same_informant": 0.5}, "some_concerns"),
        ("informants", {"same_informant": 1.0}, "high"),
        ("reliability", {"reliability": 0.80}, "low"),
        ("reliability", {"reliability": 0.79}, "some_concerns"),
        ("reliability", {"reliability": 0.60}, "some_concerns"),
        ("reliability", {"reliability": 0.59}, "high"),
        ("reliability", {"reliability": 0.90, "one_item": True}, "some_concerns"),
        ("reliability", {"one_item": True}, "some_concerns"),
        ("clusters", {"design": True, "schools": 40.0}, "low"),
        ("clusters", {"schools": 40.0}, "some_concerns"),
        ("clusters", {"schools": 1.0}, "unclear"),
    ],
)
def test_each_rule_on_both_sides(domain: str, changes: dict[str, object], risk: str) -> None:
    assert judged(replace(UNKNOWN, **changes))[domain] == risk  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def findings(dataset: Dataset) -> Findings:
    return risk_of_bias(dataset)


def test_the_45_samples_are_unclear_throughout(findings: Findings) -> None:
    table = next(t for t in findings.tables if t.id == "risk-published")
    published = [bool(link and link.id.startswith("roorda2011_")) for link in table.links]
    rows = list(itertools.compress(table.rows, published))
    assert len(rows) == 45
    assert {cell for row in rows for cell in row[1:6]} == {"unclear"}


def test_a_public_file_has_its_features_in_the_row(findings: Findings) -> None:
    table = next(t for t in findings.tables if t.id == "risk-open")
    row = dict(zip(table.columns, table.rows[table.links.index(Ref("row", "hbsc2010_usa"))], strict=True))
    assert (row["informants"], row["clusters"], row["schools"]) == ("high", "low", 283.0)  # students on both sides
    assert row["lowest_reliability"] == pytest.approx(0.894)


def test_the_sentence_counts_the_cells_of_its_tables(findings: Findings) -> None:
    values = {name: value.value for name, value in findings.sentences[0].values.items() if isinstance(value, Number)}
    for name, table in zip(("open", "published"), findings.tables, strict=True):
        domains = [cell for row in table.rows for cell in row[1 : 1 + len(DOMAINS)]]
        assert values[f"{name}_unclear"] == domains.count("unclear") > 0
        assert values[f"{name}_cells"] == len(domains) == 5 * len(table.rows)
        assert set(domains) <= {"low", "some_concerns", "high", "unclear"}
    assert len({link for table in findings.tables for link in table.links}) == sum(len(t.rows) for t in findings.tables)


ROW = {
    "sample_id": "s", "work": "w", "var_a": "positive", "measure_a": "scale", "var_b": "engagement",
    "measure_b": "test", "informant_a": "student", "informant_b": "student", "flags": "", "reading": "table", "n": 80.0,
    "n_effective": math.nan, "value_weighted": math.nan,
}  # fmt: skip
SAMPLE = {"sample_id": "s", "n": 100.0, "schools": 12.0, "clusters": math.nan, "sampling": "", "response_pct": 91.0}


def features(
    *changes: dict[str, object], sample: dict[str, object] | None = None, described: object = ()
) -> SampleFeatures:
    """What is on record of one sample whose rows are ROW with these changes; a second sample has other values."""
    rows = pd.DataFrame([*(ROW | change for change in changes), ROW | {"sample_id": "t", "n_effective": 9.0}])
    samples = pd.DataFrame([SAMPLE | {"sample_id": "t", "n": 1.0}, SAMPLE | (sample or {})])
    columns = ["sample_id", "missing_pct", "reliability"]
    numbers = pd.DataFrame([*described, ("t", 99.0, 0.1)], columns=columns)  # type: ignore[misc]
    forms = [
        ("w", "positive", "one", "single item"),
        ("w", "positive", "scale", "index"),
        ("v", "x", "y", "single item"),
    ]
    measures = pd.DataFrame(forms, columns=["work", "variable", "measure", "form"])
    tables = {"samples.csv": samples, "descriptives.csv": numbers, "measures.csv": measures}
    data = SimpleNamespace(columns=lambda name: Columns.of(tables[name]))
    return features_of(cast(Dataset, data), rows, ["s"])[0]


def test_one_person_on_both_sides_is_counted_among_rows_with_both_informants() -> None:
    other, unknown = {"informant_b": "teacher"}, {"informant_b": ""}
    assert features({}, other, other, unknown).same_informant == pytest.approx(1 / 3)
    assert math.isnan(features(unknown, {"informant_a": ""}).same_informant)
    assert math.isnan(features().same_informant)


def test_missing_answers_are_the_worst_on_record_and_follow_from_computed_rows_alone() -> None:
    computed = {"reading": "computed", "n": 70.0}
    assert math.isnan(features({}).missing_pct)
    assert features({}, computed, computed | {"n": 95.0}).missing_pct == pytest.approx(30.0)
    assert features(computed, described=[("s", 40.0, 0.8), ("s", 2.0, 0.7)]).missing_pct == 40.0
    assert features(computed, described=[("s", math.nan, 0.8)]).missing_pct == pytest.approx(30.0)
    assert math.isnan(features(computed, sample={"n": math.nan}).missing_pct)


def test_the_other_features_of_a_sample() -> None:
    bare = features({})
    assert (bare.sample, bare.one_item, bare.design, bare.selected, bare.response_pct) == (
        "s",
        False,
        False,
        False,
        91.0,
    )
    assert bare.schools == 12.0 and math.isnan(bare.reliability)
    assert features({}, sample={"clusters": 15.0}).schools == 15.0
    assert math.isnan(features({}, sample={"schools": math.nan}).schools)
    assert features({}, described=[("s", 1.0, 0.8), ("s", 2.0, 0.7)]).reliability == 0.7
    assert features({}, {"n_effective": 50.0}).design and features({"value_weighted": 0.2}, {}).design
    assert features({"measure_a": "one"}).one_item
    assert features({"var_b": "positive", "measure_b": "one"}).one_item
    assert not features({"work": "v", "measure_a": "one"}).one_item
    for flag, selected in (("small_n;extreme_groups", True), ("range_restricted=x", True), ("small_n", False)):
        assert features({}, {"flags": flag}).selected is selected
