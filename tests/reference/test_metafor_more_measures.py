"""The further effect sizes against metafor's escalc: groups, changes, tables, proportions, rates, reliabilities."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replication import effects
from replication.effects import EffectSize
from tests.tolerances import CLOSED, assert_close

GROUPS = {name: name for name in ("mean1", "sd1", "n1", "mean2", "sd2", "n2")}
CHANGE = {"mean1": "mean1", "sd1": "sd1", "mean2": "mean2", "sd2": "sd2", "n": "n1", "r": "rho"}
TABLE = {name: name for name in "abcd"}
SHARE = {"events": "x", "n": "n"}
RATE = {"events": "x1", "time": "t1"}
RATES = {"events1": "x1", "time1": "t1", "events2": "x2", "time2": "t2"}
SCALE = {"alpha": "alpha", "items": "items", "n": "persons"}
MEASURES: dict[str, tuple[Callable[..., EffectSize], dict[str, str], dict[str, str], str]] = {
    "SMDH": (effects.heteroscedastic_mean_difference, GROUPS, {}, "g"),
    "ROM": (effects.log_ratio_of_means, GROUPS, {}, "log ratio of means"),
    "CVR": (effects.log_variation_ratio, GROUPS, {}, "log variation ratio"),
    "VR": (
        effects.log_variability_ratio,
        {name: name for name in ("sd1", "n1", "sd2", "n2")},
        {},
        "log variability ratio",
    ),
    "MC": (effects.mean_change, CHANGE, {}, "mean change"),
    "SMCRH": (effects.change_in_raw_sd_heteroscedastic, CHANGE, {}, "g"),
    "ZPCOR": (effects.partial_fisher_z, {"t": "t", "n": "nt", "predictors": "m"}, {}, "partial fisher z"),
    # metafor repairs no zero cells of phi, which needs no repair while no margin is empty.
    "PHI": (effects.phi_coefficient, TABLE, {"zero_cells": "none"}, "phi"),
    "YUQ": (effects.yule_q, TABLE, {}, "Yule's Q"),
    "YUY": (effects.yule_y, TABLE, {}, "Yule's Y"),
    "AS": (effects.arcsine_risk_difference, TABLE, {}, "arcsine risk difference"),
    "PR": (effects.proportion, SHARE, {"scale": "raw"}, "proportion"),
    "PLN": (effects.proportion, SHARE, {"scale": "log"}, "log proportion"),
    "PLO": (effects.proportion, SHARE, {}, "logit proportion"),
    "PAS": (effects.proportion, SHARE, {"scale": "arcsine"}, "arcsine proportion"),
    "PFT": (effects.proportion, SHARE, {"scale": "double arcsine"}, "double arcsine proportion"),
    "IR": (effects.incidence_rate, RATE, {"scale": "raw"}, "rate"),
    "IRLN": (effects.incidence_rate, RATE, {}, "log rate"),
    "IRS": (effects.incidence_rate, RATE, {"scale": "square root"}, "root rate"),
    "IRFT": (effects.incidence_rate, RATE, {"scale": "freeman-tukey"}, "double root rate"),
    "IRR": (effects.rate_ratio, RATES, {}, "log rate ratio"),
    "IRD": (effects.rate_difference, RATES, {}, "rate difference"),
    "MN": (effects.single_mean, {"mean": "mean1", "sd": "sd1", "n": "n1"}, {}, "mean"),
    "SDLN": (effects.log_spread, {"sd": "sd1", "n": "n1"}, {}, "log sd"),
    "ARAW": (effects.cronbach_alpha, SCALE, {"scale": "raw"}, "alpha"),
    "AHW": (effects.cronbach_alpha, SCALE, {"scale": "hakstian-whalen"}, "alpha, cube root"),
    "ABT": (effects.cronbach_alpha, SCALE, {}, "alpha, log"),
}


@cache
def pinned() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "metafor" / "more_measures.json").read_text(encoding="utf-8"))


def test_the_grid_is_complete() -> None:
    assert set(pinned()) - {"made_by", "versions", "inputs"} == set(MEASURES)


@pytest.mark.parametrize("name", MEASURES)
def test_estimate_and_variance_are_metafors(name: str) -> None:
    function, columns, options, metric = MEASURES[name]
    given = {ours: np.array(pinned()["inputs"][theirs], dtype=float) for ours, theirs in columns.items()}
    effect = function(**given, **options)
    assert effect.metric == metric
    assert_close(effect.estimate, pinned()[name]["estimate"], CLOSED)
    if name == "ZPCOR":
        # metafor 3.8 divides by n - m - 1, which for a plain r (m = 1) would not be the n - 3 of its own ZCOR
        left = given["n"] - given["predictors"] - 1.0
        effect = replace(effect, variance=effect.variance * (left - 1.0) / left)
    assert_close(effect.variance, pinned()[name]["variance"], CLOSED)
