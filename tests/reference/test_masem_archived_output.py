"""The archived output behind Jak & Cheung (2018), subgroup by subgroup, against the printed digits.

The printed numbers come from OpenMx 2.13 with sampling covariances by numerical differentiation, which leaves noise in
the seventh significant digit; a number agrees when it lies within its printed digits widened by that noise.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from replication.models.masem import FitIndices, RandomPool, equality_test, fit_groups, fit_stage1_random, fit_stage2
from tests.masem_data import FULL, pinned, roorda

PRINTED = pinned("masem_roorda")["archived_2019"]
PAIRS = ("pos~~neg", "pos~~enga", "pos~~achiev", "neg~~enga", "neg~~achiev", "enga~~achiev")
NOISE = 1e-5


def agrees(found: float, printed: str) -> bool:
    """Within half a unit of the last printed digit, widened by the numerical noise of the source."""
    digits, _, exponent = printed.lower().partition("e")
    decimals = len(digits.partition(".")[2])
    half = 0.5 * 10.0 ** (int(exponent or 0) - decimals)
    return abs(found - float(printed)) <= half + NOISE * abs(float(printed))


def check(found: dict[str, Any], printed: dict[str, str], label: str) -> None:
    for word, value in found.items():
        if word in printed:
            assert agrees(float(value), printed[word]), f"{label}, {word}: {value!r}, printed {printed[word]}"


@cache
def pool(group: str) -> RandomPool:
    ses = roorda().moderators["ses"]
    data = roorda().select(ses > 50 if group == "low" else ses <= 50)
    return fit_stage1_random(data, sampling="weighted-missing-as-zero")


@pytest.mark.parametrize("group", ("low", "high"))
def test_stage_1_of_the_subgroups(group: str) -> None:
    fitted, printed = pool(group), list(PRINTED[group].values())
    ends = fitted.fit.interval()
    for i, pair in enumerate(PAIRS):
        found = {"printed": fitted.fit.beta[i], "se": fitted.fit.se[i], "ci_low": ends[i, 0], "ci_high": ends[i, 1]}
        check(found, printed[i], pair)
        component = fitted.fit.component(pair)
        check({"printed": component.estimate, "se": component.se}, printed[6 + i], f"tau2 of {pair}")
        check({"printed": fitted.I2[i] / 100.0}, printed[12 + i], f"I2 of {pair}")
    assert fitted.fit.heterogeneity is not None
    check({"printed": fitted.fit.heterogeneity.Q}, printed[18], "Q")
    check({"printed": fitted.fit.k}, printed[19], "correlations")
    check({"printed": fitted.parameters}, printed[20], "parameters")
    check({"printed": fitted.minus2loglik}, printed[21], "-2 log likelihood")


def index_values(indices: FitIndices) -> dict[str, dict[str, float]]:
    interval = {"ci_low": indices.rmsea_interval.low, "ci_high": indices.rmsea_interval.high}
    return {
        "model fit: chi-square": {"printed": indices.chi2, "p": indices.p},
        "model fit: chi-square of the independence model": {"printed": indices.baseline_chi2},
        "model fit: RMSEA": {"printed": indices.rmsea, **interval},
        "model fit: SRMR": {"printed": indices.srmr},
        "model fit: TLI": {"printed": indices.tli},
        "model fit: CFI": {"printed": indices.cfi},
        "model fit: AIC": {"printed": indices.aic},
        "model fit: BIC": {"printed": indices.bic},
    }


@pytest.mark.parametrize("group", ("low", "high"))
def test_paths_of_the_subgroups(group: str) -> None:
    paths, printed = fit_stage2(pool(group), FULL), list(PRINTED[f"{group}_paths"].values())
    ends = paths.fit.interval()
    for claim, name in zip(printed, ("b43", "b32", "b31", "p21"), strict=False):
        i = paths.fit.names.index(name)
        found = {"printed": paths.fit.beta[i], "se": paths.fit.se[i], "ci_low": ends[i, 0], "ci_high": ends[i, 1]}
        check(found, claim, name)
    for claim in printed[4:]:
        check(index_values(paths.indices)[claim["quantity"]], claim, claim["quantity"])


def test_equality_of_paths_over_the_subgroups() -> None:
    pools = {group: pool(group) for group in ("low", "high")}
    free, equal = fit_groups(pools, FULL), fit_groups(pools, FULL, equal="paths")
    for fitted, key in ((free, "free"), (equal, "equal")):
        for claim in PRINTED[key].values():
            check(index_values(fitted.indices)[claim["quantity"]], claim, f"{key}, {claim['quantity']}")
    test = equality_test(free, equal)
    check({"printed": test.chi2, "p": test.p}, PRINTED["test"]["121"], "equality")
    assert test.df == 3


def test_the_printed_standard_error_beside_a_variance_on_its_bound_is_too_small() -> None:
    """In high-SES samples tau2 of neg~~enga is 0; all second derivatives give .0158, as printed, instead of .0264."""
    held = fit_stage1_random(pool("high").data, sampling="weighted-missing-as-zero", at_bound="held")
    i = held.fit.names.index("neg~~enga")
    assert pool("high").fit.se[i] == pytest.approx(0.015801, abs=5e-7)
    known_tau2 = np.sqrt(np.linalg.inv(_weights(held))[i, i])
    assert held.fit.se[i] == pytest.approx(known_tau2, rel=0.01)
    assert pool("high").fit.se[i] < 0.65 * known_tau2
    assert "0.02637" in next(note.message for note in pool("high").fit.notes if note.code == "boundary")


def _weights(fitted: RandomPool) -> Any:
    """The expected information of the correlations at the estimated tau2."""
    p = len(fitted.fit.beta)
    return fitted.minimum.at.expected[:p, :p] / 2.0
