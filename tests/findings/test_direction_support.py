"""What open data say of a printed direction: each of the five words, flipped both ways on invented rows."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from replication import paths
from replication.analysis import Findings
from replication.dataset import Dataset
from replication.evidence.direction_support import direction_support, says
from tests.data.small import Small

DIRECTIONS = (
    "direction_id,association,predictor_construct,outcome_domain,direction,level,where_to_find,reading,since\n"
    "alpha2020-d1,closeness with grades,tsr_positive,achievement,{sign},{level},Table 3,abstract,1.0.0\n"
)
HEADER = "effect_id,sample_id,var_a,var_b,statistic,value,n,measure_a,reading,since\n"


@pytest.fixture
def built(tmp_path: Path) -> Small:
    return Small.build(tmp_path / "references", paths.data_dir())


def dataset(
    small: Small, values: list[float], *, sign: str = "+", level: str = "student", status: str = "open data"
) -> Dataset:
    """Open samples of beta2021 with these correlations of positive relationship and achievement, and one direction."""
    small.write("alpha2020/directions.csv", DIRECTIONS.format(sign=sign, level=level))
    names = [f"beta2021_s{i}" for i, _ in enumerate(values)]
    samples = "".join(f"{name},,500,student,{status},1.0.0\n" for name in names)
    small.write("beta2021/samples.csv", f"sample_id,label,n,unit,publication_status,since\n{samples}")
    rows = (f"{n}-e,{n},positive,achievement,r,{v},500,m,data file,1.0.0\n" for n, v in zip(names, values, strict=True))
    small.write("beta2021/effects.csv", HEADER + "".join(rows))
    found = small.check()
    assert found.dataset is not None, found.problems
    return found.dataset


def word(findings: Findings) -> str:
    return str(findings.tables[0].rows[0][4])


@pytest.mark.parametrize(
    ("values", "sign", "level", "status", "expected"),
    [
        ([0.3, 0.31, 0.29, 0.3], "+", "student", "open data", "same_beyond_zero"),
        ([0.3, 0.31, 0.29, 0.3], "-", "student", "open data", "opposite"),
        ([-0.3, -0.31, -0.29, -0.3], "+", "student", "open data", "opposite"),
        ([-0.3, -0.31, -0.29, -0.3], "-", "student", "open data", "same_beyond_zero"),
        ([0.5, -0.3, 0.2, -0.1], "+", "student", "open data", "same_sign"),
        ([0.3, 0.31, 0.29, 0.3], "+", "child", "open data", "same_beyond_zero"),
        ([0.3, 0.31, 0.29, 0.3], "+", "class", "open data", "no_sample"),  # another unit is another quantity
        ([0.3, 0.31, 0.29, 0.3], "+", "student", "thesis", "no_sample"),  # printed is not open
        ([0.3, 0.31, 0.29, 0.3], "?", "student", "open data", "no_sign"),
        ([0.3, 0.31, 0.29, 0.3], "0", "student", "open data", "no_sign"),
        ([0.3], "+", "student", "open data", "same_beyond_zero"),
        ([0.05], "+", "student", "open data", "same_sign"),  # one sample of 500: z .05 +- 1.96 / sqrt(497)
    ],
)
def test_each_word_follows_from_the_rows(
    built: Small, values: list[float], sign: str, level: str, status: str, expected: str
) -> None:
    findings = direction_support(dataset(built, values, sign=sign, level=level, status=status))
    assert word(findings) == expected
    assert {name: n.value for name, n in findings.sentences[0].values.items() if n.value}[expected] == 1  # type: ignore[union-attr]


def test_one_sample_has_the_interval_of_fisher_z(built: Small) -> None:
    pool = direction_support(dataset(built, [0.3])).estimates[0]
    half = 1.959964 / math.sqrt(500 - 3)
    ends = (math.tanh(math.atanh(0.3) - half), math.tanh(math.atanh(0.3) + half))
    assert (pool.value, pool.low, pool.high) == pytest.approx((0.3, *ends), abs=1e-6)


def test_rows_of_one_sample_share_its_persons(built: Small) -> None:
    """Three rows of 500 persons, errors correlated by .6: their mean has (3 + 6 x .6) / 9 of the variance of one."""
    small = dataset(built, [0.3])
    frame = small.effects
    rows = [
        frame[frame["sample_id"] == "beta2021_s0"].assign(effect_id=f"e{i}", value=r)
        for i, r in enumerate((0.2, 0.3, 0.4))
    ]
    several = replace(small, tables={**small.tables, "effects.csv": pd.concat(rows, ignore_index=True)})
    found = direction_support(several)
    (pool,) = found.estimates
    mean = np.arctanh([0.2, 0.3, 0.4]).mean()
    half = 1.959964 * math.sqrt((3 + 6 * 0.6) / 9 / 497)
    assert (pool.value, pool.low, pool.high) == pytest.approx(
        np.tanh([mean, mean - half, mean + half]).tolist(), abs=1e-6
    )
    assert (pool.k, pool.samples, pool.n, pool.rows) == (3, 1, 500.0, ("e0", "e1", "e2"))
    assert found.tables[0].rows[0] == (
        "alpha2020", "closeness with grades", "+", "student", "same_beyond_zero", pool.value, pool.low, pool.high, 1,
    )  # fmt: skip


def test_several_samples_are_pooled_with_robust_errors_and_parts_of_them_left_out(built: Small) -> None:
    """Samples of 500 with one row each: the two-level mean, its ends by CR2 with three degrees of freedom at most."""
    small = dataset(built, [0.1, 0.25, 0.3, 0.45])
    frame = small.effects
    part = frame[frame["sample_id"] == "beta2021_s0"].assign(effect_id="part", subgroup_of="beta2021_s1", value=-0.9)
    whole = direction_support(small).estimates[0]
    again = direction_support(
        replace(small, tables={**small.tables, "effects.csv": pd.concat([frame, part], ignore_index=True)})
    ).estimates[0]
    z = np.arctanh([0.1, 0.25, 0.3, 0.45])  # equal variances: the plain mean, with the sd of the effects
    half = stats.t.ppf(0.975, 3) * z.std(ddof=1) / 2
    assert (whole.value, whole.low, whole.high) == pytest.approx(
        np.tanh([z.mean(), z.mean() - half, z.mean() + half]), abs=1e-6
    )
    assert (again.value, again.k, again.samples) == (whole.value, 4, 4)


def test_the_ends_decide_not_the_value(built: Small) -> None:
    pool = direction_support(dataset(built, [0.3, 0.31, 0.29, 0.3])).estimates[0]
    assert says("+", pool) == "same_beyond_zero" and says("-", pool) == "opposite" and says("0", pool) == "no_sign"
