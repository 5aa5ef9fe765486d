"""Selection that presses harder on imprecise rows, and on some rows alone: metafor's `prec`, and brute force."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import replication as tsr
from replication.errors import ModelError
from replication.models.bias import (
    fit_beta_selection,
    fit_smooth_selection,
    fit_step_selection,
    fit_truncated_selection,
)
from replication.models.bias.selection_fit import SelectionFit

SHAPES = {"halfnorm": "half-normal", "negexp": "negative exponential", "logistic": "logistic", "power": "power"}


@cache
def pinned() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "metafor" / "selection_precision.json").read_text(encoding="utf-8"))


def effects() -> tuple[np.ndarray, np.ndarray]:
    return np.array(pinned()["y"]), np.array(pinned()["v"])


def test_no_case_has_gone_missing() -> None:
    assert set(pinned()["fits"]) == {f"{shape} {prec}" for shape in SHAPES for prec in ("sei", "vi")}


@pytest.mark.parametrize("tag", sorted(pinned()["fits"]))
def test_pressure_in_proportion_to_the_standard_error_or_variance(tag: str) -> None:
    """metafor's integral of the power function is off by 2e-4 in the log-likelihood, below ours: fewer digits there."""
    shape, measure = tag.split()
    y, v = effects()
    pin = pinned()["fits"][tag]
    found = fit_smooth_selection(y, v, shape=SHAPES[shape], imprecision=np.sqrt(v) if measure == "sei" else v)  # type: ignore[arg-type]
    digits = 5e-3 if shape == "power" else 5e-6
    assert found.fit.beta[0] == pytest.approx(pin["beta"], abs=digits / 10)
    assert [found.fit.component("tau2").estimate, found.selection[0].estimate, found.selection[0].se] == pytest.approx(
        [pin["tau2"], pin["delta"], pin["se_delta"]], rel=digits
    )
    assert pin["loglik"] - 1e-9 <= found.fit.loglik <= pin["loglik"] + (2e-4 if shape == "power" else 1e-9)


NODES, WIDTHS = np.polynomial.legendre.leggauss(60)


def log_likelihood(at: np.ndarray, weight: Any, selected: np.ndarray) -> float:
    """By the definition: density times weight over its integral for selected rows, the density alone for others."""
    y, v = effects()
    mean, tau2, delta = at
    se, spread = np.sqrt(v), np.sqrt(v + tau2)
    # pieces between the places where a weight jumps, and a dozen more: sixty nodes on each give fifteen digits
    jumps = np.stack([np.full(len(y), 0.1), se * stats.norm.isf(0.025)])
    edges = np.sort(np.concatenate([mean + spread * np.linspace(-12, 12, 13)[:, None], jumps]), axis=0)
    half, middle = np.diff(edges, axis=0) / 2, (edges[1:] + edges[:-1]) / 2
    x = middle + half * NODES[:, None, None]
    chance = (weight(x, se, delta) * stats.norm.pdf(x, mean, spread) * half * WIDTHS[:, None, None]).sum(axis=(0, 1))
    seen = np.log(weight(y, se, delta)) - np.log(chance)
    return float(stats.norm.logpdf(y, mean, spread).sum() + seen[selected].sum())


SELECTED = np.arange(37) % 3 != 0


def fitted(kind: str) -> tuple[SelectionFit, Any]:
    """A fit to some rows selected, with its weight function written out."""
    y, v = effects()
    se = np.sqrt(v)
    if kind == "step":
        step = lambda x, se, d: np.where(stats.norm.sf(x / se) <= 0.025, 1.0, d)  # noqa: E731
        return fit_step_selection(y, v, selected=SELECTED), step
    if kind == "truncated":
        cut = lambda x, se, d: np.where(x > 0.1, 1.0, d)  # noqa: E731
        return fit_truncated_selection(y, v, cut=0.1, selected=SELECTED), cut
    power = lambda x, se, d: stats.norm.cdf(x / se) ** (d * se / se.max())  # noqa: E731
    return fit_smooth_selection(y, v, shape="power", imprecision=se, selected=SELECTED), power


@pytest.mark.parametrize("kind", ["step", "truncated", "power"])
def test_rows_that_were_not_selected_have_the_plain_density(kind: str) -> None:
    """The likelihood is the definition's, and ours stands at its top: every small move lowers it."""
    found, weight = fitted(kind)
    top = np.array([found.fit.beta[0], found.fit.component("tau2").estimate, found.selection[-1].estimate])
    value = log_likelihood(top, weight, SELECTED)
    assert found.fit.loglik == pytest.approx(value, abs=1e-8)
    for j in range(3):
        ends = [log_likelihood(top + sign * 1e-2 * top[j] * np.eye(3)[j], weight, SELECTED) for sign in (-1, 1)]
        assert max(ends) < value
        assert abs(ends[1] - ends[0]) < 0.05 * (2 * value - sum(ends))  # level: the top lies midway
    assert found.fit.method["selected rows"] == "24 of 37"


def test_all_rows_selected_is_the_plain_model_and_what_is_not_selected_is_not_counted() -> None:
    y, v = effects()
    everyone = np.ones(37, dtype=bool)
    for fit in (fit_step_selection, fit_beta_selection):
        assert fit(y, v, selected=everyone).fit.loglik == pytest.approx(fit(y, v).fit.loglik, abs=1e-12)  # type: ignore[operator]
    counts = [one.observed for one in fit_step_selection(y, v, selected=SELECTED).selection]
    assert counts == [int((y / np.sqrt(v) >= stats.norm.isf(0.025))[SELECTED].sum()), 24 - counts[0]]  # type: ignore[operator]


def test_columns_by_name_and_rows_without_an_effect() -> None:
    y, v = effects()
    data = pd.DataFrame({"yi": y, "vi": v, "se": np.sqrt(v), "published": SELECTED})
    gap = pd.concat([data.iloc[:5], data.iloc[[4]].assign(yi=np.nan, se=99.0), data.iloc[5:]], ignore_index=True)
    plain = tsr.smooth_selection(data, "power", imprecision="se", selected="published")
    assert plain.fit.beta[0] == fitted("power")[0].fit.beta[0]
    for source in (gap, tsr.random_effects("yi ~ 1", gap)):
        again = tsr.smooth_selection(source, "power", imprecision=gap["se"], selected="published")
        assert again.fit.beta[0] == pytest.approx(plain.fit.beta[0], rel=1e-9)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"selected": [True]}, "one a row"),
        ({"selected": np.zeros(37, dtype=bool)}, "at least one True"),
        ({"selected": np.arange(37)}, "True or False"),
        ({"imprecision": np.arange(37.0)}, "row 0 not above 0"),
        ({"imprecision": [1.0]}, "1 values, y has 37"),
    ],
)
def test_what_cannot_be_used_is_said(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        fit_smooth_selection(*effects(), shape="power", **given)
