"""Bias methods against metafor run to convergence on thirteen data sets: d, z, risk ratios, odds ratios, differences.

Inputs, calls and versions: `metafor/bias.R` and `metafor/bias.json`.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replication.errors import ModelError
from replication.models.bias import (
    egger_test,
    excess_significance,
    fail_safe_general,
    fail_safe_orwin,
    fail_safe_rosenberg,
    fail_safe_rosenthal,
    fit_beta_selection,
    fit_step_selection,
    henmi_copas,
    rank_test,
    trim_fill,
)
from replication.models.bias.selection_fit import SelectionFit
from replication.models.bias.significance_counts import _Drawer
from replication.models.options import EmptyStep
from replication.models.two_level.random_effects import fit_random_effects
from tests.tolerances import CLOSED, CONVERGED, TAIL, Tolerance, assert_close

NAMES = ["bcg", "hackshaw", "cohen", "raudenbush", "normand", "molloy", "dorn", "li", "hine", "mcdaniel",
         "bangertdrowns", "baskerville", "made"]  # fmt: skip
BRACKETED = Tolerance(1e-4, 1e-12, "metafor solves for the multiple to an absolute 1.2e-4", 5.1e-5)
HALTED = Tolerance(2e-5, 1e-12, "the trimmed mean that effects are mirrored at takes no control in metafor", 7.9e-6)
INTEGRATED = Tolerance(2e-5, 1e-12, "with tau2, metafor integrates the power numerically", 1.3e-5)
SOLVED = Tolerance(5e-4, 1e-12, "metafor solves for the limit to an absolute 1.2e-4", 2.3e-4)
FLAT = Tolerance(2e-4, 1e-12, "BFGS stops within 1e-8 of the top, so within sqrt(2e-8) standard errors of it", 1.2e-4)
EDGE = Tolerance(5e-4, 1e-12, "metafor stops on the way to tau2 = 0, we stop there", 2.3e-4)


@cache
def pinned() -> dict[str, Any]:
    path = Path(__file__).parent / "metafor" / "bias.json"
    return json.loads(path.read_text(encoding="utf-8"))["sets"]


def data(name: str) -> tuple[list[float], list[float]]:
    return pinned()[name]["y"], pinned()[name]["v"]


def nan(value: float | None) -> float:
    return float("nan") if value is None else value


def test_no_data_set_has_gone_missing() -> None:
    assert list(pinned()) == NAMES


EGGER = {
    "wls_se": {"model": "wls"},
    "wls_variance": {"model": "wls", "predictor": "variance"},
    "REML_z_se": {"test": "z"},
    "REML_z_variance": {"test": "z", "predictor": "variance"},
    "REML_knha_se": {"test": "knha"},
    "EE_z_se": {"method": "EE", "test": "z"},
    "DL_z_se": {"method": "DL", "test": "z"},
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", EGGER)
def test_egger(name: str, case: str) -> None:
    test, pin = egger_test(*data(name), **EGGER[case]), pinned()[name]["egger"][case]  # type: ignore[arg-type]
    interval = test.limit_interval
    found, expected = (
        [test.statistic, test.limit, interval.low, interval.high],
        [pin["statistic"], pin["limit"], pin["low"], pin["high"]],
    )
    assert_close(found, expected, CONVERGED if "REML" in case else CLOSED)
    assert_close(test.p, pin["p"], TAIL)


@pytest.mark.parametrize("name", NAMES)
def test_rank(name: str) -> None:
    test, pin = rank_test(*data(name)), pinned()[name]["rank"]
    assert_close([test.tau, test.p], [pin["tau"], pin["p"]], CLOSED)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["REML", "ML", "EE", "DL"])
@pytest.mark.parametrize("estimator", ["L0", "R0", "Q0"])
@pytest.mark.parametrize("side", ["auto", "left", "right"])
def test_trim_fill(name: str, method: Any, estimator: Any, side: Any) -> None:
    pin = pinned()[name]["fill"][f"{method}_{estimator}_{side}"]
    given = None if side == "auto" else side
    if "error" in pin:
        with pytest.raises(ModelError, match="use L0 or R0"):
            trim_fill(*data(name), estimator=estimator, side=given, method=method, test="z")
        return
    result = trim_fill(*data(name), estimator=estimator, side=given, method=method, test="z")
    assert (result.k0, result.side) == (pin["k0"], pin["side"])
    assert_close([result.k0_se, result.p], [nan(pin["k0_se"]), nan(pin["p"])], CLOSED)
    found = [result.fit.beta[0], result.fit.se[0], result.fit.component("tau2").estimate]
    expected = [pin["mu"], pin["se"], pin["tau2"]]
    assert_close(found, expected, CLOSED if method in ("EE", "DL") else CONVERGED if result.k0 == 0 else HALTED)


@pytest.mark.parametrize("name", NAMES)
def test_fail_safe_n(name: str) -> None:
    y, v = data(name)
    found = [fail_safe_rosenthal(y, v).n, fail_safe_orwin(y).n, fail_safe_rosenberg(y, v).n]
    assert found == [pinned()[name]["fail_safe"][kind] for kind in ("Rosenthal", "Orwin", "Rosenberg")]


@pytest.mark.parametrize("name", NAMES)
def test_henmi_copas(name: str) -> None:
    result, pin = henmi_copas(*data(name)), pinned()[name]["henmi_copas"]
    assert_close([result.estimate, result.se, result.tau2], [pin["estimate"], pin["se"], pin["tau2"]], CLOSED)
    assert_close(result.multiple, (pin["high"] - pin["estimate"]) / pin["se"], BRACKETED)


EXCESS = [
    (name, f"{test}_{method}_{alternative}")
    for name in NAMES
    for test in ("chi2", "binom", "exact")
    for method in ("EE", "REML")
    for alternative in ("two.sided", "greater")
    if test != "exact" or name in ("bcg", "normand", "molloy", "hine")
]


@pytest.mark.parametrize(("name", "case"), EXCESS)
def test_excess_significance(name: str, case: str) -> None:
    test, method, alternative = case.split("_")
    y, v = data(name)
    fit, pin = fit_random_effects(y, v, method=method, test="z"), pinned()[name]["excess"][case]  # type: ignore[arg-type]
    result = excess_significance(
        y,
        v,
        effect=float(fit.beta[0]),
        tau2=fit.component("tau2").estimate,
        alternative="two-sided" if alternative == "two.sided" else "positive",
    )
    p = {"chi2": result.p_chi2, "binom": result.p_binomial, "exact": result.p_exact}[test]
    assert result.observed == pin["observed"]
    assert_close([result.expected, p], [pin["expected"], pin["p"]], CLOSED if method == "EE" else INTEGRATED)
    if test == "exact" and isinstance(pin["limit"], float):
        assert_close(result.limit, pin["limit"], SOLVED)


STEPS = {
    "one": {"steps": (0.025,)},
    "two": {"steps": (0.025, 0.5)},
    "three": {"steps": (0.025, 0.1, 0.5)},
    "two_sided": {"steps": (0.05, 0.5), "sides": "two"},
    "common": {"steps": (0.025,), "tau2": "EE"},
    "fixed": {
        "steps": (0.005, 0.01, 0.05, 0.10, 0.25, 0.35, 0.50, 0.65, 0.75, 0.90, 0.95, 0.99, 0.995),
        "weights": (1, 0.99, 0.95, 0.80, 0.75, 0.65, 0.60, 0.55, 0.50, 0.50, 0.50, 0.50, 0.50, 0.50),
    },
    "moderator": {"steps": (0.025,)},
}


def step_fit(name: str, case: str, empty: EmptyStep = "zero") -> SelectionFit:
    pin = pinned()[name]
    x = np.column_stack([np.ones(len(pin["y"])), pin["x"]]) if case == "moderator" else None
    direction = "positive" if pin["toward"] == "greater" else "negative"
    return fit_step_selection(pin["y"], pin["v"], x, direction=direction, empty=empty, **STEPS[case])  # type: ignore[arg-type]


# The first interval holds no p value: metafor lets the weights run to its bound, 100. And: a lower peak than ours.
BOUNDED = {("hine", "one"), ("hine", "two_sided"), ("hine", "common")}
LOWER = {("li", "one")}
CASES = [(name, case) for name in NAMES for case in STEPS if case != "moderator" or name in ("bcg", "raudenbush")]


def compare(result: SelectionFit, pin: dict[str, Any]) -> None:
    """Estimates in units of their standard errors, which agree; the log-likelihood is never below metafor's."""
    on_edge = "boundary" in [note.code for note in result.notes]
    tolerance = EDGE if on_edge else FLAT
    assert -1e-9 < result.fit.loglik - pin["loglik"] < (1e-5 if on_edge else 1e-8)
    p = len(result.fit.names)
    found = np.array([*result.fit.beta, result.fit.component("tau2").estimate, *(s.estimate for s in result.selection)])
    expected = np.array([*np.atleast_1d(pin["beta"]), pin["tau2"], *pin["delta"]])
    se = np.sqrt(np.diag(result.vcov))
    pinned_se = np.array([*np.atleast_1d(pin["se"]), pin["tau2_se"], *np.atleast_1d(pin["delta_se"])], dtype=float)
    free = np.isfinite(se)
    assert free[:p].all()
    np.testing.assert_array_less(np.abs(found - expected)[free], tolerance.relative * se[free])
    assert_close(se[free], pinned_se[free], tolerance)
    np.testing.assert_allclose(found[~free], expected[~free], atol=1e-5 * pin["typical_v"] if on_edge else 0.0)
    if result.lrt_df:
        assert result.lrt_df == pin["LRT_df"]
        assert result.lrt == pytest.approx(pin["LRT"], abs=2e-5 if on_edge else 1e-7)


