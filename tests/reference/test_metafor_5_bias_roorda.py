"""Bias methods on Roorda et al.'s six pairs, as published and with all rows, against metafor 5.1 as it comes.

Numbers without iteration agree to rounding; others to where metafor's defaults stop (`test_metafor_bias.py` runs it to
the end): tau2 to an absolute 1e-5, the Henmi-Copas multiple to 1.2e-4, selection models to a relative 1e-8 in the
log-likelihood.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replication.models.bias import (
    egger_test,
    fail_safe_rosenberg,
    fail_safe_rosenthal,
    fit_step_selection,
    henmi_copas,
    peese,
    pet,
    rank_test,
    trim_fill,
)
from replication.models.options import FillEstimator
from tests.tolerances import CLOSED, STOPPED_EARLY, TAIL, Tolerance, assert_close

PAIRS = [f"{rows}_{pair}" for rows in ("used", "all") for pair in
         ("pos_neg", "pos_achiev", "neg_achiev", "pos_enga", "enga_achiev", "neg_enga")]  # fmt: skip
HALTED_TEST = Tolerance(2e-4, 1e-12, "REML statistics where metafor stops at a change of 1e-5 in tau2", 1.7e-4)
BRACKETED = Tolerance(1e-4, 1e-12, "metafor solves for the multiple to an absolute 1.2e-4", 5.3e-5)
LOGLIK = Tolerance(1e-7, 1e-12, "the log-likelihood at metafor's last step, which is below ours", 2.7e-9)
FLAT = Tolerance(5e-5, 1e-12, "where the log-likelihood is within 1e-8 of its top", 3.7e-5)


@cache
def pinned() -> dict[str, Any]:
    path = Path(__file__).parent / "metafor" / "roorda_bias_5_1.json"
    return json.loads(path.read_text(encoding="utf-8"))["sets"]


def data(name: str) -> tuple[Any, Any]:
    return pinned()[name]["yi"], pinned()[name]["vi"]


def test_no_pair_has_gone_missing() -> None:
    assert list(pinned()) == PAIRS


@pytest.mark.parametrize("name", PAIRS)
def test_egger_wls(name: str) -> None:
    test, pin = egger_test(*data(name), model="wls"), pinned()[name]["egger_lm"]
    assert_close(test.statistic, pin["t"], CLOSED)
    assert_close(test.p, pin["p"], TAIL)


@pytest.mark.parametrize("name", PAIRS)
def test_egger_mixed(name: str) -> None:
    test, pin = egger_test(*data(name), model="mixed", test="z"), pinned()[name]["egger_rma"]
    assert_close([test.statistic, test.p, test.limit], [pin["z"], pin["p"], pin["limit"]], HALTED_TEST)


@pytest.mark.parametrize("name", PAIRS)
def test_rank(name: str) -> None:
    test, pin = rank_test(*data(name)), pinned()[name]["rank"]
    assert_close([test.tau, test.p], [pin["tau"], pin["p"]], CLOSED)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("estimator", ["L0", "R0"])
def test_trim_fill(name: str, estimator: FillEstimator) -> None:
    result, pin = trim_fill(*data(name), estimator=estimator, test="z"), pinned()[name][f"trimfill_{estimator}"]
    assert (result.k0, result.side) == (pin["k0"], pin["side"])
    found = [result.fit.beta[0], result.fit.se[0], result.fit.component("tau2").estimate]
    assert_close(found, [pin["mu"], pin["se"], pin["tau2"]], HALTED_TEST)


@pytest.mark.parametrize("name", PAIRS)
def test_pet_and_peese(name: str) -> None:
    for key, function in (("pet", pet), ("peese", peese)):
        fit, pin = function(*data(name), model="mixed", test="z"), pinned()[name][key]
        found = [*fit.beta, *fit.se, fit.component("tau2").estimate]
        assert_close(found, [*pin["b"], *pin["se"], pin["tau2"]], HALTED_TEST)


@pytest.mark.parametrize("name", PAIRS)
def test_henmi_copas(name: str) -> None:
    result, pin = henmi_copas(*data(name)), pinned()[name]["henmi_copas"]
    assert_close([result.estimate, result.se], [pin["mu"], pin["se"]], CLOSED)
    assert_close(result.multiple, (pin["ub"] - pin["mu"]) / pin["se"], BRACKETED)
    assert_close([result.interval.low, result.interval.high], [pin["lb"], pin["ub"]], STOPPED_EARLY)


@pytest.mark.parametrize("name", PAIRS)
def test_fail_safe_n(name: str) -> None:
    pin = pinned()[name]
    assert fail_safe_rosenthal(*data(name)).n == pin["fail_safe_rosenthal"]
    assert fail_safe_rosenberg(*data(name)).n == pin["fail_safe_rosenberg"]


@pytest.mark.parametrize("name", [pair for pair in PAIRS if "neg_enga" not in pair])
def test_step_selection(name: str) -> None:
    y, v = data(name)
    result = fit_step_selection(y, v, direction="negative" if np.mean(y) < 0 else "positive")
    pin = pinned()[name]["step_025"]
    found = [result.fit.beta[0], result.fit.se[0], result.fit.component("tau2").estimate, result.selection[1].estimate]
    assert_close(found, [pin["mu"], pin["se"], pin["tau2"], pin["delta"]], FLAT)
    assert_close([result.fit.loglik, result.lrt, result.lrt_p], [pin["ll"], pin["LRT"], pin["p"]], LOGLIK)
    assert result.fit.loglik > pin["ll"] - 1e-9


@pytest.mark.parametrize("name", ["used_neg_enga", "all_neg_enga"])
def test_step_selection_where_every_effect_is_significant(name: str) -> None:
    """The weight of the empty interval is 0; metafor halts on the way there, at 5e-5 and a lower likelihood."""
    result, pin = fit_step_selection(*data(name), direction="negative", empty="zero"), pinned()[name]["step_025"]
    assert (result.selection[1].estimate, pin["delta"]) == (0.0, pytest.approx(0.0, abs=1e-4))
    assert 0.0 < result.fit.loglik - pin["ll"] < 1e-3
    found = [result.fit.beta[0], result.fit.component("tau2").estimate, result.lrt_p]
    assert_close(found, [pin["mu"], pin["tau2"], pin["p"]], STOPPED_EARLY)
