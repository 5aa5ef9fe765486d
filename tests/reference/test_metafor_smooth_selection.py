"""Smooth selection models against metafor's selmodel, and their likelihood against adaptive quadrature."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from replication.errors import ModelError
from replication.models.bias import fit_smooth_selection
from replication.models.bias.selection_fit import SelectionFit

SHAPES = {"halfnorm": "half-normal", "negexp": "negative exponential", "power": "power"}
WEIGHTS = {
    "half-normal": lambda p, d: np.exp(-d * p**2),
    "negative exponential": lambda p, d: np.exp(-d * p),
    "power": lambda p, d: (1 - p) ** d,
}
FITS = {f"{name} {kind}" for name in ("hackshaw", "baskerville") for kind in SHAPES}


@cache
def pinned() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "metafor" / "smooth_selection.json").read_text(encoding="utf-8"))


def fitted(tag: str, **choices: Any) -> SelectionFit:
    name, kind = tag.split()
    data = pinned()[name]
    return fit_smooth_selection(data["y"], data["v"], shape=SHAPES[kind], **choices)


def brute_force(tag: str, mean: float, tau2: float, delta: float) -> float:
    """The log-likelihood with the chance to be seen of each study integrated by scipy."""
    name, kind = tag.split()
    y, v = (np.array(pinned()[name][column]) for column in "yv")
    weight, total = WEIGHTS[SHAPES[kind]], 0.0
    for effect, variance in zip(y, v, strict=True):
        se, spread = np.sqrt(variance), np.sqrt(variance + tau2)

        def seen(x: float, se: float = se, spread: float = spread) -> float:
            return float(weight(stats.norm.sf(x / se), delta) * stats.norm.pdf(x, mean, spread))

        chance = integrate.quad(seen, mean - 12 * spread, mean + 12 * spread, epsabs=1e-13, epsrel=1e-12, limit=500)[0]
        own = np.log(weight(stats.norm.sf(effect / se), delta)) + stats.norm.logpdf(effect, mean, spread)
        total += float(own - np.log(chance))
    return total


def test_no_case_has_gone_missing() -> None:
    assert set(pinned()["fits"]) == FITS


@pytest.mark.parametrize("tag", sorted(FITS))
def test_estimates(tag: str) -> None:
    """metafor integrates to a relative error of about 1e-5 and takes second derivatives by differences."""
    pin, found = pinned()["fits"][tag], fitted(tag)
    delta, tau2 = found.selection[0], found.fit.component("tau2").estimate
    assert found.fit.beta[0] == pytest.approx(pin["beta"], abs=2e-4)
    assert tau2 == pytest.approx(pin["tau2"], rel=1e-3)
    assert delta.estimate == pytest.approx(pin["delta"], rel=1e-3)
    if not tag.endswith("halfnorm"):  # its differences are 1 to 5 % off on the half-normal
        assert [found.fit.se[0], delta.se] == pytest.approx([pin["se"], pin["se_delta"]], rel=1e-3)
    assert found.fit.loglik == pytest.approx(pin["loglik"], abs=5e-5)


@pytest.mark.parametrize("tag", ["hackshaw power", "baskerville halfnorm"])
def test_the_peak_is_one_by_adaptive_quadrature(tag: str) -> None:
    found = fitted(tag)
    at = (float(found.fit.beta[0]), found.fit.component("tau2").estimate, found.selection[0].estimate)
    height = brute_force(tag, *at)
    assert found.fit.loglik == pytest.approx(height, abs=1e-8)
    for place, step in enumerate((0.01, 0.003, 0.1)):
        for sign in (-1.0, 1.0):
            aside = [value + sign * step * (i == place) for i, value in enumerate(at)]
            assert brute_force(tag, *aside) < height


def test_no_selection_and_its_edge() -> None:
    none = fitted("hackshaw power", delta=0.0)
    assert none.fit.beta[0] == pytest.approx(none.unadjusted.beta[0], rel=1e-8) and none.lrt_df == 0
    rng = np.random.default_rng(4)
    v = rng.uniform(0.01, 0.1, 40)
    y = rng.normal(0.0, np.sqrt(v + 0.01))
    edge = fit_smooth_selection(-np.abs(y), v, shape="negative exponential")
    assert edge.selection[0].estimate == 0.0 and np.isnan(edge.selection[0].se) and edge.notes
    for bad in (-1.0, float("inf")):
        with pytest.raises(ModelError, match="0 or more"):
            fitted("hackshaw power", delta=bad)
    with pytest.raises(ModelError, match="did you mean 'power'"):
        fit_smooth_selection(y, v, shape="powr")