@pytest.mark.parametrize(("name", "case"), CASES)
def test_step_selection(name: str, case: str) -> None:
    pin = pinned()[name]["step"][case]
    if "error" in pin:
        with pytest.raises(ModelError, match="so its weight cannot be estimated"):
            step_fit(name, case, empty="error")
        return
    if (name, case) in BOUNDED:
        assert max(pin["delta"]) > 99.9
        with pytest.raises(ModelError, match=r"no p in \(0, "):
            step_fit(name, case)
        return
    result = step_fit(name, case)
    if (name, case) in LOWER:
        assert result.fit.loglik > pin["loglik"] + 0.5
        message = next(note.message for note in result.notes if note.code == "several-peaks")
        assert f"intercept = {pin['beta']:.4g}, tau2 = {pin['tau2']:.4g}" in message
    else:
        compare(result, {**pin, "typical_v": np.median(pinned()[name]["v"])})


@pytest.mark.parametrize("name", ["bcg", "cohen"])
def test_beta_selection(name: str) -> None:
    pin = pinned()[name]
    result = fit_beta_selection(*data(name), direction="positive" if pin["toward"] == "greater" else "negative")
    compare(result, {**pin["beta"], "typical_v": np.median(pin["v"])})


GENERAL = json.loads((Path(__file__).parent / "metafor" / "fail_safe_general.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", GENERAL["fits"], ids=lambda c: f"{c['data']} {c['method']} {c['target']}")
def test_fail_safe_general(case: dict[str, Any]) -> None:
    """The peer's search over real numbers ends one study late at times; the smallest that suffices is the answer."""
    data = GENERAL["data"][case["data"]]
    target = None if case["target"] == "NA" else case["target"]
    found = fail_safe_general(data["y"], data["v"], method=case["method"], target=target)
    assert found.mean == pytest.approx(case["est"], rel=1e-4)
    assert case["n"] - found.n in {0, 1}
    fit = fit_random_effects(data["y"], data["v"], method=case["method"], test="z")
    drawer = _Drawer(
        np.array(data["y"]), np.array(data["v"]), found.mean, fit.component("tau2").estimate, case["method"] == "EE"
    )
    mean, p = drawer.pooled(case["n"])
    assert [mean, p] == pytest.approx([case["est_fsn"], case["p_fsn"]], rel=1e-4)
    for hidden, enough in ((found.n, True), (found.n - 1, False)):
        mean, p = drawer.pooled(hidden)
        assert (p >= 0.05 if target is None else mean <= target) is enough


def test_fail_safe_general_collapses_to_rosenberg_and_orwin() -> None:
    y, v = GENERAL["data"]["hackshaw"]["y"], GENERAL["data"]["hackshaw"]["v"]
    assert fail_safe_general(y, v, method="EE").n == fail_safe_rosenberg(y, v).n
    assert fail_safe_general(y, v, method="EE", target=0.05).n == fail_safe_orwin(y, v, target=0.05).n
    assert fail_safe_general([0.01, -0.01], [1.0, 1.0]).n == 0
    with pytest.raises(ModelError, match="on the side of the mean"):
        fail_safe_general(y, v, target=-0.05)
