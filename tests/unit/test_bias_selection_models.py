"""Step and beta selection models: collapse to simpler models, edges of the parameter space, errors that help."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from replication.errors import ModelError
from replication.models.bias import fit_beta_selection, fit_step_selection
from replication.models.bias.selection_likelihood import SelectionLikelihood
from replication.models.bias.selection_models import _atoms
from replication.models.two_level.random_effects import fit_random_effects

RNG = np.random.default_rng(20110)
K = 40
V = RNG.uniform(0.005, 0.08, K)
Y = 0.15 + RNG.normal(size=K) * np.sqrt(V + 0.03)
X = np.column_stack([np.ones(K), np.linspace(-1.0, 1.0, K)])
POSITIVE = (np.array([0.4, 0.5, 0.7, 0.6, 0.9]), np.array([0.01, 0.01, 0.02, 0.01, 0.03]))


@pytest.mark.parametrize("x", [None, X], ids=["mean", "moderator"])
@pytest.mark.parametrize("tau2", ["ML", "EE"])
def test_equal_weights_are_no_selection(x: np.ndarray | None, tau2: str) -> None:
    plain = fit_random_effects(Y, V, x, method=tau2, test="z")  # type: ignore[arg-type]
    for result in (
        fit_step_selection(Y, V, x, steps=(0.025, 0.5), weights=(1.0, 1.0, 1.0), tau2=tau2),  # type: ignore[arg-type]
        fit_step_selection(Y, V, x, steps=(0.05,), weights=(0.3, 0.3), sides="two", tau2=tau2),  # type: ignore[arg-type]
        fit_beta_selection(Y, V, x, shapes=(1.0, 1.0), tau2=tau2),  # type: ignore[arg-type]
    ):
        np.testing.assert_allclose(result.fit.beta, plain.beta, rtol=1e-8)
        assert result.fit.component("tau2").estimate == pytest.approx(plain.component("tau2").estimate, rel=1e-7)
        assert result.fit.loglik == pytest.approx(plain.loglik, abs=1e-10)
        assert np.isnan(result.lrt)


def test_without_selection_the_score_of_the_ml_fit_is_zero() -> None:
    """The selection likelihood's own gradient at the estimates of another module."""
    plain = fit_random_effects(Y, V, X, method="ML", test="z")
    model = SelectionLikelihood(Y, V, X, np.zeros((K, 1)), _atoms(np.array([0.0, 1.0]), "one", np.array([True])))
    at = model.derivatives(np.array([*plain.beta, plain.component("tau2").estimate, 0.0]))
    np.testing.assert_allclose(at.gradient[:3] / np.sqrt(-np.diag(at.hessian)[:3]), 0.0, atol=1e-7)


def test_the_estimates_are_a_maximum() -> None:
    """Every small move from the estimates lowers the likelihood, and the covariance is minus its inverse curvature."""
    result = fit_step_selection(Y, V, X, steps=(0.025, 0.5))
    p = stats.norm.sf(Y / np.sqrt(V))
    edges = np.array([0.0, 0.025, 0.5, 1.0])
    model = SelectionLikelihood(
        Y, V, X, np.eye(3)[np.searchsorted(edges[1:-1], p)], _atoms(edges, "one", np.ones(3) > 0)
    )
    eta = np.log([one.estimate for one in result.selection])
    theta = np.array([*result.fit.beta, result.fit.component("tau2").estimate, *eta])
    at = model.derivatives(theta)
    free = [0, 1, 2, 4, 5]
    information = -at.hessian[np.ix_(free, free)]
    assert at.value == pytest.approx(result.fit.loglik, abs=1e-9)
    np.testing.assert_allclose(at.gradient[free] / np.sqrt(np.diag(information)), 0.0, atol=1e-7)
    scale = np.array([1.0, 1.0, 1.0, *np.exp(eta[1:])])
    expected = scale[:, None] * np.linalg.inv(information) * scale
    np.testing.assert_allclose(result.vcov[np.ix_(free, free)], expected, rtol=1e-6)
    assert result.parameters[3:] == ("p in (0, 0.025]", "p in (0.025, 0.5]", "p in (0.5, 1]")


