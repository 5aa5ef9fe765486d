"""Models of counts: against metafor (lme4), base R's integrals, brute force, and what they must collapse to."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import replication as tsr
from replication.errors import ModelError
from replication.models import fit_counts, study_counts
from replication.models.fit import Fit
from replication.models.two_level.count_models import CountsData

INTEGRALS = {"OR conditional", "OR conditional lat", "PLO", "IRR conditional", "IRLN"}
PEERS = {"OR fixed baselines", "OR fixed baselines lat", "OR approximate", "IRR conditional", "IRR fixed baselines",
         "PLO", "IRLN"}  # fmt: skip


@cache
def pinned() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "metafor" / "counts.json").read_text(encoding="utf-8"))


def fitted(tag: str) -> Fit:
    pin, (measure, *words) = pinned(), tag.split()
    bcg, niel = (pd.DataFrame(pin[name]).astype(float) for name in ("bcg", "niel"))
    columns = {
        "OR": (bcg["tpos"], bcg["tneg"], bcg["cpos"], bcg["cneg"]),
        "IRR": (niel["x1i"], niel["t1i"], niel["x2i"], niel["t2i"]),
        "PLO": (bcg["cpos"], bcg["cpos"] + bcg["cneg"]),
        "IRLN": (niel["x1i"], niel["t1i"]),
    }[measure]
    x = np.column_stack([np.ones(13), bcg["lat"]]) if "lat" in words else None
    model = " ".join(word for word in words if word != "lat") or "conditional"
    return fit_counts(study_counts(measure, *columns), x, model=model)  # type: ignore[arg-type]


def test_no_case_has_gone_missing() -> None:
    assert (set(pinned()["integral"]), set(pinned()["metafor"])) == (INTEGRALS, PEERS)


@pytest.mark.parametrize("tag", sorted(INTEGRALS))
def test_against_integrals_in_base_r(tag: str) -> None:
    """R's integrate() and optim() to the end; its second derivatives are differences, so errors hold fewer digits."""
    pin, found = pinned()["integral"][tag], fitted(tag)
    assert found.beta == pytest.approx(np.atleast_1d(pin["beta"]), abs=2e-6)
    assert found.components[0].estimate == pytest.approx(pin["tau2"], rel=1e-5)
    assert found.loglik == pytest.approx(pin["loglik"], abs=1e-8)
    assert found.se == pytest.approx(np.atleast_1d(pin["se"]), rel=1e-4)


@pytest.mark.parametrize("tag", sorted(PEERS))
def test_against_metafor_with_fifty_points(tag: str) -> None:
    """lme4's search stops where a step gains next to nothing, with a parameter for each baseline at 1e-5."""
    pin, found = pinned()["metafor"][tag], fitted(tag)
    assert found.beta == pytest.approx(np.atleast_1d(pin["beta"]), abs=3e-5)
    assert found.components[0].estimate == pytest.approx(pin["tau2"], rel=1e-4)
    assert found.se == pytest.approx(np.atleast_1d(pin["se"]), rel=1e-4)
    assert found.heterogeneity is not None
    assert (found.heterogeneity.Q, found.heterogeneity.df) == pytest.approx((pin["Q"], pin["df"]), rel=1e-6)


TABLES = (np.array([3, 17, 0, 12]), np.array([36, 7, 26, 20]), np.array([6, 4, 2, 28]), np.array([34, 25, 18, 12]))


# A large group beside a small one: effect and baseline of a study then depend on each other in its likelihood.
LOPSIDED = (np.array([30, 170, 10, 120, 60]), np.array([360, 70, 260, 200, 90]), np.array([3, 2, 1, 9, 6]),
            np.array([9, 7, 8, 3, 5]))  # fmt: skip


def brute(
    model: str, beta: float, tau: float, mean: float, sd: float, tables: tuple[np.ndarray, ...] = TABLES
) -> float:
    """The log-likelihood of four tables by the trapezoid rule, nothing of ours in it.

    The rule converges exponentially for an integrand that dies out on both sides.
    """
    grid = np.linspace(-8, 8, 161)
    weight, theta = stats.norm.pdf(grid) * (grid[1] - grid[0]), beta + tau * grid
    total = 0.0
    for a, b, c, d in zip(*tables, strict=True):
        if model == "conditional":
            x = np.arange(max(0, a - d), min(a + b, a + c) + 1)
            law = special.comb(a + b, x) * special.comb(c + d, a + c - x) * np.exp(np.outer(theta, x))
            chance = law[:, x == a][:, 0] / law.sum(axis=1)
            total += float(np.log((chance * weight).sum()))
            continue
        alpha = mean + sd * grid[:, None]
        one = stats.binom.pmf(a, a + b, special.expit(alpha + theta / 2))
        two = stats.binom.pmf(c, c + d, special.expit(alpha - theta / 2))
        total += float(np.log((one * two * weight * weight[:, None]).sum()))
    return total


