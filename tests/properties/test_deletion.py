"""Leave-one-out fits by differences of sums are those of the batch, and refused where differences lose digits."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from replication.models.options import Tau2Method, TestMethod
from replication.models.two_level import influence as influence_module
from replication.models.two_level.batch import BatchFits, fit_batch
from replication.models.two_level.deletion import deleted_fits, variances_at
from replication.models.two_level.influence import influence, leave_one_out
from replication.models.two_level.random_effects import fit_random_effects
from tests.tolerances import CLOSED, Tolerance, assert_close

ROOTS = Tolerance(1e-9, 1e-12, "two searches for tau2 that end a millionth of a millionth from its peak", 2e-12)


def data_set(seed: int, k: int, p: int, tau: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Effects far from 0, variances over two powers of ten, and a design with an intercept."""
    rng = np.random.default_rng(seed)
    v = np.exp(rng.normal(-4.0, 1.0, k))
    x = np.column_stack([np.ones(k), rng.normal(size=(k, p - 1))])
    return 5.0 + rng.normal(0.0, np.sqrt(v + tau**2)), v, x


def same(found: BatchFits, expected: BatchFits) -> None:
    for field in fields(BatchFits):
        assert_close(getattr(found, field.name), getattr(expected, field.name), ROOTS, field.name)


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("test", ["knha", "adhoc", "z", "t"])
@pytest.mark.parametrize(("k", "p", "tau"), [(30, 1, 0.1), (40, 3, 0.0), (35, 2, 0.03), (30, 1, 3.0)])
def test_deletions_are_the_fits_of_the_batch(method: Tau2Method, test: TestMethod, k: int, p: int, tau: float) -> None:
    y, v, x = data_set(k + p, k, p, tau)
    found = deleted_fits(y, v, x, restricted=method == "REML", test=test)
    assert found is not None
    same(found, fit_batch(y, v, x, counts=1.0 - np.eye(k), method=method, test=test))


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_the_highest_of_several_peaks_is_taken(method: Tau2Method) -> None:
    """Precise effects that agree beside imprecise ones that do not: peaks at 0 and far off, either the higher."""
    rng = np.random.default_rng(20)
    several = 0
    for spread in np.linspace(0.3, 1.2, 40):
        v = np.repeat([1e-5, 0.05], [4, 8])
        y = rng.normal(size=12) * np.repeat([3e-3, spread], [4, 8])
        found = deleted_fits(y, v, np.ones((12, 1)), restricted=method == "REML", test="z")
        assert found is not None
        same(found, fit_batch(y, v, counts=1.0 - np.eye(12), method=method, test="z"))
        several += any(note.code == "several-peaks" for note in fit_random_effects(y, v, method=method).notes)
    assert several >= 5


def test_an_effect_that_outweighs_all_others_is_left_to_the_batch() -> None:
    y, v, x = data_set(1, 40, 1, 0.0)
    v[3] = 1e-9
    assert deleted_fits(y, v, x, restricted=True, test="z") is None
    alone = np.column_stack([np.ones(40), np.arange(40) == 7])
    assert deleted_fits(y, np.full(40, 0.1), alone.astype(float), restricted=True, test="z") is None


@pytest.mark.parametrize("p", [1, 3])
def test_influence_is_the_same_either_way(p: int, monkeypatch: pytest.MonkeyPatch) -> None:
    y, v, x = data_set(9, 90, p, 0.1)
    fit = fit_random_effects(y, v, x)
    fast, fits = influence(fit), leave_one_out(fit).fits
    monkeypatch.setattr(influence_module, "MANY", 1000)
    slow = influence(fit)
    same(fits, leave_one_out(fit).fits)
    for name in ("rstudent", "dffits", "cook", "hat", "covratio", "dfbetas", "tau2_deleted", "Q_deleted"):
        assert_close(getattr(fast, name), getattr(slow, name), ROOTS, name)
    assert (fast.influential == slow.influential).all()


def test_variances_over_all_effects() -> None:
    _, v, x = data_set(4, 50, 3, 0.1)
    for tau2 in (np.array([0.0, 0.02, 0.5]), np.full(2, 0.04), np.zeros(3)):
        expected = [np.diag(np.linalg.inv(x.T @ (x / (v + t)[:, None]))) for t in tau2]
        assert_close(variances_at(v, x, tau2), expected, CLOSED)


def test_a_difference_beyond_rounding_keeps_its_scale() -> None:
    """The size that rounding is measured in is the sum of w y^2: with w^3 in it 1e-14 would pass for rounding."""
    y, v = np.full(30, 5.0), np.full(30, 1e-6)
    # So imprecise that they hardly count, but far enough off that there is a tau2 to search for.
    y[:2], v[:2] = (4.0, 6.0), 1e14
    found = deleted_fits(y, v, np.ones((30, 1)), restricted=True, test="knha")
    assert found is not None and (found.scale > 0.0).all()
    same(found, fit_batch(y, v, counts=1.0 - np.eye(30), method="REML", test="knha"))


@pytest.mark.parametrize("apart", [0.0, 1e-10])
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_effects_that_leave_no_tau2_to_search_for_are_left_to_the_batch(method: Tau2Method, apart: float) -> None:
    """All equal, or as good as equal: the grid of the search has no cells to make polynomials in."""
    y, v = 5.0 + apart * np.random.default_rng(3).normal(size=90), np.full(90, 1e-6)
    assert deleted_fits(y, v, np.ones((90, 1)), restricted=method == "REML", test="knha") is None
    found = leave_one_out(fit_random_effects(y, v, method=method)).fits
    assert (found.tau2 == 0.0).all() and found.beta == pytest.approx(5.0, abs=1e-9)
