"""Standardised residuals, leverages and variance inflation against metafor."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replication.errors import ModelError
from replication.models import fit_multilevel, fit_random_effects, influence, robust
from replication.models.fit import Fit
from replication.models.multilevel.residuals import row_diagnostics, variance_inflation
from tests.tolerances import CONVERGED, OPTIMISED, SAME, assert_close


@cache
def pinned() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "metafor" / "residuals.json").read_text(encoding="utf-8"))


def nested() -> Fit:
    pin = pinned()["nested"]
    x = np.column_stack([np.ones(len(pin["y"])), pin["year10"]])
    return fit_multilevel(pin["y"], pin["v"], {"district": pin["district"], "school": pin["school"]}, x, rows=None)


def two_level(**choices: Any) -> Fit:
    pin = pinned()["two"]
    return fit_random_effects(pin["y"], pin["v"], np.array(pin["X"]), **{"test": "z", **choices})


def test_rows_of_a_nested_model() -> None:
    pin, found = pinned()["nested"], row_diagnostics(nested())
    for name, values in (("residual", found.residual), ("se", found.se), ("z", found.standardised), ("hat", found.hat)):
        assert_close(values, pin[name], OPTIMISED, name)
    assert found.hat.sum() == pytest.approx(2.0, rel=1e-12)
    assert_close(row_diagnostics(robust(nested())).standardised, found.standardised, SAME)


def test_rows_of_a_meta_regression() -> None:
    pin, found = pinned()["two"], row_diagnostics(two_level())
    assert_close(found.standardised, pin["z"], CONVERGED)
    assert_close(found.hat, pin["hat"], CONVERGED)
    assert_close(found.hat, influence(two_level()).hat, SAME)


def test_variance_inflation() -> None:
    assert_close(list(variance_inflation(two_level()).values()), pinned()["two"]["vif"], CONVERGED)
    with pytest.raises(ModelError, match="two moderators or more"):
        variance_inflation(nested())


def test_a_row_that_determines_a_coefficient_has_no_standardised_residual() -> None:
    x = np.column_stack([np.ones(5), [0, 0, 0, 0, 1]])
    fit = fit_random_effects([0.1, 0.3, 0.2, 0.5, 0.9], [0.01, 0.02, 0.01, 0.03, 0.02], x, test="z")
    found = row_diagnostics(fit)
    assert np.isnan(found.standardised[4]) and found.hat[4] == pytest.approx(1.0)
    with pytest.raises(ModelError, match="weights of its own"):
        row_diagnostics(fit_random_effects([0.1, 0.3, 0.2], [0.01, 0.02, 0.01], weights=[1, 1, 1]))
