"""Rules of risk of bias, each on both sides of where it turns; what is not on record is unclear."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest

from replication import paths
from replication.analysis import Findings, Ref
from replication.dataset import load_dataset
from replication.evidence.risk_of_bias import SampleFeatures, judged, risk_of_bias

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
def findings() -> Findings:
    return risk_of_bias(load_dataset(paths.data_dir()))


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
