"""Which rows are selected, and since when and until when a row may be there: small tables, one change at a time."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from replication.dataset import Dataset, Selection, select
from replication.dataset.columns import Columns
from replication.dataset.row_versions import check_row_versions, check_work_version, version_numbers
from replication.errors import DataError
from replication.labels import Label

COLUMNS = ("effect_id", "work", "sample_id", "var_a", "var_b", "unit", "statistic", "n")
ROWS = (
    ("e1", "roorda2011", "s1", "positive", "engagement", "student", "r", 90.0),
    ("e2", "roorda2011", "s1", "engagement", "positive", "student", "r", 120.0),
    ("e3", "roorda2011", "s2", "positive", "achievement", "student", "r", 50.0),
    ("e4", "lixue2023", "s3", "positive", "engagement", "student", "beta", 70.0),
    ("e5", "roorda2011", "s4", "positive", "engagement", "school", "r", 30.0),
    ("e6", "lixue2023", "s5", "positive", "positive", "student", "r", 60.0),
    ("e7", "roorda2011", "s6", "negative", "engagement", "student", "r", 80.0),
)


@pytest.fixture(scope="module")
def small(dataset: Dataset) -> Dataset:
    effects = pd.DataFrame(ROWS, columns=list(COLUMNS))
    return replace(dataset, tables={**dataset.tables, "effects.csv": effects})


def not_a(statistic: str) -> Label:
    return Label("statistic_is_not", {"statistic": statistic})


def ids(found: Selection) -> list[str]:
    return found.rows["effect_id"].tolist()


@pytest.mark.parametrize(
    ("asked", "chosen", "excluded"),
    [
        ({}, ["e1", "e2", "e3", "e6", "e7"], ["e4"]),
        ({"pair": ("positive", "engagement")}, ["e1", "e2"], ["e4"]),
        ({"pair": ("engagement", "positive")}, ["e1", "e2"], ["e4"]),
        ({"pair": ("positive", "positive")}, ["e6"], []),
        ({"works": ["lixue2023"]}, ["e6"], ["e4"]),
        ({"works": []}, [], []),
        ({"unit": "school"}, ["e5"], []),
        ({"unit": "student", "statistic": "beta"}, ["e4"], ["e1", "e2", "e3", "e6", "e7"]),
        ({"works": ["roorda2011"], "pair": ("engagement", "negative")}, ["e7"], []),
    ],
)
def test_rows_of_one_unit_pair_and_statistic(
    small: Dataset, asked: dict[str, object], chosen: list[str], excluded: list[str]
) -> None:
    found = select(small, **asked)  # type: ignore[arg-type]
    assert ids(found) == chosen and len(found) == len(chosen)
    assert [one.row for one in found.excluded] == excluded
    assert {one.reason for one in found.excluded} <= {not_a(str(asked.get("statistic", "r")))}
    assert found.rows.index.tolist() == list(range(len(chosen))) and tuple(found.rows.columns) == COLUMNS


def test_keeping_writes_down_what_goes_behind_what_went(small: Dataset) -> None:
    found = select(small).keep(lambda rows: rows["n"] >= 80, "fewer than 80")
    assert ids(found) == ["e1", "e2", "e7"]
    assert [(one.row, one.reason) for one in found.excluded] == [
        ("e4", not_a("r")),
        ("e3", "fewer than 80"),
        ("e6", "fewer than 80"),
    ]
    assert found.sample_sizes == {"s1": 120.0, "s6": 80.0} and found.persons == 200.0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"unit": "studnt"}, 'no unit "studnt" in the dataset'),
        ({"works": ["roorda2011", "roorda2012"]}, 'no work "roorda2012" in the dataset'),
        ({"pair": ("positive", "engagment")}, 'no construct "engagment" in the dataset'),
    ],
)
def test_unknown_words_are_refused(small: Dataset, asked: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        select(small, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "numbers"), [("1.10.0", (1, 10, 0)), ("", ()), ("1.x.0", ()), ("1.2", (1, 2)), ("1.²", ())]
)
def test_versions_are_numbers_or_nothing(text: str, numbers: tuple[int, ...]) -> None:
    assert version_numbers(text) == numbers


def rules(since: str, until: str, today: str = "1.2.3", work_since: str = "1.1.0") -> list[tuple[str, str]]:
    """Columns and what is expected, of the problems of one row on line 7 behind a sound one."""
    rows = Columns({"line": [2, 7], "since": ["1.1.0", since], "until": ["", until]})
    found = check_row_versions("w/effects.csv", rows, today, work_since)
    assert {(p.file, p.row, p.rule) for p in found} <= {("w/effects.csv", 7, "version")}
    return [(p.column, p.expected) for p in found]


@pytest.mark.parametrize("coming", ["1.2.4", "1.3.0", "2.0.0"])
def test_a_row_may_come_or_go_with_the_next_version_and_no_later(coming: str) -> None:
    said = "at most 1.2.3, or the version after it: 1.2.4, 1.3.0, 2.0.0"
    assert rules(coming, "") == [] and rules("1.1.0", coming) == []
    assert check_work_version("w/work.toml", coming, "1.2.3") == []
    for later in ("1.2.5", "1.4.0", "1.3.1", "3.0.0", "2.1.0"):
        assert rules(later, "") == [("since", said)]
        assert rules("1.1.0", later) == [("until", said)]
        (problem,) = check_work_version("w/work.toml", later, "1.2.3")
        assert (problem.file, problem.row, problem.column, problem.found) == ("w/work.toml", 0, "since", f'"{later}"')


def test_a_row_is_no_older_than_its_work_and_goes_after_it_came() -> None:
    assert rules("1.1.0", "1.2.0") == [] and rules("1.2.3", "") == []
    assert rules("1.0.9", "") == [("since", "1.1.0 or later, the version that brought the work")]
    assert rules("1.0.9", "", work_since="") == []
    assert rules("1.2.0", "1.2.0") == [("until", "a version after the one in since")]
    assert rules("1.2.0", "1.1.0") == [("until", "a version after the one in since")]
    assert rules("1.2.0", "1.2.1") == []
    # The work itself is ahead: that is said of the work, and not once more of each row.
    assert rules("1.0.9", "", work_since="1.9.0") == []
    assert rules("", "1.2.0") == []