def test_likelihood_ratio_compares_with_the_model_without_selection() -> None:
    result = fit_step_selection(Y, V, steps=(0.025, 0.5))
    plain = fit_random_effects(Y, V, method="ML", test="z")
    assert result.lrt == pytest.approx(2.0 * (result.fit.loglik - plain.loglik), abs=1e-9)
    assert result.lrt_df == 2
    assert result.lrt_p == pytest.approx(stats.chi2.sf(result.lrt, 2))


def test_first_weight_is_the_unit() -> None:
    first, second = fit_step_selection(Y, V).selection
    assert (first.estimate, first.fixed, np.isnan(first.se)) == (1.0, True, True)
    assert not second.fixed
    assert first.observed is not None
    assert second.observed is not None
    assert first.observed + second.observed == K
    assert second.interval.low == pytest.approx(
        second.estimate * np.exp(-stats.norm.isf(0.025) * second.se / second.estimate)
    )


def test_only_ratios_of_fixed_weights_matter() -> None:
    one = fit_step_selection(Y, V, steps=(0.025, 0.5), weights=(1.0, 0.6, 0.2))
    ten = fit_step_selection(Y, V, steps=(0.025, 0.5), weights=(10.0, 6.0, 2.0))
    assert one.fit.beta[0] == pytest.approx(ten.fit.beta[0], rel=1e-9)
    assert one.fit.loglik == pytest.approx(ten.fit.loglik, abs=1e-9)


def test_strong_selection_pulls_the_mean_down() -> None:
    means = [fit_step_selection(Y, V, weights=(1.0, w)).fit.beta[0] for w in (1.0, 0.5, 0.2, 0.05)]
    assert np.all(np.diff(means) < 0)


def test_direction_mirrors_the_effects() -> None:
    up = fit_step_selection(Y, V, X, steps=(0.025, 0.5))
    down = fit_step_selection(-Y, V, X, steps=(0.025, 0.5), direction="negative")
    np.testing.assert_allclose(down.fit.beta, -up.fit.beta, rtol=1e-9)
    np.testing.assert_allclose(down.fit.vcov, up.fit.vcov, rtol=1e-6)
    np.testing.assert_allclose([w.estimate for w in down.selection], [w.estimate for w in up.selection], rtol=1e-8)


def test_two_sided_steps_do_not_know_a_direction() -> None:
    up = fit_step_selection(Y, V, steps=(0.05,), sides="two")
    down = fit_step_selection(Y, V, steps=(0.05,), sides="two", direction="negative")
    assert up.fit.beta[0] == pytest.approx(down.fit.beta[0], rel=1e-8)


def test_an_empty_interval_is_named_with_what_to_do() -> None:
    with pytest.raises(ModelError, match=r"no p in \(0.025, 1\] among 5 effects.*direction, pass empty='zero' or fix"):
        fit_step_selection(*POSITIVE)
    with pytest.raises(ModelError, match=r"no p in \(0, 0.025\] among 5.*choose another step or direction or fix"):
        fit_step_selection(*POSITIVE, direction="negative")
    with pytest.raises(ModelError, match=r"no p in \(0.5, 0.5001\] among 40.*leave out a step, pass empty='merge'"):
        fit_step_selection(Y, V, steps=(0.025, 0.5, 0.5001))


def test_an_empty_interval_can_be_merged() -> None:
    y, v = np.append(POSITIVE[0], [0.1, 0.05]), np.append(POSITIVE[1], [0.02, 0.03])
    merged = fit_step_selection(y, v, steps=(0.025, 0.03, 0.5), empty="merge")
    direct = fit_step_selection(y, v, steps=(0.025,), empty="merge")
    assert [note.code for note in merged.notes if note.code == "merged-steps"]
    assert merged.fit.method["steps"] == "0.025, 1"
    assert merged.fit.beta[0] == pytest.approx(direct.fit.beta[0], rel=1e-9)


def test_an_empty_interval_at_weight_zero_is_the_limit_of_small_weights() -> None:
    zero = fit_step_selection(*POSITIVE, empty="zero")
    near = fit_step_selection(*POSITIVE, weights=(1.0, 1e-9))
    assert zero.fit.beta[0] == pytest.approx(near.fit.beta[0], rel=1e-6)
    assert zero.fit.loglik == pytest.approx(near.fit.loglik, abs=1e-7)
    assert zero.selection[1].estimate == 0.0
    assert np.isnan(zero.selection[1].se)
    assert (zero.lrt_df, zero.lrt > 0) == (1, True)
    assert "boundary" in [note.code for note in zero.notes]


