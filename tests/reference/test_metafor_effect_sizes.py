"""Effect sizes against metafor's escalc, rma.mh and rcalc."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replication.effects.binary import (
    log_odds_ratio,
    log_risk_ratio,
    mantel_haenszel,
    peto_log_odds_ratio,
    risk_difference,
)
from replication.effects.correlation import correlation, fisher_z, partial_correlation, semipartial_correlation
from replication.effects.covariance import correlation_covariance
from replication.effects.effect_size import EffectSize
from replication.effects.mean_difference import (
    change_in_change_sd,
    change_in_raw_sd,
    mean_difference,
    standardized_mean_difference,
)
from tests.tolerances import CLOSED, assert_close


@cache
def pinned() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "metafor" / "effect_sizes.json").read_text(encoding="utf-8"))


def given(*names: str) -> list[np.ndarray]:
    return [np.array(pinned()["inputs"][name], dtype=float) for name in names]


def check(effect: EffectSize, pin: dict[str, Any]) -> None:
    assert_close(effect.estimate, pin["estimate"], CLOSED)
    assert_close(effect.variance, pin["variance"], CLOSED)


def test_correlations() -> None:
    r, n = given("r", "n")
    check(correlation(r, n), pinned()["r"])
    check(fisher_z(r, n), pinned()["fisher_z"])


def test_partial_and_semipartial() -> None:
    t, n, m, r2 = given("t", "nt", "m", "r2")
    check(semipartial_correlation(t, n, m, r2), pinned()["semipartial"])
    effect = partial_correlation(t, n, m)
    assert_close(effect.estimate, pinned()["partial"]["estimate"], CLOSED)
    # metafor 3.8 divides by n - m - 1, which for a plain r (m = 1) would not be the n - 1 of its own COR
    assert_close(effect.variance * (n - m) / (n - m - 1), pinned()["partial"]["variance"], CLOSED)


def test_mean_differences() -> None:
    m1, sd1, n1, m2, sd2, n2, rho = given("m1", "sd1", "n1", "m2", "sd2", "n2", "rho")
    groups = {"mean1": m1, "sd1": sd1, "n1": n1, "mean2": m2, "sd2": sd2, "n2": n2}
    check(mean_difference(**groups), pinned()["md"])
    check(standardized_mean_difference(**groups), pinned()["g"])
    check(change_in_change_sd(mean1=m1, sd1=sd1, mean2=m2, sd2=sd2, n=n1, r=rho), pinned()["smcc"])
    check(change_in_raw_sd(mean1=m1, sd1=sd1, mean2=m2, n=n1, r=rho), pinned()["smcr"])


@pytest.mark.parametrize(
    ("measure", "function"), [("OR", log_odds_ratio), ("RR", log_risk_ratio), ("RD", risk_difference)]
)
def test_tables_by_zero_cell_rule(measure: str, function: Any) -> None:
    for rule, pin in pinned()[measure].items():
        check(function(*given("a", "b", "c", "d"), zero_cells=rule), pin)


def test_peto_and_mantel_haenszel() -> None:
    tables = given("a", "b", "c", "d")
    pin = pinned()["peto"]
    check(peto_log_odds_ratio(*tables), {key: [np.nan if v is None else v for v in pin[key]] for key in pin})
    for measure, pooled in pinned()["mantel_haenszel"].items():
        check(mantel_haenszel(*tables, measure=measure), pooled)


def test_covariance_of_dependent_correlations() -> None:
    r = pinned()["inputs"]["ri"]
    R, pairs = np.eye(4), [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    for (i, j), value in zip(pairs, r, strict=True):
        R[i, j] = R[j, i] = value
    assert_close(correlation_covariance(R, 60, pairs), pinned()["covariance_r"], CLOSED)
    assert_close(correlation_covariance(R, 60, pairs, "fisher z"), pinned()["covariance_z"], CLOSED)
