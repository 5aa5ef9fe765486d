"""Logistic and truncated selection models and profile-likelihood intervals, against metafor and by brute force."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from replication.errors import ModelError
from replication.models.bias import (
    fit_smooth_selection,
    fit_step_selection,
    fit_truncated_selection,
    selection_intervals,
)
from replication.models.bias.selection_fit import SelectionFit

TRUNCATED = {"hackshaw truncated 0", "hackshaw truncated 0.1", "baskerville truncated 0.3"}
INTEGRATED = {"hackshaw logistic", "baskerville logistic", "hackshaw power"}


@cache
def pinned() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "metafor" / "selection_more.json").read_text(encoding="utf-8"))


@cache
def fitted(tag: str) -> SelectionFit:
    name, kind, *cut = tag.split()
    y, v = pinned()[name]["y"], pinned()[name]["v"]
    if kind == "truncated":
        return fit_truncated_selection(y, v, cut=float(cut[0]))
    return fit_step_selection(y, v, steps=(0.5,)) if kind == "step" else fit_smooth_selection(y, v, shape=kind)  # type: ignore[arg-type]


def test_no_case_has_gone_missing() -> None:
    assert set(pinned()["fits"]) == TRUNCATED | INTEGRATED | {"hackshaw step 0.5"}


@pytest.mark.parametrize("tag", sorted(TRUNCATED | {"hackshaw step 0.5"}))
def test_closed_forms(tag: str) -> None:
    """Nothing is integrated here, so both stop where the likelihood does."""
    pin, found = pinned()["fits"][tag], fitted(tag)
    weight = found.selection[-1]
    assert found.fit.beta[0] == pytest.approx(pin["beta"], abs=1e-6)
    assert found.fit.component("tau2").estimate == pytest.approx(pin["tau2"], rel=1e-5)
    assert [found.fit.loglik, found.lrt] == pytest.approx([pin["loglik"], pin["LRT"]], abs=1e-7)
    expected = [float(np.ravel(pin[name])[-1]) for name in ("delta", "se_delta")]
    assert [weight.estimate, weight.se] == pytest.approx(expected, rel=1e-5)
    for (_, interval), (_, low, high) in zip(selection_intervals(found), pin["ci"].values(), strict=True):
        assert [interval.low, interval.high] == pytest.approx([low, high], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("tag", sorted(INTEGRATED))
def test_integrated_forms(tag: str) -> None:
    """metafor's adaptive quadrature and differences leave four digits."""
    pin, found = pinned()["fits"][tag], fitted(tag)
    delta = found.selection[0]
    assert found.fit.beta[0] == pytest.approx(pin["beta"], abs=2e-5)
    assert [found.fit.component("tau2").estimate, delta.estimate, delta.se] == pytest.approx(
        [pin["tau2"], pin["delta"], pin["se_delta"]], rel=1e-4
    )
    assert [found.fit.loglik, found.lrt] == pytest.approx([pin["loglik"], pin["LRT"]], abs=2e-5)


def test_profile_intervals_of_a_smooth_model() -> None:
    (_, tau2), (_, delta) = selection_intervals(fitted("hackshaw power"))
    (_, low, high), (_, _, top) = pinned()["fits"]["hackshaw power"]["ci"].values()
    assert [tau2.low, tau2.high, delta.high] == pytest.approx([low, high, top], rel=1e-4)
    # Without selection (delta = 0) the likelihood is high enough: the interval reaches the edge and says so.
    assert delta.low == 0.0 and "edge" in delta.reason


def log_likelihood(tag: str, mean: float, tau2: float, weight: float) -> float:
    """By the definition of the model: density times weight over its integral, by scipy."""
    name, kind, *cut = tag.split()
    total = 0.0
    for y, v in zip(pinned()[name]["y"], pinned()[name]["v"], strict=True):
        se, spread = np.sqrt(v), np.sqrt(v + tau2)
        if kind == "truncated":
            short = stats.norm.cdf(float(cut[0]), mean, spread)
            chance, own = weight * short + 1.0 - short, weight if y <= float(cut[0]) else 1.0
        else:

            def seen(x: float, se: float = se) -> float:
                return float(2.0 / (1.0 + np.exp(weight * stats.norm.sf(x / se))))

            ends = (mean - 12 * spread, mean + 12 * spread)
            product = lambda x, s=spread: seen(x) * stats.norm.pdf(x, mean, s)  # noqa: E731
            chance, own = integrate.quad(product, *ends, epsabs=1e-13, epsrel=1e-12, limit=500)[0], seen(y)
        total += float(np.log(own) - np.log(chance) + stats.norm.logpdf(y, mean, spread))
    return total


@pytest.mark.parametrize("tag", ["hackshaw truncated 0.1", "hackshaw logistic"])
def test_the_likelihood_is_the_definition(tag: str) -> None:
    found = fitted(tag)
    at = (float(found.fit.beta[0]), found.fit.component("tau2").estimate, found.selection[-1].estimate)
    assert found.fit.loglik == pytest.approx(log_likelihood(tag, *at), abs=1e-8)


