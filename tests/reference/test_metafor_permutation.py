"""Exact permutation tests against metafor's permutest; the bootstrap by what it must do."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replication.errors import ModelError
from replication.models import fit_random_effects
from replication.models.fit import Fit
from replication.models.two_level.resampling import bootstrap, permutation_test


@cache
def pinned() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "metafor" / "permutation.json").read_text(encoding="utf-8"))


def fitted(*, moderator: bool, test: Any = "z") -> Fit:
    pin = pinned()
    x = np.column_stack([np.ones(7), pin["ablat"]]) if moderator else None
    return fit_random_effects(pin["y"], pin["v"], x, test=test, names=["intercept", "ablat"][: 1 + moderator])


def test_the_sign_of_every_effect_turned() -> None:
    found = permutation_test(fitted(moderator=False), np.random.default_rng(1))
    assert found.exact and found.draws == 2**7
    assert found.p[0] == pytest.approx(pinned()["one"], abs=1e-12)


@pytest.mark.parametrize("test", ["z", "knha"])
def test_moderators_exchanged_between_studies(test: str) -> None:
    pin = pinned()["two" if test == "z" else "knha"]
    found = permutation_test(fitted(moderator=True, test=test), np.random.default_rng(1))
    assert found.exact and found.draws == 5040
    np.testing.assert_allclose(found.p, pin["p"], atol=1e-12)
    assert found.omnibus == pytest.approx(pin["omnibus"], abs=1e-12)


def test_drawn_arrangements_come_near_the_exact_p() -> None:
    fit = fitted(moderator=True)
    drawn = permutation_test(fit, np.random.default_rng(7), draws=4000)
    exact = permutation_test(fit, np.random.default_rng(7))
    assert not drawn.exact and drawn.draws == 4000
    assert np.abs(drawn.p - exact.p).max() < 4 * np.sqrt(0.25 / 4000)
    again = permutation_test(fit, np.random.default_rng(7), draws=4000)
    np.testing.assert_array_equal(drawn.p, again.p)


def test_the_bootstrap_is_as_wide_as_the_data_vary() -> None:
    rng = np.random.default_rng(5)
    y, v = rng.normal(0.3, 0.3, 60), np.full(60, 1e-4)
    fit = fit_random_effects(y, v)
    found = bootstrap(fit, np.random.default_rng(1), draws=3000)
    interval = found.interval("intercept")
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * y.std() / np.sqrt(60), rel=0.08)
    assert found.interval("tau2").low < fit.component("tau2").estimate < found.interval("tau2").high
    # the same rows three times over: drawn by cluster the interval must not shrink
    codes = np.tile(np.arange(60), 3)
    tripled = fit_random_effects(np.tile(y, 3), np.tile(v, 3))
    by_cluster = bootstrap(tripled, np.random.default_rng(1), draws=3000, clusters=codes).interval("intercept")
    by_row = bootstrap(tripled, np.random.default_rng(1), draws=3000).interval("intercept")
    assert by_cluster.high - by_cluster.low == pytest.approx(interval.high - interval.low, rel=0.08)
    assert by_row.high - by_row.low < 0.7 * (by_cluster.high - by_cluster.low)
    with pytest.raises(ModelError, match="no coefficient 'age'"):
        found.interval("age")


def test_too_few_draws_and_held_variances_are_refused() -> None:
    with pytest.raises(ModelError, match="too few for a p value"):
        permutation_test(fitted(moderator=False), np.random.default_rng(1), draws=10)
    held = fit_random_effects(pinned()["y"], pinned()["v"], tau2=0.1)
    with pytest.raises(ModelError, match="was held at a value"):
        permutation_test(held, np.random.default_rng(1))
