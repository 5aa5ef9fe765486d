"""Roorda et al.'s six pairs, as published and with all rows, against metafor 5.1 as it comes.

Its iterations stop early by default, so here formulas without iteration must agree to rounding, the others to where
metafor stops. `test_metafor_random_effects.py` runs it to the end.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replication.models.prediction import blups, prediction_interval
from replication.models.two_level.influence import influence, leave_one_out
from replication.models.two_level.random_effects import fit_random_effects
from tests.tolerances import CLOSED, STOPPED_EARLY, TAIL, Tolerance, assert_close

PAIRS = [f"{rows}_{pair}" for rows in ("used", "all") for pair in
         ("pos_neg", "pos_achiev", "neg_achiev", "pos_enga", "enga_achiev", "neg_enga")]  # fmt: skip
CLOSED_FORMS = ("EE", "DL", "HE", "HS", "HSk", "SJ")
ITERATIVE = ("ML", "REML", "EB", "PM", "PMM")
GRID = {f"{m}_{t}" for m in CLOSED_FORMS + ITERATIVE for t in ("z", "knha")} - {"EE_knha"}


@cache
def pinned() -> dict[str, Any]:
    path = Path(__file__).parent / "metafor" / "roorda_5_1.json"
    return json.loads(path.read_text(encoding="utf-8"))["sets"]


def test_no_case_has_gone_missing() -> None:
    assert {name: set(pin["fits"]) for name, pin in pinned().items()} == dict.fromkeys(PAIRS, GRID)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("tag", sorted(GRID))
def test_fit(name: str, tag: str) -> None:
    pin, (method, test) = pinned()[name]["fits"][tag], tag.split("_")
    fit = fit_random_effects(pinned()[name]["yi"], pinned()[name]["vi"], method=method, test=test)
    tolerance: Tolerance = CLOSED if method in CLOSED_FORMS else STOPPED_EARLY
    tau2, q = fit.component("tau2"), fit.heterogeneity
    assert q is not None
    found = [fit.beta[0], fit.se[0], *fit.interval()[0]]
    assert_close(found, [pin[n] for n in ("mu", "se", "ci_lb", "ci_ub")], tolerance)
    assert_close([tau2.estimate, q.I2, q.H2], [pin[n] for n in ("tau2", "I2", "H2")], tolerance)
    assert_close([q.Q, fit.loglik], [pin["QE"], pin["ll"]], CLOSED if method in CLOSED_FORMS else STOPPED_EARLY)
    assert_close(q.p, pin["QEp"], TAIL)
    if method != "EE":
        predicted = prediction_interval(fit)
        assert_close(tau2.se, pin["se_tau2"], tolerance)
        assert_close([predicted.low, predicted.high], [pin["pi_lb"], pin["pi_ub"]], tolerance)


@pytest.mark.parametrize("name", PAIRS)
def test_q_profile_interval(name: str) -> None:
    pin = pinned()[name]
    interval = fit_random_effects(pin["yi"], pin["vi"]).component("tau2").interval
    assert interval is not None
    # metafor's root finder stops within 1.3e-4 by default, on tau2 itself
    found, expected = (
        np.array([interval.low, interval.high]),
        [pin["fits"]["REML_z"][n] for n in ("tau2_lb", "tau2_ub")],
    )
    assert np.abs(found - expected).max() < 1.3e-4


@pytest.mark.parametrize("name", PAIRS)
def test_diagnostics(name: str) -> None:
    pin = pinned()[name]
    fit = fit_random_effects(pin["yi"], pin["vi"], test="z")
    pull, out, predicted = influence(fit), leave_one_out(fit).fits, blups(fit)
    for ours, theirs in (
        ("rstudent",) * 2,
        ("dffits",) * 2,
        ("cook",) * 2,
        ("hat",) * 2,
        ("covratio",) * 2,
        ("tau2_deleted", "tau2_del"),
    ):
        assert_close(getattr(pull, ours), pin["influence"][theirs], STOPPED_EARLY, ours)
    for ours, theirs in (("beta", "mu"), ("se", "se"), ("tau2", "tau2"), ("I2", "I2")):
        assert_close(np.ravel(getattr(out, ours)), pin["leave1out"][theirs], STOPPED_EARLY, ours)
    assert_close(predicted.effect, pin["blup"]["pred"], STOPPED_EARLY)
    assert_close(predicted.se, pin["blup"]["se"], STOPPED_EARLY)
