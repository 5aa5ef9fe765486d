"""Searches made together end where single ones end, also on the edge; where they cannot, single ones are made."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from replication.errors import ModelError
from replication.models.fit import Array, Fit
from replication.models.multilevel import multilevel, structure
from replication.models.multilevel.multilevel import fit_multilevel, likelihood_of, refit, refit_each
from replication.models.multilevel.nested_newton import NestedRows, climb_all, nested_rows, values_at
from replication.models.multilevel.results import leave_one_cluster_out, multilevel_data
from replication.models.multilevel.structure import BlockV

# (sds of country, sample and effect; correlation of errors; moderators): variances of 0 put peaks on the edge.
CASES = [
    ((0.2, 0.15, 0.1), 0.6, 0),
    ((0.0, 0.2, 0.1), 0.6, 0),
    ((0.0, 0.0, 0.0), 0.6, 0),
    ((0.3, 0.0, 0.0), 0.0, 2),
    ((0.1, 0.1, 0.0), 0.4, 1),
]


def simulated(sds: tuple[float, float, float], rho: float, moderators: int, seed: int, **options: str) -> Fit:
    """Simulated effects in samples in countries, in mixed order, fitted."""
    rng = np.random.default_rng(seed)
    country = rng.permutation(np.repeat(np.arange(9), [1, 2, 3, 4, 5, 6, 7, 8, 9]))
    sample = country * 10 + rng.integers(0, 3, len(country))
    v = rng.uniform(0.005, 0.05, len(country))
    V = BlockV.constant_correlation(v, sample, rho)
    y = 0.3 + rng.multivariate_normal(np.zeros(len(v)), V.dense())
    y = y + sds[0] * rng.normal(size=9)[country] + sds[1] * rng.normal(size=100)[sample]
    y = y + sds[2] * rng.normal(size=len(v))
    x = np.column_stack([np.ones(len(v)), *rng.normal(size=(moderators, len(v)))])
    return fit_multilevel(y, V, {"country": country, "sample": sample}, x, **options)  # type: ignore[arg-type]


def one_by_one(patch: pytest.MonkeyPatch) -> None:
    """No search is made together with others."""
    patch.setattr(multilevel, "nested_rows", lambda likelihood, turned: None)


def told(fit: Fit) -> Mapping[str, Array]:
    parts = fit.components
    return {
        "beta": fit.beta,
        "vcov": fit.vcov,
        "theta": np.array([part.estimate for part in parts]),
        "se": np.array([part.se for part in parts]),
        "loglik": np.array([fit.loglik]),
    }


def same(a: Fit, b: Fit) -> None:
    # Notes say where a variance is on its edge and what has not converged: both searches must say the same.
    assert a.notes == b.notes
    other = told(b)
    for name, values in told(a).items():
        np.testing.assert_allclose(values, other[name], rtol=1e-9, atol=1e-10, err_msg=name)


@pytest.mark.parametrize(("sds", "rho", "moderators"), CASES)
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_a_fit_is_that_of_single_searches(
    sds: tuple[float, float, float], rho: float, moderators: int, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = simulated(sds, rho, moderators, 3, method=method)
    one_by_one(monkeypatch)
    same(together, simulated(sds, rho, moderators, 3, method=method))


@pytest.mark.parametrize(("sds", "rho", "moderators"), CASES[:4])
def test_fits_without_each_cluster_are_those_made_one_by_one(
    sds: tuple[float, float, float], rho: float, moderators: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = simulated(sds, rho, moderators, 11)
    samples = multilevel_data(fit).levels[1].codes
    together = leave_one_cluster_out(fit, samples)
    one_by_one(monkeypatch)
    for left, alone in zip(together, leave_one_cluster_out(fit, samples), strict=True):
        assert left.fit is not None and alone.fit is not None
        same(left.fit, alone.fit)


@pytest.mark.parametrize("near", [(0.03, 0.02, 0.01), (2.0, 0.0, 2.0), (0.0, 0.0, 0.0), (np.nan, 0.1, 0.1), (0.1,)])
@pytest.mark.parametrize(("sds", "rho", "moderators"), CASES)
def test_where_a_search_begins_does_not_say_where_it_ends(
    sds: tuple[float, float, float], rho: float, moderators: int, near: tuple[float, ...]
) -> None:
    """Begun nearby, far off, on the edge, at a variance that is not known, or with those of another model."""
    whole = simulated(sds, rho, moderators, 5)
    data = multilevel_data(whole)
    begun = fit_multilevel(data.effects.y, data.V, data.factors, data.effects.x, names=whole.names, near=near)
    same(begun, whole)


def test_a_row_that_does_not_count_moves_nothing() -> None:
    fit = simulated((0.2, 0.15, 0.1), 0.6, 1, 5)
    data = multilevel_data(fit)
    kept = np.flatnonzero(np.arange(fit.k) % 3 > 0)
    present = np.zeros((1, fit.k))
    present[0, kept] = 1.0
    whole, part = likelihood_of(data), likelihood_of(multilevel_data(refit(data, kept)))
    rows, alone = nested_rows(whole), nested_rows(part)
    assert rows is not None and alone is not None
    theta = np.array([[0.02, 0.01, 0.03], [0.0, 0.1, 0.0]])
    masked = values_at(rows, theta / whole.scale**2, np.repeat(present[:, rows.order], 2, axis=0))
    removed = values_at(alone, theta / part.scale**2)
    # Units and basis differ between the two: up to a constant they are one function.
    assert masked[0] - masked[1] == pytest.approx(removed[0] - removed[1], rel=1e-10)


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_rows_kept_in_pieces_are_searched_as_one_table(rho: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many rows are cut between clusters; their groups are numbered within each piece."""
    theta = np.array([[0.02, 0.01, 0.03], [0.0, 0.1, 0.0]])
    fit = simulated((0.2, 0.15, 0.1), rho, 1, 5)
    whole = nested_rows(likelihood_of(multilevel_data(fit)))
    monkeypatch.setattr(structure, "PIECE", 10)
    likelihood = likelihood_of(multilevel_data(fit))
    assert len(likelihood.structure.chains) > 2
    pieces = nested_rows(likelihood)
    assert whole is not None and pieces is not None
    np.testing.assert_allclose(values_at(pieces, theta), values_at(whole, theta), rtol=1e-12)
    kept = np.flatnonzero(np.arange(fit.k) % 5 > 0)
    cut = refit(multilevel_data(fit), kept)
    one_by_one(monkeypatch)
    same(cut, refit(multilevel_data(fit), kept))