def test_tau2_on_its_edge_is_noted_and_equals_the_model_without_it() -> None:
    y, v = np.array([0.30, 0.29, 0.31, 0.05, 0.32, 0.1, 0.28]), np.array([0.01, 0.02, 0.01, 0.02, 0.03, 0.04, 0.015])
    free, without = fit_step_selection(y, v), fit_step_selection(y, v, tau2="EE")
    assert free.fit.component("tau2").estimate == 0.0
    assert np.isnan(free.fit.component("tau2").se)
    assert [note.code for note in free.notes] == ["boundary"]
    assert free.fit.beta[0] == pytest.approx(without.fit.beta[0], rel=1e-8)
    assert free.fit.se[0] == pytest.approx(without.fit.se[0], rel=1e-6)


def test_beta_shapes_at_their_edge_are_noted() -> None:
    rng = np.random.default_rng(0)
    v = rng.uniform(0.01, 0.1, 4)
    result = fit_beta_selection(0.2 + rng.normal(size=4) * 0.3, v)
    held = [one for one in result.selection if np.isnan(one.se)]
    assert [one.estimate for one in held] == pytest.approx([1e-5] * len(held))
    assert held
    assert [note for note in result.notes if note.code == "boundary" and held[0].name in note.message]


def test_extreme_p_values_are_noted_by_row() -> None:
    result = fit_beta_selection(np.append(Y, 3.0), np.append(V, 0.01))
    assert K in [row for note in result.notes if note.code == "clipped-p" for row in note.rows]


def test_fewer_effects_than_parameters_is_an_error() -> None:
    with pytest.raises(ModelError, match="3 effects for 4 parameters"):
        fit_beta_selection([0.1, 0.5, 0.3], [0.01, 0.02, 0.01])


def test_a_likelihood_without_a_top_gives_no_number() -> None:
    """Every p is below 1e-5, where the beta weight is flat: its shapes cannot be told."""
    z = np.array([4.5, 4.7, 5.3, 5.4, 5.8, 6.2, 6.5, 7.1, 8.4, 12.1, 16.1])
    result = fit_beta_selection(z * 0.1, np.full(len(z), 0.01))
    assert "not-converged" in [note.code for note in result.notes]
    assert np.isnan([result.fit.beta[0], result.fit.se[0], result.fit.loglik, result.lrt, result.lrt_p]).all()
    assert np.isnan([shape.estimate for shape in result.selection]).all()


def test_rows_with_nan_are_left_out_and_named() -> None:
    y = Y.copy()
    y[[3, 7]] = np.nan
    result = fit_step_selection(y, V)
    keep = np.isfinite(y)
    assert result.notes[0].rows == (3, 7)
    assert result.fit.beta[0] == pytest.approx(fit_step_selection(Y[keep], V[keep]).fit.beta[0], rel=1e-10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": (0.5, 0.025)}, "ascending"),
        ({"steps": ()}, "ascending"),
        ({"steps": (0.025, 1.5)}, "ascending"),
        ({"weights": (1.0, 0.0)}, "2 numbers above 0"),
        ({"weights": (1.0,)}, "2 numbers above 0"),
        ({"direction": "up"}, "'positive', 'negative'"),
        ({"sides": "both"}, "'one', 'two'"),
        ({"empty": "drop"}, "'error', 'merge', 'zero'"),
        ({"tau2": "REML"}, "'ML', 'EE'"),
    ],
)
def test_bad_arguments_say_what_is_expected(change: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        fit_step_selection(Y, V, **change)  # type: ignore[arg-type]


def test_bad_shapes_say_what_is_expected() -> None:
    with pytest.raises(ModelError, match="two numbers above 0"):
        fit_beta_selection(Y, V, shapes=(0.0, 1.0))


def test_a_variance_of_zero_names_its_row() -> None:
    v = V.copy()
    v[5] = 0.0
    with pytest.raises(ModelError, match="row 5 with sampling variance 0"):
        fit_step_selection(Y, v)


def test_heterogeneity_a_thousand_times_the_standard_errors_is_found() -> None:
    v = np.array([2.4e-4, 0.028, 1.0, 9.3, 46.7])
    y = np.array([66.0, -859.0, 374.0, 467.0, 1127.0])
    result = fit_step_selection(y, v, empty="merge")
    assert "not-converged" not in [note.code for note in result.notes]
    assert np.sqrt(result.fit.component("tau2").estimate) > 100.0