def test_the_interval_ends_where_the_profile_has_fallen_enough() -> None:
    tag = "hackshaw truncated 0.1"
    found = fitted(tag)
    interval = dict(selection_intervals(found, level=0.9))["effect <= 0.1"]
    for end in (interval.low, interval.high):

        def lowered(free: np.ndarray, end: float = end) -> float:
            return -log_likelihood(tag, free[0], float(np.exp(free[1])), end)

        best = optimize.minimize(lowered, [0.15, -4.0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10})
        assert 2.0 * (found.fit.loglik + best.fun) == pytest.approx(stats.chi2.isf(0.1, 1), abs=1e-6)


def test_a_cut_at_zero_is_a_step_at_one_half_whatever_the_direction_and_unit() -> None:
    y, v = (np.array(pinned()["hackshaw"][name]) for name in "yv")
    cut, step = fit_truncated_selection(y, v), fit_step_selection(y, v, steps=(0.5,))
    turned = fit_truncated_selection(-100 * y, 1e4 * v, direction="negative")
    for other in (step, turned):
        assert other.selection[1].estimate == pytest.approx(cut.selection[1].estimate, rel=1e-6)
        assert other.selection[1].observed == cut.selection[1].observed == (y <= 0).sum()
    assert turned.fit.beta[0] == pytest.approx(-100 * cut.fit.beta[0], rel=1e-6)
    assert turned.selection[1].name == "effect >= 0"


@pytest.mark.parametrize("direction", ["positive", "negative"])
def test_an_estimated_cut_is_the_best_of_all(direction: Any) -> None:
    """Against cuts on a grid and just short of every effect, where the likelihood of a small weight is highest."""
    sign = 1.0 if direction == "positive" else -1.0
    y, v = (np.array(pinned()["hackshaw"][name])[:14] for name in "yv")
    found = fit_truncated_selection(sign * y, v, cut=None, direction=direction)
    inside = np.unique(np.concatenate([np.linspace(y.min(), y.max(), 25)[1:-1], np.sort(y)[1:] - 1e-9]))
    tried = [fit_truncated_selection(y, v, cut=float(cut)) for cut in inside]
    best = max(range(len(tried)), key=lambda i: tried[i].fit.loglik)
    assert found.fit.loglik == pytest.approx(tried[best].fit.loglik, abs=1e-6)
    assert sign * found.fit.beta[0] == pytest.approx(tried[best].fit.beta[0], abs=1e-6)
    assert found.fit.method["cut"] == f"{sign * (inside[best] + 1e-9):g}, estimated"
    assert np.isnan(found.lrt_p) and found.lrt_df == 2 and "estimated-cut" in [note.code for note in found.notes]
    with pytest.raises(ModelError, match="cannot go with weight=0"):
        fit_truncated_selection(y, v, cut=None, weight=0.0)


def test_the_truncated_normal_distribution() -> None:
    """Weight 0 below the cut: y given y > cut, as scipy has it."""
    v = np.full(200, 0.04)
    y = stats.truncnorm.rvs((0.0 - 0.1) / 0.2, np.inf, loc=0.1, scale=0.2, size=200, random_state=7)
    found = fit_truncated_selection(y, v, weight=0.0, tau2="EE")
    score = lambda mean: -stats.truncnorm.logpdf(y, -mean / 0.2, np.inf, loc=mean, scale=0.2).sum()  # noqa: E731
    assert found.fit.beta[0] == pytest.approx(optimize.minimize_scalar(score, (-0.5, 0.5)).x, abs=1e-6)
    assert found.selection[1].fixed and found.selection[1].estimate == 0.0 and selection_intervals(found) == ()


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"cut": 5.0}, "no effect lies above cut=5"),
        ({"cut": -5.0}, "pass weight=0"),
        ({"weight": 0.0}, "but row"),
        ({"weight": -1.0}, "0 or more"),
        ({"cut": float("nan")}, "scale of the effects"),
    ],
)
def test_what_cannot_be_estimated_is_said(choices: dict[str, float], said: str) -> None:
    y, v = pinned()["hackshaw"]["y"], pinned()["hackshaw"]["v"]
    with pytest.raises(ModelError, match=said):
        fit_truncated_selection(y, v, **choices)  # type: ignore[arg-type]


def test_an_interval_of_p_without_p_values_has_no_profile() -> None:
    y, v = [0.5, 0.6, 0.7, 0.4, 0.55], [0.01, 0.02, 0.03, 0.005, 0.01]
    found = fit_step_selection(y, v, empty="zero")
    interval = dict(selection_intervals(found))["p in (0.025, 1]"]
    assert np.isnan(interval.low) and "set to 0" in interval.reason
