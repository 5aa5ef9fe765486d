"""bayesmeta 3.4 on the project's correlations: what agrees, and why the rest differs by what it does.

bayesmeta integrates tau adaptively, and all of tau agrees to 1e-5 and better. The distributions of mu and theta it
replaces by a mixture of a few dozen normals, one per bin of tau, such that neighbours differ by a divergence of at most
0.01 (Röver & Friede 2017). Brute force shows which of the two is exact: the mixture's mean is good to 1e-5, its spread
to 2e-3 of itself. The last test fails when the pinned numbers no longer need this explanation.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from replication.models.bayes.exact.exact import exact_two_level
from replication.models.bayes.exact.marginals import Marginal
from replication.models.bayes.exact.posterior import ExactPosterior
from replication.models.bayes.exact.summaries import summarize
from replication.models.bayes.priors import HalfCauchy, Normal

PINNED = json.loads((Path(__file__).parent / "bayesmeta_exact.json").read_text())
PAIRS = tuple(PINNED["data"])


def fitted(pair: str) -> ExactPosterior:
    data = PINNED["data"][pair]
    y, v = np.arctanh(data["r"]), 1.0 / (np.array(data["n"]) - 3.0)
    return exact_two_level(y, v, tau=HalfCauchy(0.3), coefficients=Normal(0.0, 1.0))


def numbers(marginal: Marginal) -> dict[str, float]:
    s = summarize(marginal, "")
    found = {"mode": s.mode, "median": s.median, "mean": s.mean, "sd": s.sd}
    return found | {"95% lower": s.shortest.low, "95% upper": s.shortest.high}


def pinned(pair: str, quantity: str) -> dict[str, float]:
    row: dict[str, float] = PINNED["data"][pair]["summary"][quantity]
    return row


def test_the_pinned_file_is_complete() -> None:
    assert PAIRS == ("neg_enga", "neg_achiev")
    for pair in PAIRS:
        assert set(PINNED["data"][pair]["summary"]) == {"tau", "mu", "theta"}
    assert PINNED["versions"] == "R 4.2.2, bayesmeta 3.4"


@pytest.mark.parametrize("pair", PAIRS)
def test_tau(pair: str) -> None:
    """Worst seen: 4e-15 in mean and sd, 5e-13 in the median, 4e-6 in the mode and 1.2e-5 in the interval."""
    found, expected = numbers(fitted(pair).sd()), pinned(pair, "tau")
    for name in ("mean", "sd", "median", "mode"):
        assert found[name] == pytest.approx(expected[name], abs=1e-5)
    for name in ("95% lower", "95% upper"):
        assert found[name] == pytest.approx(expected[name], abs=1e-4)
    assert found["mean"] == pytest.approx(expected["mean"], rel=1e-12)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("quantity", ["mu", "theta"])
def test_mu_and_theta(pair: str, quantity: str) -> None:
    """Means to 1e-5 (worst 8e-6); the rest within the mixture's coarseness, in units of the sd (worst 3.9e-3)."""
    fit = fitted(pair)
    marginal = fit.coefficient() if quantity == "mu" else fit.predict()
    found, expected = numbers(marginal), pinned(pair, quantity)
    assert found["mean"] == pytest.approx(expected["mean"], abs=1e-5)
    for name in ("mode", "median", "sd", "95% lower", "95% upper"):
        assert abs(found[name] - expected[name]) < 5e-3 * found["sd"], name


@pytest.mark.parametrize("pair", PAIRS)
def test_shrunken_effects(pair: str) -> None:
    """Worst seen: 6e-5 in a mean, 9e-5 in an sd."""
    effects, expected = fitted(pair).effects(), PINNED["data"][pair]["theta"]
    np.testing.assert_allclose(effects.mean, expected["mean"], atol=1e-4)
    np.testing.assert_allclose(effects.sd, expected["sd"], atol=1e-4)


@pytest.mark.parametrize("pair", PAIRS)
def test_brute_force_sides_with_the_quadrature(pair: str) -> None:
    """The sd of mu by the trapezoid rule in log tau: ours to 1e-9, the pinned one only to 1e-5 or worse."""
    data = PINNED["data"][pair]
    y, v = np.arctanh(data["r"]), 1.0 / (np.array(data["n"]) - 3.0)
    t = np.exp(np.linspace(-30.0, 20.0, 20001))
    w = 1.0 / (v[:, None] + t**2)
    precision = w.sum(0) + 1.0
    mean = (w * y[:, None]).sum(0) / precision
    quad = (w * (y[:, None] - mean) ** 2).sum(0) + mean**2
    density = np.exp(-0.5 * (quad - np.log(w).sum(0) + np.log(precision))) * t / (1.0 + (t / 0.3) ** 2)
    density /= density.sum()
    center = (density * mean).sum()
    exact = float(np.sqrt((density * (1.0 / precision + (mean - center) ** 2)).sum()))
    assert fitted(pair).coefficient().sd == pytest.approx(exact, rel=1e-9)
    assert abs(pinned(pair, "mu")["sd"] - exact) > 1e-5
