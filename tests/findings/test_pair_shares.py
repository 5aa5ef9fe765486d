"""Shares of pairs of students: counted as brute force counts them, turned with the sign, from the stored rows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest

from replication.evidence.answer import pair_shares
from replication.evidence.question import Evidence
from replication.study.microdata.correlations import concordance


def of_rows(rows: pd.DataFrame) -> Evidence:
    """Evidence of which only the rows are looked at."""
    return cast(Evidence, SimpleNamespace(rows=rows))


@pytest.mark.parametrize("weighted", [False, True])
def test_every_pair_of_persons_is_counted(weighted: bool) -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(0, 5, 120).astype(float)
    y = np.round(0.6 * x + rng.normal(size=120))
    w = rng.uniform(0.2, 3.0, 120) if weighted else np.ones(120)
    x[:4], w[5] = np.nan, 0.0
    used = np.isfinite(x) & (w > 0)
    a, b, v = x[used], y[used], w[used]
    sign = np.sign(a[:, None] - a) * np.sign(b[:, None] - b)
    upper = np.triu(np.outer(v, v), 1)
    expected = ((upper * (sign > 0)).sum() / upper.sum(), (upper * (sign == 0)).sum() / upper.sum())
    assert concordance(x, y, w) == pytest.approx(expected, abs=1e-12)
    assert concordance(y, x, w) == pytest.approx(expected, abs=1e-12)


def test_it_is_the_chance_of_a_bell_curve_where_there_is_one() -> None:
    """Sheppard (1899): 1/2 + asin(r)/pi; here at r = .3 on 4,000 simulated persons."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=4000)
    y = 0.3 * x + np.sqrt(1 - 0.09) * rng.normal(size=4000)
    more, tied = concordance(x, y)
    assert tied == pytest.approx(0.0, abs=1e-12) and more == pytest.approx(0.5 + np.arcsin(0.3) / np.pi, abs=0.01)


def test_negative_relationships_turn_and_each_sample_counts_once() -> None:
    rows = pd.DataFrame(
        {
            "sample_id": ["a", "a", "b"],
            "concordant": [0.2, 0.5, 0.3],
            "tied": [0.3, 0.1, 0.3],
            "sign": [1.0, -1.0, 1.0],
        }
    )
    found = pair_shares(of_rows(rows))
    assert found is not None and found.samples[0] == ("a", 2, pytest.approx(0.3), pytest.approx(0.5))
    assert (found.more, found.less, found.alike) == pytest.approx((0.3, 0.45, 0.25))
    unknown = rows.assign(concordant=np.nan)
    assert pair_shares(of_rows(unknown)) is None
