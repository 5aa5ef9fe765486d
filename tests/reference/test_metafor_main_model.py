"""The main estimates of the findings and their intervals (1) and (2) against metafor and clubSandwich.

Rows, script and results lie beside each other in `metafor/main_model.*`. Interval (2) is compared twice: the same
plug-in arithmetic to the digits of the optimizer, and the posterior quantiles that the findings print, which also know
that variances are estimated and so are a little wider.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from replication.dataset import Selection
from replication.evidence.main_model import posterior_of_body, working_fit
from replication.evidence.question import Evidence, Question, Source
from replication.models.probability import normal_isf
from tests.tolerances import OPTIMISED, assert_close

FOLDER = Path(__file__).parent / "metafor"
ROWS = pd.read_csv(FOLDER / "main_model.csv")
CASES = tuple(ROWS["case"].unique())


@cache
def theirs() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "main_model.json").read_text(encoding="utf-8"))["cases"]
    return found


def ours(case: str) -> Evidence:
    names = {"sample": "sample_id", "effect": "effect_id"}
    rows = ROWS[ROWS["case"] == case].reset_index(drop=True).rename(columns=names)
    outcome, _, body = case.partition("-")
    source: Source = {"published": "published", "open": "open", "pool": "pool"}[body]  # type: ignore[assignment]
    question = Question(outcome, outcome, ("positive",), outcome)
    return Evidence(question, source, Selection(rows), rows, rows["z"].to_numpy(), rows["v"].to_numpy())


def test_every_case_was_run() -> None:
    assert set(theirs()) == set(CASES) and len(CASES) == 8


@pytest.mark.parametrize("case", CASES)
def test_mean_interval_and_variances(case: str) -> None:
    fit, reference = working_fit(ours(case)), theirs()[case]
    assert fit.k == reference["k"]
    assert_close(fit.beta[0], reference["beta"], OPTIMISED)
    assert_close(fit.se[0], reference["se"], OPTIMISED)
    assert_close(fit.interval()[0], [reference["low"], reference["high"]], OPTIMISED)
    between = [c for c in fit.components if c.name != "effect"]
    assert_close(sum(c.estimate for c in between), sum(reference["sigma2"][: len(between)]), OPTIMISED)
    half = float(normal_isf(0.025)) * np.sqrt(fit.se[0] ** 2 + sum(c.estimate for c in between))
    assert_close(
        [fit.beta[0] - half, fit.beta[0] + half], [reference["further_low"], reference["further_high"]], OPTIMISED
    )


@pytest.mark.parametrize("case", [case for case in CASES if case.endswith("pool")])
def test_the_printed_interval_two_is_theirs_or_wider(case: str) -> None:
    posterior, reference = posterior_of_body(ours(case)), theirs()[case]
    low, high = posterior.further_sample().ppf([0.025, 0.975])
    assert low < reference["further_low"] + 0.005 and high > reference["further_high"] - 0.005
    assert low > reference["further_low"] - 0.06 and high < reference["further_high"] + 0.06
