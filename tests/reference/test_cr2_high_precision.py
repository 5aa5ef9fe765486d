"""CR2 and its degrees of freedom against an 80-digit computation: variances far apart, and one row that dominates."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.multilevel.robust import robust
from replication.models.multilevel.structure import BlockV
from replication.models.two_level.random_effects import fit_random_effects
from tests.tolerances import Tolerance, assert_close

CASES = [("clusters", 1.0), ("clusters", 1e6), ("clusters", 1e-6)]
CASES += [("rows", factor) for factor in (1e-2, 1e-4, 1e-7, 1e-10)]

# The multilevel variances are those of a search that stops at 1e-12; the rest is rounding.
DIGITS = Tolerance(1e-7, 1e-9, "80 digits against 16, variances 1e6 to 1e10 apart", 8e-9)


@cache
def pinned() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "high_precision" / "cr2.json").read_text(encoding="utf-8"))


def test_no_case_has_gone_missing() -> None:
    assert [(case["kind"], case["factor"]) for case in pinned()["cases"]] == CASES


@pytest.mark.parametrize("number", range(len(CASES)))
def test_standard_errors_and_degrees_of_freedom(number: int) -> None:
    pin = pinned()
    case = pin["cases"][number]
    k = case["rows"]
    y, x, codes = np.array(pin["y"][:k]), np.array(pin["x"][:k]), np.array(pin["clusters"][:k])
    v = np.array(pin["v"][:k])
    v[0] *= case["factor"]
    if case["kind"] == "clusters":
        found = robust(fit_multilevel(y, BlockV.constant_correlation(v, codes, 0.6), codes, x))
    else:
        found = robust(fit_random_effects(y, v, method="EE", test="z"))
    assert_close(found.se, case["se"], DIGITS)
    assert_close(found.df, case["df"], DIGITS)
    if case["kind"] == "rows":  # the digits of what is above 1 matter: it is the weight of all other rows
        assert found.df[0] - 1.0 == pytest.approx(case["df"][0] - 1.0, rel=1e-5)
