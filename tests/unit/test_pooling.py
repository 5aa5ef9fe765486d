"""Where rows become effect sizes: what is refused, and what a pool must carry."""

import numpy as np
import pandas as pd
import pytest

from replication.dataset import Dataset, Selection, select
from replication.errors import DataError
from replication.evidence.pooling import effect_sizes, pool


def rows(**columns: list) -> Selection:
    size = len(next(iter(columns.values())))
    base = {
        "effect_id": [f"e{i}" for i in range(size)],
        "sample_id": [f"s{i}" for i in range(size)],
        "unit": ["student"] * size,
        "value": [0.3] * size,
        "n": [103.0] * size,
        "n_effective": [np.nan] * size,
    }
    return Selection(pd.DataFrame({**base, **columns}))


def test_fisher_z_and_its_variance() -> None:
    y, v = effect_sizes(rows(value=[0.5, -0.5], n=[103, 28]))
    assert y == pytest.approx([0.5493061443, -0.5493061443])
    assert v == pytest.approx([1 / 100, 1 / 25])


def test_the_effective_n_is_used_where_a_row_has_one() -> None:
    _, v = effect_sizes(rows(n=[1003, 1003], n_effective=[np.nan, 103]))
    assert v == pytest.approx([1 / 1000, 1 / 100])


def test_units_are_never_pooled() -> None:
    with pytest.raises(DataError, match="different units"):
        effect_sizes(rows(unit=["student", "school"]))


@pytest.mark.parametrize(("column", "bad"), [("value", [0.2, 1.0]), ("n", [100, 3])])
def test_what_has_no_fisher_z_is_named(column: str, bad: list[float]) -> None:
    with pytest.raises(DataError, match="e1"):
        effect_sizes(rows(**{column: bad}))


def test_two_rows_of_a_sample_need_a_multilevel_model() -> None:
    with pytest.raises(DataError, match="sample a has several rows"):
        pool(rows(sample_id=["a", "a"]), id="x", label="x")


def test_a_selection_writes_down_what_it_left_out(dataset: Dataset) -> None:
    everything = select(dataset, pair=("positive", "engagement"), works=["roorda2011"])
    kept = everything.keep(lambda r: r["n"] > 500, "n of 500 or less")
    assert len(kept) + len(kept.excluded) == len(everything)
    assert {e.reason for e in kept.excluded} == {"n of 500 or less"}


def test_no_selection_mixes_students_and_schools(dataset: Dataset) -> None:
    assert set(select(dataset).rows["unit"]) == {"student"}
    assert set(select(dataset, unit="school").rows["unit"]) == {"school"}


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ({"pair": ("positiv", "engagement")}, 'did you mean "positive"'),
        ({"works": ["marengo"]}, 'did you mean "marengo2021"'),
        ({"unit": "pupil"}, "use one of"),
    ],
)
def test_a_wrong_word_is_met_with_the_nearest_one(dataset: Dataset, asked: dict, hint: str) -> None:
    with pytest.raises(DataError, match=hint):
        select(dataset, **asked)
