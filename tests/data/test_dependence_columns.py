"""Columns that say what depends on what: a row's own unit and clusters, shared persons, part and whole, lags."""

from __future__ import annotations

import math

import pytest

from tests.data.small import Small

HEADER = "effect_id,sample_id,var_a,var_b,statistic,value,n,measure_a,measure_b,reading,since"
ROW = "alpha2020-e{0},alpha2020_s1,positive,engagement,r,.{0}5,{1},m{0},,table,1.0.0"


def effects(small: Small, columns: str, *cells: str, n: int = 100) -> None:
    rows = [f"{ROW.format(i, n)},{cell}\n" for i, cell in enumerate(cells, 1)]
    small.write("alpha2020/effects.csv", f"{HEADER},{columns}\n" + "".join(rows))


def samples(small: Small, columns: str, cells: str) -> None:
    head = "sample_id,label,n,unit,country,since"
    small.write("alpha2020/samples.csv", f"{head},{columns}\nalpha2020_s1,Alpha,120,student,Norway,1.0.0,{cells}\n")


def rules(small: Small) -> set[str]:
    return {problem.rule for problem in small.check().problems}


def test_files_without_the_columns_are_as_good_as_before(small: Small) -> None:
    dataset = small.check().dataset
    assert dataset is not None
    row = dataset.effects.iloc[0]
    assert (row["unit"], row["publication_status"], row["covariates"]) == ("student", "", "")
    assert math.isnan(row["clusters"]) and math.isnan(row["lag"]) and math.isnan(row["shared_n"])


def test_a_row_says_more_than_its_sample_and_an_empty_cell_says_what_the_sample_says(small: Small) -> None:
    samples(small, "schools,clusters,icc,grade,publication_status,risk_of_bias", "40,40,.10,8,thesis,some concerns")
    effects(small, "unit,clusters,icc,publication_status", ",,,", "school,30,.20,article", n=40)
    dataset = small.check().dataset
    assert dataset is not None
    first, second = (row for _, row in dataset.effects[dataset.effects["work"] == "alpha2020"].iterrows())
    assert (first["unit"], first["clusters"], first["icc"], first["publication_status"]) == (
        "student",
        40,
        0.1,
        "thesis",
    )
    assert (second["unit"], second["clusters"], second["icc"]) == ("school", 30, 0.2)
    assert second["publication_status"] == "article" and second["grade"] == "8"


@pytest.mark.parametrize(
    ("columns", "cell", "rule"),
    [
        ("publication_status", "thesis", ""),
        ("publication_status", "theses", "word"),
        ("risk_of_bias", "unclear", ""),
        ("risk_of_bias", "medium", "word"),
        ("icc", ".2", ""),
        ("icc", "1.2", "range"),
        ("clusters", "100", ""),
        ("clusters", "101", "n"),
        ("design,lag", "longitudinal,6", ""),
        ("design,lag", "cross-sectional,0", ""),
        ("design,lag", "cross-sectional,6", "lag"),
        ("unit", "school", "mixed-units"),
        ("part_of", "alpha2020-e9", "unknown-row"),
        ("part_of", "alpha2020-e1", "circle"),
    ],
)
def test_each_cell_is_checked(small: Small, columns: str, cell: str, rule: str) -> None:
    samples(small, "schools", "40")
    effects(small, columns, cell)
    assert rules(small) == ({rule} if rule else set())


def test_part_and_whole_are_rows_of_one_sample(small: Small) -> None:
    effects(small, "part_of", "", "alpha2020-e1")
    assert rules(small) == set()
    effects(small, "part_of", "alpha2020-e2", "alpha2020-e1")
    assert rules(small) == {"circle"}


@pytest.mark.parametrize(
    ("cells", "rule"),
    [("beta2021_s1,50", ""), ("beta2021_s1,120", ""), ("beta2021_s1,121", "n"), (",50", "no-overlap")],
)
def test_shared_persons_are_of_a_named_sample(small: Small, cells: str, rule: str) -> None:
    samples(small, "overlaps,shared_n", cells)
    assert rules(small) == ({rule} if rule else set())
