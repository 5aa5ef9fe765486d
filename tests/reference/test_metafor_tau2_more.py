"""Iterated and weighted estimators of tau2, a tau2 that is held, information criteria: against converged metafor."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replication.errors import ModelError
from replication.models import fit_random_effects, information_criteria, leave_one_out, likelihood_ratio, tau2_interval
from replication.models.fit import Fit
from tests.tolerances import CLOSED, CONVERGED, SAME, TAIL, Tolerance, assert_close

FITS = {f"{m} {x}" for m in ("DLIT", "SJIT", "GENQ") for x in ("intercept", "moderator")}
# The iterations move by a share of what is left; metafor ends them when a step is below 1e-14.
ITERATED = Tolerance(1e-9, 1e-12, "fixed-point iterations ended at steps of 1e-14", 5e-11)


@cache
def pinned() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "metafor" / "tau2_more.json").read_text(encoding="utf-8"))


def fitted(design: str, **choices: Any) -> Fit:
    pin = pinned()
    columns = {"intercept": [], "moderator": ["ablat"], "moderators": ["ablat", "year"]}[design]
    x = np.column_stack([np.ones(13), *(pin[name] for name in columns)])
    return fit_random_effects(pin["y"], pin["v"], x, **{"test": "z", **choices})


def test_no_case_has_gone_missing() -> None:
    assert set(pinned()["fits"]) == FITS


@pytest.mark.parametrize("tag", sorted(FITS))
def test_estimators(tag: str) -> None:
    pin, (method, design) = pinned()["fits"][tag], tag.split()
    fit = fitted(design, method=method, weights=pinned()["weights"] if method == "GENQ" else None)
    tau2 = fit.component("tau2")
    tolerance = CLOSED if method == "GENQ" else ITERATED
    assert_close([tau2.estimate, tau2.se], [pin["tau2"], pin["se_tau2"]], tolerance)
    assert_close(fit.beta, np.ravel(pin["beta"]), tolerance)
    assert_close(fit.se, np.ravel(pin["se"]), tolerance)


@pytest.mark.parametrize("value", ["0", "0.05", "0.2", "1.5"])
def test_a_tau2_that_is_held(value: str) -> None:
    pin = pinned()["held"][value]
    fit = fitted("moderator", tau2=float(value), test="knha")
    assert fit.method["tau2"] == "fixed" and fit.component("tau2").estimate == float(value)
    assert_close(fit.beta, pin["beta"], CLOSED)
    assert_close(fit.se, pin["se"], CLOSED)
    assert np.isnan(fit.component("tau2").se) and tau2_interval(fit).reason
    assert information_criteria(fit).parameters == 2
    with pytest.raises(ModelError, match="was held at a value"):
        leave_one_out(fit)


def test_names_of_one_estimator_agree() -> None:
    assert fitted("moderator", method="CO").beta.tolist() == fitted("moderator", method="HE").beta.tolist()
    same = fitted("intercept", method="GENQ", weights=np.full(13, 7.0)).component("tau2")
    assert_close(same.estimate, fitted("intercept", method="HE").component("tau2").estimate, SAME)
    with pytest.raises(ModelError, match="pass weights"):
        fitted("intercept", method="GENQ")
    for bad in (-0.1, float("nan"), "much"):
        with pytest.raises(ModelError, match="is not a variance"):
            fitted("intercept", tau2=bad)


def test_information_criteria_and_likelihood_ratio() -> None:
    fits = {
        "ML": fitted("intercept", method="ML"),
        "moderators": fitted("moderators", method="ML"),
        "REML": fitted("moderator", method="REML"),
    }
    for name, fit in fits.items():
        pin, found = pinned()["criteria"][name], information_criteria(fit)
        expected = [pin["loglik"], pin["AIC"], pin["AICc"], pin["BIC"]]
        assert_close([found.loglik, found.aic, found.aicc, found.bic], expected, CONVERGED)
    test = likelihood_ratio(fits["ML"], fits["moderators"])
    assert_close([test.statistic, test.p], [pinned()["lrt"]["statistic"], pinned()["lrt"]["p"]], TAIL)
