"""What must hold of MASEM whatever the data: collapse cases, brute force, and what order must not change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from replication.models.masem import (
    CorrelationSet,
    LabelledMatrix,
    correlations_from_matrices,
    equality_test,
    explained_heterogeneity,
    fit_groups,
    fit_one_stage,
    fit_stage1_fixed,
    fit_stage1_random,
    fit_stage2,
    likelihood_intervals,
    likelihood_ratio_test,
    one_stage_intervals,
    pool_intervals,
    pooled_correlations,
    tau2_intervals,
)
from replication.models.two_level.random_effects import fit_random_effects
from tests.masem_data import FULL, SATURATED, chi_square_at, roorda, simulated, standardized_ses
from tests.tolerances import SAME, assert_close

SETS = ("factors", "panel", "bounds", "small")


@pytest.mark.parametrize("name", SETS)
def test_a_saturated_path_model_gives_back_the_pooled_correlations(name: str) -> None:
    pool = fit_stage1_random(simulated(name))
    variables = pool.data.variables
    text = "\n".join(f"{later} ~ {earlier}" for i, later in enumerate(variables) for earlier in variables[:i])
    paths = fit_stage2(pool, text)
    assert paths.indices.df == 0
    np.testing.assert_allclose(paths.indices.chi2, 0.0, atol=1e-12)
    np.testing.assert_allclose(paths.implied, pool.matrix, atol=1e-9)
    same = fit_stage2(pool, "\n".join(pool.fit.names))
    assert_close(same.fit.beta, pool.fit.beta, SAME)
    assert_close(same.fit.vcov, pool.fit.vcov, SAME)


@pytest.mark.parametrize("tau2", ["diagonal", "zero", "symmetric"])
def test_one_stage_of_a_saturated_model_is_stage_1(tau2: Any) -> None:
    """The same likelihood in other parameters: one stage and two stages agree in every estimate and standard error."""
    data = simulated("factors").subset(["A", "B", "C", "D"]) if tau2 == "symmetric" else roorda()
    a, b, c, d = data.variables
    text = f"{b} ~~ {a}; {c} ~ {a} + {b}; {d} ~ {a} + {b} + {c}"
    pool, one = fit_stage1_random(data, tau2=tau2, at_bound="held"), fit_one_stage(data, text, tau2=tau2)
    assert one.minus2loglik == pytest.approx(pool.minus2loglik, abs=1e-8)
    np.testing.assert_allclose(one.tau2, pool.tau2, atol=2e-7)
    two = fit_stage2(pool, text)
    np.testing.assert_allclose(one.fit.beta, two.fit.beta, atol=2e-6)
    np.testing.assert_allclose(one.fit.se, two.fit.se, rtol=1e-4)


def test_one_pair_of_variables_is_an_ordinary_random_effects_model() -> None:
    data = roorda().subset(["pos", "achiev"])
    pool = fit_stage1_random(data, sampling="individual")
    used = data.used[:, 0]
    r, n = data.given[used, 0], data.n[used]
    plain = fit_random_effects(r, (1 - r**2) ** 2 / n, method="ML", test="z")
    assert pool.fit.beta[0] == pytest.approx(plain.beta[0], abs=1e-8)
    assert pool.fit.components[0].estimate == pytest.approx(plain.components[0].estimate, abs=1e-8)
    assert pool.fit.heterogeneity is not None and plain.heterogeneity is not None
    np.testing.assert_allclose(pool.fit.heterogeneity.Q, plain.heterogeneity.Q)
    assert pool.fit.loglik == pytest.approx(plain.loglik)


def test_fixed_effects_of_equal_matrices_give_that_matrix_back() -> None:
    matrix = np.array([[1, 0.4, 0.3], [0.4, 1, 0.2], [0.3, 0.2, 1]])
    data = correlations_from_matrices([LabelledMatrix(("x", "y", "z"), matrix)] * 3, [50, 80, 100])
    pool = fit_stage1_fixed(data)
    np.testing.assert_allclose(pool.matrix, matrix, atol=1e-12)
    assert pool.minimum.at.value == pytest.approx(0.0, abs=1e-10)
    one = fit_stage1_fixed(correlations_from_matrices([LabelledMatrix(("x", "y", "z"), matrix)], [230]))
    np.testing.assert_allclose(pool.fit.vcov, one.fit.vcov, rtol=1e-9)


def shuffled(data: CorrelationSet, seed: int) -> CorrelationSet:
    """The same studies and variables in another order."""
    rng = np.random.default_rng(seed)
    variables = list(rng.permutation(data.variables))
    order = rng.permutation(len(data.studies))
    matrices, n = {}, {}
    for i in order:
        matrix = np.full((len(data.variables),) * 2, np.nan)
        first, second = np.triu_indices(len(data.variables), 1)
        matrix[first, second] = matrix[second, first] = data.given[i]
        np.fill_diagonal(matrix, np.where(data.present[i], 1.0, np.nan))
        keep = [data.variables.index(name) for name in variables]
        matrices[data.studies[i]] = LabelledMatrix(tuple(variables), matrix[np.ix_(keep, keep)])
        n[data.studies[i]] = float(data.n[i])
    moderators = {name: values[order] for name, values in data.moderators.items()}
    return correlations_from_matrices(matrices, n, moderators=moderators)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_studies_and_variables_changes_nothing(seed: int) -> None:
    data = standardized_ses()
    other = shuffled(data, seed)
    here, there = fit_stage1_random(data), fit_stage1_random(other)
    assert there.minus2loglik == pytest.approx(here.minus2loglik, abs=1e-9)
    for i, pair in enumerate(here.fit.names):
        a, b = pair.split("~~")
        j = there.fit.names.index(pair if pair in there.fit.names else f"{b}~~{a}")
        assert there.fit.beta[j] == pytest.approx(here.fit.beta[i], abs=1e-9)
        assert there.I2[j] == pytest.approx(here.I2[i], abs=1e-6)
    for fit in (fit_stage1_random, fit_stage1_fixed):
        np.testing.assert_allclose(
            fit_stage2(fit(other), FULL).fit.beta, fit_stage2(fit(data), FULL).fit.beta, atol=1e-8
        )
    mods = {"ses": "paths"}
    one, two = fit_one_stage(data, FULL, moderators=mods), fit_one_stage(other, FULL, moderators=mods)
    np.testing.assert_allclose(two.fit.beta, one.fit.beta, atol=1e-7)
    np.testing.assert_allclose(two.fit.se, one.fit.se, rtol=1e-6)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_at_the_ends_of_a_likelihood_interval_the_refitted_model_is_on_the_cutoff(level: float) -> None:
    paths = fit_stage2(fit_stage1_random(roorda()), FULL)
    for name, interval in likelihood_intervals(paths, paths.fit.names, level=level).items():
        for end in (interval.low, interval.high):
            assert chi_square_at(paths, name, end) == pytest.approx(stats.chi2.ppf(level, 1), abs=1e-6)


def test_the_interval_of_an_indirect_effect_is_the_widest_on_the_cutoff() -> None:
    """Brute force: among points drawn on the boundary of the region none has a larger or smaller indirect effect."""
    paths = fit_stage2(fit_stage1_random(roorda()), FULL)
    interval = likelihood_intervals(paths, ["ind_pos"])["ind_pos"]
    rng = np.random.default_rng(11)
    names, cutoff = paths.fit.names, stats.chi2.ppf(0.95, 1)
    found = []
    root = np.linalg.cholesky(paths.fit.vcov)
    for _ in range(300):
        direction = root @ rng.standard_normal(len(names))

        def rise(length: float, direction: Any = direction) -> float:
            at = paths.objective.evaluate(paths.fit.beta + length * direction)
            return float(at.value - paths.indices.chi2 - cutoff)

        theta = paths.fit.beta + optimize.brentq(rise, 0.0, 50.0) * direction
        found.append(theta[names.index("b31")] * theta[names.index("b43")])
    assert interval.low <= min(found) < interval.low + 0.02
    assert interval.high - 0.02 < max(found) <= interval.high


def test_likelihood_intervals_do_not_depend_on_the_parameterization() -> None:
    pool = fit_stage1_random(roorda())
    paths = fit_stage2(pool, "enga ~ a*pos + neg; achiev ~ b*enga; square := a^2; ratio := 1/b")
    ends = likelihood_intervals(paths, ["a", "b", "square", "ratio"])
    assert ends["square"].low == pytest.approx(ends["a"].low ** 2, abs=1e-8)
    assert ends["square"].high == pytest.approx(ends["a"].high ** 2, abs=1e-8)
    assert ends["ratio"].low == pytest.approx(1 / ends["b"].high, abs=1e-6)
    assert ends["ratio"].high == pytest.approx(1 / ends["b"].low, abs=1e-6)


def test_with_much_data_likelihood_and_wald_intervals_meet() -> None:
    pooled = pooled_correlations(["x", "m", "y"], [0.4, 0.3, 0.5], np.full(3, 1e-8), 1e7)
    paths = fit_stage2(pooled, "m ~ a*x; y ~ b*m + c*x; ind := a*b")
    ends = likelihood_intervals(paths, ["ind"])["ind"]
    wald = paths.effect("ind").interval
    half = (wald.high - wald.low) / 2
    assert abs(ends.low - wald.low) < 1e-3 * half
    assert abs(ends.high - wald.high) < 1e-3 * half


def test_groups_without_constraints_are_the_groups_one_by_one() -> None:
    ses = roorda().moderators["ses"]
    pools = {name: fit_stage1_random(roorda().select(mask)) for name, mask in (("low", ses > 50), ("high", ses <= 50))}
    together = fit_groups(pools, FULL)
    apart = {name: fit_stage2(pool, FULL) for name, pool in pools.items()}
    assert together.indices.chi2 == pytest.approx(sum(one.indices.chi2 for one in apart.values()))
    for name, one in apart.items():
        for i, parameter in enumerate(one.fit.names):
            j = together.fit.names.index(f"{parameter}[{name}]")
            assert together.fit.beta[j] == pytest.approx(one.fit.beta[i], abs=1e-9)
            assert together.fit.se[j] == pytest.approx(one.fit.se[i], rel=1e-7)
        assert together.effect(f"ind_pos[{name}]").estimate == pytest.approx(one.effect("ind_pos").estimate)


def test_equal_groups_have_equal_paths() -> None:
    pool = fit_stage1_random(roorda())
    pools = {"one": pool, "two": pool}
    free, equal = fit_groups(pools, FULL), fit_groups(pools, FULL, equal="all")
    test = equality_test(free, equal)
    assert test.df == 4
    assert test.chi2 == pytest.approx(0.0, abs=1e-9)
    alone = fit_stage2(pool, FULL)
    np.testing.assert_allclose(equal.fit.beta, alone.fit.beta, atol=1e-9)
    np.testing.assert_allclose(equal.fit.se, alone.fit.se / np.sqrt(2.0), rtol=1e-7)


def test_a_moderator_that_differs_by_sign_or_scale_tells_the_same() -> None:
    data = standardized_ses()
    plain = fit_one_stage(data, SATURATED)
    on_paths = fit_one_stage(data, SATURATED, moderators={"ses": "paths"})
    scaled = fit_one_stage(
        data.with_moderators({"ses": -1000.0 * data.moderators["ses"]}), SATURATED, moderators={"ses": "paths"}
    )
    assert scaled.minus2loglik == pytest.approx(on_paths.minus2loglik, abs=1e-7)
    i = on_paths.fit.names.index("b43:ses")
    assert scaled.fit.beta[i] * -1000.0 == pytest.approx(on_paths.fit.beta[i], abs=1e-6)
    assert likelihood_ratio_test(plain, on_paths).chi2 > 0
    r2 = explained_heterogeneity(plain, on_paths)
    assert ((r2 >= 0) & (r2 <= 100)).all()


def test_a_slope_of_zero_lies_in_its_likelihood_interval_just_when_the_ratio_test_keeps_it() -> None:
    data = standardized_ses()
    without = fit_one_stage(data, FULL)
    moderated = fit_one_stage(data, FULL, moderators={"ses": ["b43"]})
    p = likelihood_ratio_test(without, moderated).p
    interval = one_stage_intervals(moderated, ["b43:ses"], level=1.0 - p)["b43:ses"]
    assert min(abs(interval.low), abs(interval.high)) == pytest.approx(0.0, abs=1e-6)


def test_likelihood_intervals_of_one_variance_are_those_of_the_profile() -> None:
    """Brute force: maximize over the mean at each tau2; the interval is where twice the drop stays below 3.84."""
    data = roorda().subset(["pos", "achiev"])
    pool = fit_stage1_random(data)
    used = data.used[:, 0]
    y, v = data.given[used, 0], pool.likelihood.v[used, 0, 0]

    def drop(tau2: float) -> float:
        w = 1.0 / (v + tau2)
        mean = (w @ y) / w.sum()
        value = np.log(v + tau2).sum() + w @ (y - mean) ** 2 + len(y) * np.log(2 * np.pi)
        return float(value - pool.minus2loglik - stats.chi2.ppf(0.95, 1))

    estimate = pool.fit.components[0].estimate
    interval = tau2_intervals(pool)["pos~~achiev"]
    assert interval.low == pytest.approx(optimize.brentq(drop, 1e-9, estimate), abs=1e-9)
    assert interval.high == pytest.approx(optimize.brentq(drop, estimate, 1.0), abs=1e-9)
    of_the_mean = pool_intervals(pool)["pos~~achiev"]
    assert of_the_mean.low < pool.fit.interval()[0, 0] < pool.fit.interval()[0, 1] < of_the_mean.high


def test_a_variance_whose_interval_reaches_zero_says_so() -> None:
    intervals = tau2_intervals(fit_stage1_random(simulated("bounds")))
    reasons = {name: interval.reason for name, interval in intervals.items()}
    assert "bound" in reasons["ability~~sample"]
    assert all(np.isnan(i.low) or i.low >= 0 for i in intervals.values())
