"""Cases found by trying to break the exact posterior: each once gave a false refusal, a missed mode or a crash.

Expected numbers come from independent quadrature (dense grids of tau in logs, 30 or more digits where they cancel).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from replication.errors import ModelError
from replication.models.bayes.exact.exact import exact_three_level, exact_two_level
from replication.models.bayes.exact.posterior import ExactPosterior
from replication.models.bayes.priors.coefficient import CoefficientPrior, Flat, Normal
from replication.models.bayes.priors.positive import Fixed, HalfNormal, HalfT, LogNormal, PositivePrior, Table
from replication.models.multilevel.structure import BlockV

TAU = HalfNormal(0.3)
WIDE = Normal(0.0, 1.0)


def small() -> ExactPosterior:
    return exact_two_level([0.1, 0.4, 0.2], [0.01, 0.02, 0.03], tau=TAU, coefficients=WIDE)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("prior", [Flat(), Normal(0.0, 1.0)], ids=["flat", "normal"])
def test_calendar_years_as_they_are(seed: int, prior: CoefficientPrior) -> None:
    """A moderator in raw years gives the slope of centred years, in three levels with dependent errors."""
    rng = np.random.default_rng(seed)
    cluster, v = np.repeat(np.arange(6), 3), rng.uniform(0.005, 0.03, 18)
    y, years = rng.normal(0.3, 0.2, 18), rng.integers(1985, 2020, 18)
    V = BlockV.constant_correlation(v, cluster, 0.6)
    slopes = []
    for moderator in (years, years - years.mean()):
        x = np.column_stack([np.ones(18), moderator])
        priors = [Flat(), prior]
        found = exact_three_level(y, V, cluster, x, between=TAU, within=TAU, coefficients=priors)
        assert found.accuracy.reached
        slopes.append((found.coefficient("x1").mean, found.coefficient("x1").sd))
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-5, abs=1e-9)


def test_a_small_dose_moderator() -> None:
    y, v, dose = (
        [0.1, 0.35, 0.2, 0.6, -0.1, 0.3, 0.45],
        [0.01, 0.02, 0.015, 0.03, 0.01, 0.02, 0.01],
        [0, 1, 2, 0, 1, 2, 3],
    )
    V = BlockV.constant_correlation(v, list("aabbbcd"), 0.6)
    x = np.column_stack([np.ones(7), dose])
    found = exact_three_level(y, V, list("aabbbcd"), x, between=TAU, within=TAU, coefficients=Flat())
    assert found.coefficient("x1").mean == pytest.approx(0.0106731, abs=1e-6)
    assert found.solution.log_mass == pytest.approx(-3.8492922, abs=1e-6)


@pytest.mark.parametrize(
    ("y", "v", "tau", "mean", "expected"),
    [
        ([0.37815, -0.12069], [0.00234183, 3.3233e-5], HalfT(1.0372e-5, df=5), Flat(), (-45.53739, 0.15419, 0.11178)),
        ([0.1, 0.2, 0.3, 0.2], [0.01] * 4, LogNormal(-20, 0.1, on="tau"), Normal(10, 0.02), (-16554.2, 2.07e-9, 8.648)),
    ],
    ids=["half-t", "log-normal"],
)
def test_prior_mass_far_below_the_sampling_sd_is_seen(
    y: list[float], v: list[float], tau: PositivePrior, mean: CoefficientPrior, expected: tuple[float, float, float]
) -> None:
    found = exact_two_level(y, v, tau=tau, coefficients=mean)
    numbers = (found.solution.log_mass, found.sd().mean, found.coefficient().mean)
    assert numbers == pytest.approx(expected, rel=1e-3)


def test_a_second_moment_that_hangs_on_a_far_tail() -> None:
    y, v = np.array([28, 8, -3, 7, -1, 1, 18, 12]) / 10, (np.array([15, 10, 16, 11, 9, 11, 10, 18]) / 10) ** 2
    found = exact_two_level(y, v, tau=HalfT(1e-8, df=3), coefficients=Normal(0, 2))
    assert found.sd().sd == pytest.approx(1.3357192e-8, rel=3e-7)


def test_overwhelming_evidence_is_infinite_not_an_error() -> None:
    y = np.random.default_rng(0).normal(0.5, 0.3, 500)
    found = exact_two_level(y, np.full(500, 0.005), tau=TAU, coefficients=WIDE)
    factor = found.bayes_factor_sd()
    assert factor.log10 > 308 and factor.against == np.inf


def test_quantiles_and_probabilities_outside_their_range() -> None:
    sd = small().sd()
    assert np.isnan(sd.ppf([2.0, -1.0, np.nan])).all()
    assert sd.cdf(-1.0) == 0.0
    assert float(Table((0.0, 1.0, 2.0), (1e308, 1e308, 1e308)).cdf(1.0)) == pytest.approx(0.5)


def test_masked_values_are_missing() -> None:
    y = np.ma.masked_greater([0.1, 0.4, 9.0], 5.0)
    found = exact_two_level(y, [0.01, 0.02, 0.03], tau=TAU, coefficients=WIDE)
    assert found.data.rows == (0, 1)


def test_shrunken_effects_far_from_zero_keep_their_spread() -> None:
    """Effects a thousand posterior sds from y: the sd is that of the prior, not rounding."""
    found = exact_two_level([5.0, 5.1], [1.0, 1.0], tau=HalfNormal(1e-8), coefficients=Normal(0.0, 1e-9))
    assert found.effects().sd == pytest.approx(np.full(2, np.hypot(1e-8, 1e-9)), rel=1e-3)


NONSENSE: dict[str, tuple[Callable[[], object], str]] = {
    "strings": (lambda: exact_two_level(["a"], [1], tau=TAU, coefficients=WIDE), "y holds something"),  # type: ignore[list-item]
    "complex": (lambda: exact_two_level([1], [1j], tau=TAU, coefficients=WIDE), "V holds something"),
    "infinite V": (
        lambda: exact_two_level([1, 2], [[1, np.inf], [np.inf, 1]], tau=TAU, coefficients=WIDE),
        "infinite covariance",
    ),
    "tiny V": (lambda: exact_two_level([1, 2], [1e-320] * 2, tau=TAU, coefficients=WIDE), "check the units"),
    "huge y": (lambda: exact_two_level([1e160, 2], [1, 1], tau=TAU, coefficients=WIDE), "check the units"),
    "tau a number": (lambda: exact_two_level([1], [1], tau=0.3, coefficients=WIDE), "HalfNormal"),  # type: ignore[arg-type]
    "no prior": (lambda: exact_two_level([1], [1], tau=TAU, coefficients=None), "Normal"),  # type: ignore[arg-type]
    "a prior of an sd": (lambda: exact_two_level([1], [1], tau=TAU, coefficients=TAU), "Normal"),  # type: ignore[arg-type]
    "a word as scale": (lambda: HalfNormal("a"), "finite number above 0"),  # type: ignore[arg-type]
    "a list as scale": (lambda: HalfNormal([1, 2]), "finite number above 0"),  # type: ignore[arg-type]
    "a table of words": (lambda: Table(("a", "b"), (1, 1)), "not a number"),  # type: ignore[arg-type]
    "a word as level": (lambda: exact_two_level([1], [1], tau=TAU, coefficients=WIDE, level="a"), "between 0"),  # type: ignore[arg-type]
    "no sd": (lambda: exact_two_level([1, 2], [1, 1], tau=Fixed(0.0), coefficients=WIDE).sd(), "all are fixed"),
    "negative v": (lambda: small().predict(v=-1.0), "0 or more"),
    "missing moderator": (lambda: small().predict([np.nan]), "finite numbers"),
    "missing value": (lambda: small().bayes_factor(value=np.nan), "finite number"),
    "two coefficients": (lambda: small().log_density(0.1, 0.0, [0.2, 0.3]), "pass 1 numbers"),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense_is_refused_in_words(case: str) -> None:
    call, words = NONSENSE[case]
    with pytest.raises(ModelError, match=words):
        call()
