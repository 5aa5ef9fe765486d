"""A corrected row leaves under its old id and enters under a new one; whoever names either goes on working."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pandas as pd
import pytest

from replication import paths
from replication.analysis import Analysis, Context, analysis_files, load_analysis, run_analysis
from replication.claims import claims_by_id
from replication.dataset import Dataset, load_dataset
from replication.dataset.columns import Columns
from replication.dataset.row_versions import check_row_versions
from replication.dataset.successors import Successors
from replication.errors import DataError
from tests.data.small import Small

NEW = "1.1.0"
NEXT = "9.0.0"  # after whatever version the dataset has today
HEADER = "claim_id,quantity,statistic,printed,locator,reading,since,until,replaced_by\n"


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load_dataset(paths.data_dir())


def named_claims(dataset: Dataset) -> list[str]:
    """Every claim id that stands anywhere in an analysis file."""
    known = {*dataset.claims["claim_id"], *dataset.withdrawn["claims.csv"]["claim_id"]}
    files = [*paths.analyses_dir().rglob("*.py"), *paths.analyses_dir().rglob("*.toml")]
    words = {word for file in files for word in re.findall(r"[\w.]+-[\w.-]*\d", file.read_text(encoding="utf-8"))}
    return sorted(known & words)


def corrected(dataset: Dataset, ids: list[str]) -> Dataset:
    """The next version of the dataset, in which each of these claims has left for a successor that prints the same."""
    live, gone = dataset.claims, dataset.withdrawn["claims.csv"]
    old = live[live["claim_id"].isin(ids)]
    new = old.assign(claim_id=old["claim_id"] + "-c", since=NEXT)
    left = old.assign(until=NEXT, replaced_by=old["claim_id"] + "-c")
    tables = {**dataset.tables, "claims.csv": pd.concat([live[~live["claim_id"].isin(ids)], new], ignore_index=True)}
    withdrawn = {**dataset.withdrawn, "claims.csv": pd.concat([gone, left], ignore_index=True)}
    return replace(dataset, version=NEXT, tables=MappingProxyType(tables), withdrawn=MappingProxyType(withdrawn))


def test_the_analyses_name_many_claims(dataset: Dataset) -> None:
    assert len(named_claims(dataset)) >= 40  # the tests below would prove nothing on an empty list


def test_every_claim_an_analysis_names_is_answered_by_its_successor(dataset: Dataset) -> None:
    bare = {name: table.iloc[:0] for name, table in dataset.tables.items()}  # claims alone: fifty versions are made
    light = replace(dataset, tables={**bare, "claims.csv": dataset.claims}, withdrawn={**bare})
    for name in named_claims(dataset):
        after = corrected(light, [name])
        today, before = claims_by_id(after), claims_by_id(after.as_of(dataset.version))
        assert today[name].id == today[f"{name}-c"].id == f"{name}-c"
        assert before[name].id == before[f"{name}-c"].id == name


def verdicts(analysis: Analysis, dataset: Dataset) -> dict[str, tuple[str, str]]:
    """Verdict and our number of each claim, under the id the claim had first."""
    checks = run_analysis(analysis, Context(dataset)).checks
    return {check.claim.id.removesuffix("-c"): (check.verdict, str(check.ours)) for check in checks}


@pytest.fixture(scope="module")
def reproductions(dataset: Dataset) -> Mapping[str, tuple[Analysis, dict[str, tuple[str, str]]]]:
    """Every analysis that answers claims and takes no time, with its verdicts today."""
    analyses = map(load_analysis, analysis_files(paths.analyses_dir(), paths.data_dir()).values())
    quick = [one for one in analyses if one.kind != "finding" and not one.slow and one.claims]
    return {one.id: (one, verdicts(one, dataset)) for one in quick}


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_every_reproduction_says_the_same_of_the_successors(
    dataset: Dataset, reproductions: Mapping[str, tuple[Analysis, dict[str, tuple[str, str]]]], share: float
) -> None:
    """All claims that analyses name corrected at once, and some chosen at random; then the version before again."""
    named = named_claims(dataset)
    after = corrected(dataset, random.Random(18).sample(named, round(share * len(named))))
    before = after.as_of(dataset.version)
    for name, (analysis, today) in reproductions.items():
        assert verdicts(analysis, after) == today, name
        assert verdicts(analysis, before) == today, name
    assert len(reproductions) >= 50


def test_a_claim_without_successor_says_what_to_do(dataset: Dataset) -> None:
    gone = replace(
        dataset, tables={**dataset.tables, "claims.csv": dataset.claims[lambda c: c["claim_id"] != "tao2022-004"]}
    )
    with pytest.raises(DataError, match=r"tao2022-004.*replaced_by"):
        claims_by_id(gone)["tao2022-004"]
    analysis = load_analysis(analysis_files(paths.analyses_dir(), paths.data_dir())["tao2022"])
    verdict = {c.claim.id: c for c in run_analysis(analysis, Context(gone)).checks}["tao2022-002"]
    assert verdict.verdict == "NOT_COMPUTABLE"
    assert "tao2022-004" in verdict.reason


def test_chains_are_followed_both_ways_and_end_in_circles() -> None:
    chain = Successors({"a": "b", "b": "c", "x": "c"}, {"b": ("a",), "c": ("b", "x")})
    assert chain.living("a", {"c"}) == "c"
    assert chain.living("c", {"a", "x"}) == "x"  # the nearer of the two
    assert chain.living("c", {"a"}) == "a"
    assert Successors({"a": "b", "b": "a"}, {"a": ("b",), "b": ("a",)}).living("a", {"z"}) is None


@pytest.mark.parametrize(
    ("first", "second", "rule"),
    [
        (("1.0.0", NEW, "alpha2020-002"), (NEW, "", ""), ""),
        (("1.0.0", NEW, ""), (NEW, "", ""), ""),
        (("1.0.0", NEW, "alpha2020-009"), (NEW, "", ""), "unknown-row"),
        (("1.0.0", "", "alpha2020-002"), ("1.0.0", "", ""), "successor"),
        (("1.0.0", "1.0.1", "alpha2020-002"), (NEW, "", ""), "gap"),
        (("1.0.0", NEW, "alpha2020-002"), ("1.0.0", NEW, "alpha2020-001"), "circle"),
        (("1.0.0", NEW, "alpha2020-001"), ("1.0.0", "", ""), "circle"),
        (("1.0.1", NEW, "alpha2020-002"), ("1.0.0", "", ""), "older"),
    ],
)
def test_successors_are_checked(
    small: Small, first: tuple[str, str, str], second: tuple[str, str, str], rule: str
) -> None:
    small.write("VERSION", "1.0.1\n" if first[0] == "1.0.1" else "1.0.0\n")
    rows = [f"alpha2020-00{i},pooled correlation,r,.34,abstract,abstract,{','.join(row)}\n"
            for i, row in ((1, first), (2, second))]  # fmt: skip
    small.write("alpha2020/claims.csv", HEADER + "".join(rows))
    found = [p for p in small.check().problems if p.file == "alpha2020/claims.csv"]
    assert {p.rule for p in found} == ({rule} if rule else set())
    assert all(p.hint and p.row for p in found)


def test_measures_name_the_measure_that_took_their_place(small: Small) -> None:
    header = "variable,measure,form,items,since,until,replaced_by\n"
    rows = f"positive,closenes,index,five items,1.0.0,{NEW},closeness\npositive,closeness,index,five items,{NEW},,\n"
    small.write("alpha2020/measures.csv", header + rows + "engagement,effort,index,four items,1.0.0,,\n")
    assert not [p for p in small.check().problems if p.file == "alpha2020/measures.csv"]
    small.replace("alpha2020/measures.csv", f"{NEW},closeness", f"{NEW},effort")  # another construct's measure
    assert [p.rule for p in small.check().problems if p.file == "alpha2020/measures.csv"] == ["unknown-row"]


@pytest.mark.parametrize(
    ("since", "work_since", "found"),
    [("9.9.9", "1.0.0", ["9.9.9"]), ("1.0.1", "1.0.0", []), ("1.0.0", "1.1.0", ["1.0.0"]), ("", "1.0.0", [])],
)
def test_a_table_whose_every_row_comes_too_late_or_too_early_is_told(
    since: str, work_since: str, found: list[str]
) -> None:
    """The check passes over a table that fits as a whole: such a pass must not take one along where no row fits."""
    rows = Columns({"line": [2, 3], "since": [since] * 2, "until": ["", ""]})
    problems = check_row_versions("effects.csv", rows, today="1.2.0", work_since=work_since)
    assert [problem.found for problem in problems] == [f'"{version}"' for version in found for _ in range(2)]
