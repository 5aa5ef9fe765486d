"""Six public data sets (risk ratios and differences, d, z, means; scales 1e-3 to 100) against converged metafor."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replication.models.fit import Fit
from replication.models.multilevel.robust import wald_test
from replication.models.prediction import blups, predict
from replication.models.two_level.influence import baujat, cumulative, influence, leave_one_out
from replication.models.two_level.intervals import tau2_interval
from replication.models.two_level.random_effects import fit_random_effects
from tests.tolerances import CLOSED, CONVERGED, DELETED, TAIL, assert_close

ITERATIVE = ("ML", "REML", "EB", "PM", "PMM")
SETS = ("bcg", "bcg_rd", "raudenbush", "molloy", "normand", "hine")
METHODS = ("DL", "HE", "HS", "HSk", "SJ", *ITERATIVE)
GRID = {f"intercept {m} {t}" for m in METHODS for t in ("z", "t", "knha", "adhoc")}
GRID |= {f"moderators {m} {t}" for m in METHODS for t in ("z", "knha")} | {"intercept EE z", "moderators EE z"}


@cache
def pinned() -> dict[str, Any]:
    path = Path(__file__).parent / "metafor" / "random_effects.json"
    return json.loads(path.read_text(encoding="utf-8"))["sets"]


def design(pin: dict[str, Any], model: str) -> np.ndarray | None:
    k = len(pin["y"])
    return np.column_stack([np.ones(k), np.reshape(pin["x"], (k, -1))]) if model == "moderators" else None


def refit(name: str, tag: str) -> tuple[Fit, dict[str, Any]]:
    pin, (model, method, test) = pinned()[name], tag.split()
    return fit_random_effects(pin["y"], pin["v"], design(pin, model), method=method, test=test), pin["fits"][tag]


def test_no_case_has_gone_missing() -> None:
    assert {name: set(pin["fits"]) for name, pin in pinned().items()} == dict.fromkeys(SETS, GRID)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("tag", sorted(GRID))
def test_fit(name: str, tag: str) -> None:
    fit, pin = refit(name, tag)
    tolerance = CONVERGED if tag.split()[1] in ITERATIVE else CLOSED
    tau2, q = fit.component("tau2"), fit.heterogeneity
    assert q is not None
    assert_close(fit.beta, np.ravel(pin["beta"]), tolerance)
    assert_close(fit.se, np.ravel(pin["se"]), tolerance)
    assert_close(fit.interval(), np.column_stack([np.ravel(pin["ci_lb"]), np.ravel(pin["ci_ub"])]), tolerance)
    assert_close(fit.p, np.ravel(pin["p"]), TAIL)
    found = [tau2.estimate, q.Q, q.I2, q.H2, fit.loglik]
    assert_close(found, [pin[n] for n in ("tau2", "Q", "I2", "H2", "loglik")], tolerance)
    assert_close(q.p, pin["Q_p"], TAIL)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("tag", sorted(tag for tag in GRID if "EE" not in tag))
def test_tau2_and_prediction(name: str, tag: str) -> None:
    fit, pin = refit(name, tag)
    tau2 = fit.component("tau2")
    assert_close(tau2.se, pin["tau2_se"], CONVERGED)
    assert tau2.interval is not None
    if np.isnan(tau2.interval.low):  # metafor shows the empty set as 0 to 0
        assert pin["tau2_ci"] == [0, 0] and "empty" in tau2.interval.reason
    else:
        assert_close([tau2.interval.low, tau2.interval.high], pin["tau2_ci"], CONVERGED)
    x = design(pinned()[name], tag.split(maxsplit=1)[0])
    predicted = predict(fit, [[1.0]] if x is None else x).prediction_interval
    assert_close(predicted, np.column_stack([np.ravel(pin["pi_lb"]), np.ravel(pin["pi_ub"])]), CONVERGED)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("tag", sorted(tag for tag in GRID if tag.startswith("moderators")))
def test_moderators(name: str, tag: str) -> None:
    fit, pin = refit(name, tag)
    omnibus = wald_test(fit)
    assert_close(omnibus.statistic, pin["QM"], CONVERGED)
    assert_close(omnibus.p, pin["QM_p"], TAIL)
    null = pinned()[name]["fits"][f"intercept {tag.split()[1]} z"]["tau2"]
    assert fit.heterogeneity is not None
    if null == 0 or "EE" in tag:  # metafor shows 0 of 0 as 0 per cent
        assert np.isnan(fit.heterogeneity.R2)
    else:
        assert_close(fit.heterogeneity.R2, pin["R2"], CONVERGED)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("test", ["z", "knha"])
def test_user_weights(name: str, test: str) -> None:
    pin = pinned()[name]
    fit = fit_random_effects(pin["y"], pin["v"], test=test, weights=np.arange(1, len(pin["y"]) + 1))
    expected = pin["weighted"][test]
    assert_close(fit.beta, np.ravel(expected["beta"]), CONVERGED)
    assert_close(fit.se, np.ravel(expected["se"]), CONVERGED)
    assert_close(fit.loglik, expected["loglik"], CONVERGED)
    assert_close(predict(fit, [[1.0]]).prediction_interval[0], [expected["pi_lb"], expected["pi_ub"]], CONVERGED)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(
    "tag", ["intercept REML z", "intercept REML knha", "moderators REML z", "moderators REML knha"]
)
def test_diagnostics(name: str, tag: str) -> None:
    fit, _ = refit(name, tag)
    pin = pinned()[name]["diagnostics"][tag]
    pull, predicted, plot = influence(fit), blups(fit), baujat(fit)
    for quantity in ("rstudent", "dffits", "cook", "covratio", "tau2_deleted", "Q_deleted", "hat", "dfbetas"):
        found = getattr(pull, quantity)
        assert_close(found, np.reshape(pin[quantity], found.shape), DELETED, quantity)
    assert pull.influential.tolist() == pin["influential"]
    assert_close(predicted.effect, pin["blup"], CONVERGED)
    assert_close(predicted.se, pin["blup_se"], CONVERGED)
    assert_close(predicted.interval[:, 0], pin["blup_lb"], DELETED)
    assert_close(predicted.deviation, pin["ranef"], CONVERGED)
    assert_close(predicted.deviation_se, pin["ranef_se"], CONVERGED)
    assert_close(plot.heterogeneity, pin["baujat_x"], CONVERGED)
    assert_close(plot.influence, pin["baujat_y"], DELETED)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("tag", ["intercept REML z", "intercept REML knha"])
def test_leave_one_out_and_cumulative(name: str, tag: str) -> None:
    fit, _ = refit(name, tag)
    pin = pinned()[name]["diagnostics"][tag]
    out, grown = leave_one_out(fit).fits, cumulative(fit).fits
    for quantity in ("beta", "se", "tau2", "Q", "I2", "H2", "p"):
        assert_close(np.ravel(getattr(out, quantity)), pin["leave_one_out"][quantity], CONVERGED, quantity)
    for quantity in ("beta", "se", "p"):
        assert_close(np.ravel(getattr(grown, quantity)), pin["cumulative"][quantity], CONVERGED, quantity)
    for quantity in ("tau2", "I2"):  # one study has no tau2; metafor shows 0
        assert np.isnan(getattr(grown, quantity)[0]) and pin["cumulative"][quantity][0] == 0
        assert_close(getattr(grown, quantity)[1:], pin["cumulative"][quantity][1:], CONVERGED, quantity)


@pytest.mark.parametrize(
    ("method", "low", "high"),
    [("ML", 0.105077380809, 0.833912476824), ("REML", 0.115266105748, 0.964695326514)],
)
def test_profile_likelihood_interval(method: str, low: float, high: float) -> None:
    # metafor 3.8.1, bcg: confint(rma(yi, vi, method = ..., control = tight), type = "PL", control = tight)
    pin = pinned()["bcg"]
    interval = tau2_interval(fit_random_effects(pin["y"], pin["v"], method=method), "profile")
    assert_close([interval.low, interval.high], [low, high], CONVERGED)