@pytest.mark.parametrize(
    ("model", "tables"),
    [("conditional", TABLES), ("random baselines", TABLES), ("random baselines", LOPSIDED)],
    ids=["conditional", "random baselines", "lopsided"],
)
def test_the_peak_is_one_of_the_brute_force_likelihood(model: str, tables: tuple[np.ndarray, ...]) -> None:
    """Equal in height, and a step in any direction goes down."""
    found = fit_counts(study_counts("OR", *tables), model=model)  # type: ignore[arg-type]
    data = found.data
    assert isinstance(data, CountsData)
    drawn = model == "random baselines"
    place = [float(found.beta[0]), float(np.sqrt(found.components[0].estimate))]
    place += [data.baseline_mean, float(np.sqrt(data.baseline_variance))] if drawn else [0.0, 0.0]
    assert place[1] > 0.1  # the heterogeneity is no border case
    # 21 points in each of two directions leave 2e-9 here; one direction has 31
    assert brute(model, *place, tables) == pytest.approx(found.loglik, abs=1e-8)
    for i in range(4 if drawn else 2):
        for step in (1e-3, -1e-3):
            moved = [value + step * (j == i) for j, value in enumerate(place)]
            assert brute(model, *moved, tables) < found.loglik - 1e-8, (i, step)


def test_one_study_at_no_heterogeneity_has_the_plain_odds_ratio() -> None:
    """With baselines of their own and a common effect one table is saturated: ad / bc, and Woolf's error."""
    found = fit_counts(study_counts("OR", [10], [20], [5], [40]), model="fixed baselines", heterogeneity=False)
    assert found.beta[0] == pytest.approx(np.log(10 * 40 / (20 * 5)), abs=1e-9)
    assert found.se[0] == pytest.approx(np.sqrt(1 / 10 + 1 / 20 + 1 / 5 + 1 / 40), rel=1e-9)


def test_large_counts_go_over_into_the_normal_model() -> None:
    """Ten thousand events a group: the counts are normal for all that can be told, and so is the fit."""
    rng = np.random.default_rng(3)
    theta = rng.normal(0.4, 0.3, 12)
    n = np.full(12, 40_000.0)
    a, c = np.round(n / (1 + np.exp(1 - theta / 2))), np.round(n / (1 + np.exp(1 + theta / 2)))
    table = pd.DataFrame({"a": a, "b": n - a, "c": c, "d": n - c})
    names = {name: name for name in "abcd"}
    counted = tsr.glmm("OR", table, model="fixed baselines", **names)  # type: ignore[arg-type]
    normal = tsr.random_effects("yi ~ 1", tsr.effect_sizes(table, "OR", **names), method="ML", test="z")  # type: ignore[arg-type]
    assert counted.fit.beta == pytest.approx(normal.fit.beta, abs=1e-4)
    assert counted.fit.components[0].estimate == pytest.approx(normal.fit.components[0].estimate, rel=2e-3)


def test_exchanging_the_groups_turns_the_sign() -> None:
    a, b, c, d = TABLES
    for model in ("conditional", "fixed baselines", "random baselines"):
        one, two = (fit_counts(study_counts("OR", *t), model=model) for t in ((a, b, c, d), (c, d, a, b)))  # type: ignore[arg-type]
        assert one.beta == pytest.approx(-two.beta, abs=1e-8) and one.loglik == pytest.approx(two.loglik, abs=1e-9)


def test_silent_studies_are_listed_and_a_missing_cell_apart() -> None:
    table = pd.DataFrame(
        {"a": [3, 0, 7, np.nan, 5], "b": [30, 9, 17, 8, 20], "c": [6, 0, 14, 2, 9], "d": [34, 9, 15, 7, 20]}
    )
    found = tsr.glmm("OR", table, a="a", b="b", c="c", d="d")
    assert found.fit.k == 3 and found.rows == (0, 2, 4)
    assert [(note.code, note.rows) for note in found.notes if note.rows] == [
        ("excluded-rows", (3,)),
        ("excluded-rows", (1,)),
    ]
    assert "GLMM of counts" in str(found.summary(transform=np.exp)) and found.augment().shape[0] == 3
    assert "GLMM of counts" in found.methods_text()


def test_no_event_at_all_is_said() -> None:
    found = fit_counts(study_counts("PLO", [0, 0, 0], [10, 20, 30]))
    assert "no-peak" in [note.code for note in found.notes]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: study_counts("OR", [1.5], [2], [3], [4]), "a, row 0: expected whole numbers"),
        (lambda: study_counts("PLO", [3, 9], [5, 8]), "row 1: more events than persons"),
        (lambda: study_counts("IRR", [3], [0], [5], [8]), "time1, row 0: expected times above 0"),
        (lambda: study_counts("OR", [1], [2]), "OR needs a, b, c, d"),
        (lambda: fit_counts(study_counts("IRR", [3], [1], [5], [8]), model="approximate"), "odds ratios of rare"),
        (lambda: tsr.glmm("OR", pd.DataFrame({"a": [1]}), a="a"), "OR needs the columns a, b, c, d; given were a"),
        (lambda: tsr.glmm("odds", pd.DataFrame({"a": [1]}), a="a"), "measure='odds' is not known"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_cannot_be_fitted_is_said(call: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        call()
