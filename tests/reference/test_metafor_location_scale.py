"""Moderators of the mean and of the heterogeneity against converged metafor, and the collapse to a constant scale."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replication.errors import ModelError
from replication.models import fit_random_effects
from replication.models.two_level.location_scale import LocationScaleFit, fit_location_scale
from tests.tolerances import OPTIMISED, SAME, assert_close

DESIGNS = {"scale": ((), ("meta",)), "both": (("meta",), ("n100", "meta")), "constant": (("meta",), ())}
FITS = {f"{name} {method}" for name in DESIGNS for method in ("ML", "REML")}


@cache
def pinned() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "metafor" / "location_scale.json").read_text(encoding="utf-8"))


def fitted(tag: str, y_scale: float = 1.0) -> LocationScaleFit:
    pin, (name, method) = pinned(), tag.split()
    x, z = (np.column_stack([np.ones(len(pin["y"])), *(pin[c] for c in names)]) for names in DESIGNS[name])
    y, v = np.array(pin["y"]) * y_scale, np.array(pin["v"]) * y_scale**2
    return fit_location_scale(y, v, x, z, method=method)


def test_no_case_has_gone_missing() -> None:
    assert set(pinned()["fits"]) == FITS


@pytest.mark.parametrize("tag", sorted(FITS))
def test_location_and_scale(tag: str) -> None:
    pin, found = pinned()["fits"][tag], fitted(tag)
    assert found.fit.notes == ()
    assert_close(found.fit.beta, np.ravel(pin["beta"]), OPTIMISED)
    assert_close(found.fit.se, np.ravel(pin["se"]), OPTIMISED)
    if tag.startswith("constant"):
        assert_close(np.exp(found.scale.beta), np.exp(np.ravel(pin["alpha"])), OPTIMISED)
    else:
        np.testing.assert_allclose(found.scale.beta, np.ravel(pin["alpha"]), rtol=2e-5)
        np.testing.assert_allclose(found.scale.se, np.ravel(pin["se_alpha"]), rtol=2e-5)
    assert -1e-9 < found.fit.loglik - pin["loglik"] < 1e-8


def test_a_constant_scale_is_the_random_effects_model() -> None:
    pin = pinned()
    x = np.column_stack([np.ones(len(pin["y"])), pin["meta"]])
    plain = fit_random_effects(pin["y"], pin["v"], x, test="z")
    found = fitted("constant REML")
    assert_close(found.tau2[0], plain.component("tau2").estimate, OPTIMISED)
    assert_close(found.fit.beta, plain.beta, OPTIMISED)
    assert found.fit.loglik == pytest.approx(plain.loglik, abs=1e-10)


def test_another_unit_of_the_effects_moves_only_the_intercept_of_the_scale() -> None:
    one, other = fitted("both REML"), fitted("both REML", y_scale=100.0)
    assert_close(other.scale.beta[1:], one.scale.beta[1:], OPTIMISED)
    assert other.scale.beta[0] - one.scale.beta[0] == pytest.approx(2 * np.log(100.0), rel=1e-7)
    assert_close(other.fit.beta, 100.0 * one.fit.beta, OPTIMISED)
    assert_close(other.tau2, 1e4 * one.tau2, OPTIMISED)


def test_hostile_input() -> None:
    y, v = [0.1, 0.2, 0.3, 0.4, 0.5], [0.01] * 5
    with pytest.raises(ModelError, match=r"too few for 1 \+ 4 coefficients"):
        fit_location_scale(y, v, None, np.eye(5)[:, :4])
    with pytest.raises(ModelError, match="z has shape"):
        fit_location_scale(y, v, None, np.ones((4, 1)))
    with pytest.raises(ModelError, match="sampling variance is 0"):
        fit_location_scale(y, [0.0, *v[1:]], None, np.ones((5, 1)))
    left = fit_location_scale([*y, 0.9, 0.1], [*v, 0.01, 0.02], None, [[1.0]] * 5 + [[np.nan]] + [[1.0]])
    assert left.fit.k == 6 and SAME.relative < 1