@pytest.mark.parametrize("p", [1, 3])
def test_rows_turned_onto_the_eigenvectors_of_their_block_have_the_same_likelihood(p: int) -> None:
    likelihood = likelihood_of(multilevel_data(simulated((0.2, 0.15, 0.1), 0.6, p, 11)))
    rows, turned = nested_rows(likelihood), nested_rows(likelihood, turned=True)
    assert rows is not None and turned is not None and len(turned.terms) == len(rows.terms) - 1
    theta = np.array([[0.3, 0.2, 0.1], [0.0, 0.1, 0.4], [0.5, 0.0, 0.0]])
    # A sample left out is left out of both.
    present = np.ones((3, len(rows.base)))
    present[1, np.flatnonzero(np.repeat(np.arange(len(rows.terms[0].starts)), sizes(rows)) == 2)] = 0.0
    whole, short = values_at(rows, theta, present), values_at(turned, theta, present)
    np.testing.assert_allclose(short - short[0], whole - whole[0], rtol=1e-11, atol=1e-11)


def sizes(rows: NestedRows) -> Array:
    return np.diff(rows.terms[0].starts, append=len(rows.base))


def test_derivatives_are_those_of_the_likelihood() -> None:
    likelihood = likelihood_of(multilevel_data(simulated((0.2, 0.15, 0.1), 0.6, 2, 7)))
    rows = nested_rows(likelihood)
    assert rows is not None
    theta = np.array([0.3, 0.2, 0.1])
    held = climb_all(rows, theta[None], np.zeros(3, dtype=bool))
    np.testing.assert_allclose(held.information[0], likelihood.observed_information(theta, np.arange(3)), rtol=1e-9)
    # Held where it is, a search says what is there.
    assert np.array_equal(held.theta[0], theta)


def test_sets_of_rows_that_carry_no_model_are_named_and_the_others_fitted() -> None:
    fit = simulated((0.2, 0.1, 0.1), 0.6, 0, 2)
    data = multilevel_data(fit)
    sets: list[NDArray[np.intp]] = [np.arange(10), np.arange(0), np.arange(20)]
    made = refit_each(data, sets)
    assert isinstance(made[1], ModelError)
    for at in (0, 2):
        found = made[at]
        assert isinstance(found, Fit)
        same(found, refit(data, sets[at]))


def test_crossed_levels_and_given_blocks_are_left_to_single_searches() -> None:
    rng = np.random.default_rng(4)
    y, a, b = rng.normal(size=12), np.repeat(np.arange(4), 3), np.tile(np.arange(3), 4)
    crossed = fit_multilevel(y, np.full(12, 0.1), {"a": a, "b": b}, structure="crossed")
    assert nested_rows(likelihood_of(multilevel_data(crossed))) is None
    block = np.full((3, 3), 0.02) + np.diag([0.05, 0.06, 0.07])
    given = fit_multilevel(y, BlockV.from_blocks([block] * 4), {"a": a})
    for left in leave_one_cluster_out(given):
        assert left.fit is not None
        kept = np.flatnonzero(a != int(left.label))
        same(left.fit, refit(multilevel_data(given), kept))


def test_peaks_found_together_are_taken_without_another_search(monkeypatch: pytest.MonkeyPatch) -> None:
    data = multilevel_data(simulated((0.2, 0.15, 0.1), 0.6, 1, 5))
    monkeypatch.setattr(multilevel, "_highest", None)  # a search that is begun fails
    sets = [np.flatnonzero(np.arange(len(data.effects.y)) % 7 != left) for left in range(7)]
    assert all(isinstance(made, Fit) for made in refit_each(data, sets))
