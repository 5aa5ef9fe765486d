"""Bias methods under another unit, sign or row order of the effects (never under a shift: p values know where 0 is)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from replication.errors import ModelError
from replication.models.bias import (
    egger_test,
    excess_significance,
    fail_safe_rosenberg,
    fail_safe_rosenthal,
    fit_beta_selection,
    fit_step_selection,
    henmi_copas,
    p_curve,
    peese,
    pet,
    rank_test,
    trim_fill,
    waap_wls,
)
from replication.models.fit import Array

SCALES = st.sampled_from([1e-4, 0.03, 7.0, 1e4])
SEEDS = st.integers(0, 10**6)


def effects(seed: int, k: int = 14) -> tuple[Array, Array]:
    """Effects without ties, some significant and some not."""
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.005, 0.12, k)
    return 0.2 + rng.normal(size=k) * np.sqrt(v + 0.02), v


# Each: effects on a unit -> numbers without unit, then numbers in the unit of the effects.
Read = Callable[[Array, Array], tuple[list[float], list[float]]]


def read_egger(y: Array, v: Array) -> tuple[list[float], list[float]]:
    test = egger_test(y, v, test="z")
    return [test.statistic, test.p, test.slope], [test.limit, test.limit_interval.low]


def read_pet(y: Array, v: Array) -> tuple[list[float], list[float]]:
    return [float(pet(y, v).p[0]), float(peese(y, v).p[0])], [float(pet(y, v).beta[0]), float(peese(y, v).beta[0])]


def read_rank(y: Array, v: Array) -> tuple[list[float], list[float]]:
    return [rank_test(y, v).tau, rank_test(y, v).p], []


def read_trim_fill(y: Array, v: Array) -> tuple[list[float], list[float]]:
    result = trim_fill(y, v, side="left", method="DL")
    return [result.k0], [float(result.fit.beta[0]), *np.sort(result.filled_y)]


def read_waap(y: Array, v: Array) -> tuple[list[float], list[float]]:
    result = waap_wls(y, v)
    return [result.p, len(result.powered)], [result.estimate, result.threshold]


def read_p_curve(y: Array, v: Array) -> tuple[list[float], list[float]]:
    curve = p_curve(y, v)
    return [curve.right_skew.z, curve.flatness.z, curve.power], []


def read_henmi_copas(y: Array, v: Array) -> tuple[list[float], list[float]]:
    result = henmi_copas(y, v)
    return [result.multiple], [result.estimate, result.interval.high]


def read_excess(y: Array, v: Array) -> tuple[list[float], list[float]]:
    result = excess_significance(y, v, effect=1.2 * float(np.average(y, weights=1 / v)))
    return [result.observed, result.expected, result.p_exact], [result.limit]


def read_fail_safe(y: Array, v: Array) -> tuple[list[float], list[float]]:
    return [fail_safe_rosenthal(y, v).n, fail_safe_rosenberg(y, v).n], []


def read_steps(y: Array, v: Array) -> tuple[list[float], list[float]]:
    result = fit_step_selection(y, v, steps=(0.025, 0.5), empty="merge")
    return [w.estimate for w in result.selection] + [result.lrt], [float(result.fit.beta[0]), float(result.fit.se[0])]


def read_beta(y: Array, v: Array) -> tuple[list[float], list[float]]:
    result = fit_beta_selection(y, v)
    return [w.estimate for w in result.selection] + [result.lrt], [float(result.fit.beta[0]), float(result.fit.se[0])]


FAST: list[Read] = [
    read_egger,
    read_pet,
    read_rank,
    read_trim_fill,
    read_waap,
    read_p_curve,
    read_henmi_copas,
    read_excess,
    read_fail_safe,
]
SELECTION: list[Read] = [read_steps, read_beta]


def check(read: Read, first: tuple[Array, Array], second: tuple[Array, Array], unit: float, rtol: float) -> None:
    try:
        bare, in_unit = read(*first)
    except ModelError:
        with pytest.raises(ModelError):
            read(*second)
        return
    assume(np.isfinite(in_unit).all())
    again, again_in_unit = read(*second)
    np.testing.assert_allclose(again, bare, rtol=rtol, atol=1e-9)
    np.testing.assert_allclose(again_in_unit, unit * np.asarray(in_unit), rtol=rtol, atol=rtol * unit)


@pytest.mark.parametrize("read", FAST)
@settings(max_examples=12, deadline=None)
@given(seed=SEEDS, scale=SCALES)
def test_another_unit_changes_only_the_unit(read: Read, seed: int, scale: float) -> None:
    y, v = effects(seed)
    check(read, (y, v), (scale * y, scale**2 * v), scale, 1e-7)


@pytest.mark.parametrize("read", SELECTION)
@settings(max_examples=8, deadline=None)
@given(seed=SEEDS, scale=SCALES)
def test_another_unit_changes_only_the_unit_of_selection_models(read: Read, seed: int, scale: float) -> None:
    y, v = effects(seed, 25)
    check(read, (y, v), (scale * y, scale**2 * v), scale, 1e-5)


@pytest.mark.parametrize("read", FAST)
@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_row_order_does_not_matter(read: Read, seed: int) -> None:
    y, v = effects(seed)
    order = np.random.default_rng(seed).permutation(len(y))
    check(read, (y, v), (y[order], v[order]), 1.0, 1e-7)


@pytest.mark.parametrize("read", SELECTION)
@settings(max_examples=5, deadline=None)
@given(seed=SEEDS)
def test_row_order_does_not_matter_to_selection_models(read: Read, seed: int) -> None:
    y, v = effects(seed, 25)
    order = np.random.default_rng(seed).permutation(len(y))
    check(read, (y, v), (y[order], v[order]), 1.0, 1e-5)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_the_mirror_image_has_mirrored_results(seed: int) -> None:
    y, v = effects(seed)
    assert egger_test(-y, v).slope == pytest.approx(-egger_test(y, v).slope)
    assert rank_test(-y, v).tau == pytest.approx(-rank_test(y, v).tau)
    assert p_curve(-y, v).right_skew.p == pytest.approx(p_curve(y, v).right_skew.p, nan_ok=True)
    assert henmi_copas(-y, v).interval.high == pytest.approx(-henmi_copas(y, v).interval.low)
    left, right = trim_fill(y, v, side="left", method="DL"), trim_fill(-y, v, side="right", method="DL")
    assert (left.k0, left.fit.beta[0]) == pytest.approx((right.k0, -right.fit.beta[0]))


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_step_selection_in_the_other_direction_mirrors(seed: int) -> None:
    y, v = effects(seed, 25)
    assume(0 < (y / np.sqrt(v) > 1.959964).sum() < 25)
    up, down = fit_step_selection(y, v), fit_step_selection(-y, v, direction="negative")
    assert down.fit.beta[0] == pytest.approx(-up.fit.beta[0], rel=1e-6, abs=1e-9)
    assert down.selection[1].estimate == pytest.approx(up.selection[1].estimate, rel=1e-5)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, shift=st.floats(-3.0, 3.0))
def test_funnel_asymmetry_does_not_depend_on_where_zero_is(seed: int, shift: float) -> None:
    y, v = effects(seed)
    assert egger_test(y + shift, v).slope == pytest.approx(egger_test(y, v).slope, rel=1e-6, abs=1e-8)
    assert pet(y + shift, v).beta[0] == pytest.approx(pet(y, v).beta[0] + shift, abs=1e-8)
    one, other = trim_fill(y, v, side="left", method="DL"), trim_fill(y + shift, v, side="left", method="DL")
    assert other.k0 == one.k0
    assert other.fit.beta[0] == pytest.approx(one.fit.beta[0] + shift, abs=1e-8)
