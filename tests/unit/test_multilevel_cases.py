"""Multilevel models at their limits: few effects, levels that cannot be told apart, boundaries, bad input."""

from __future__ import annotations

import numpy as np
import pytest

from replication.errors import ModelError
from replication.models.fit import Fit
from replication.models.multilevel import cluster_influence as influence_module
from replication.models.multilevel import crossed_core
from replication.models.multilevel import moments as moments_module
from replication.models.multilevel import robust as robust_module
from replication.models.multilevel.cluster_influence import cluster_influence, cluster_pull
from replication.models.multilevel.large_clusters import adjusted
from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.multilevel.results import (
    cluster_effects,
    leave_one_cluster_out,
    profile_intervals,
    profile_log_likelihood,
    row_sum_weights,
    variance_shares,
)
from replication.models.multilevel.robust import fit_che, robust, wald_test
from replication.models.multilevel.structure import BlockV
from replication.models.options import LevelStructure
from replication.models.prediction import predict
from replication.models.two_level.random_effects import fit_random_effects
from tests.tolerances import CONVERGED, SAME, Tolerance, assert_close

COSTLY = Tolerance(1e-5, 1e-7, "a search of costly steps ends a millionth of a variance from the peak", 1e-6)

Y = np.array([0.1, 0.3, 0.5, 0.9, 0.2, -0.1, 0.4, 0.7])
V = np.array([0.01, 0.02, 0.03, 0.01, 0.02, 0.04, 0.01, 0.02])
STUDY = np.array(["a", "a", "b", "b", "c", "c", "d", "d"])


def codes(fit: Fit) -> set[str]:
    return {note.code for note in fit.notes}


# -- collapse -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_one_effect_a_study_is_the_two_level_model(method: str) -> None:
    three = fit_multilevel(Y, V, {"study": np.arange(8)}, method=method)  # type: ignore[arg-type]
    two = fit_random_effects(Y, V, method=method, test="z")  # type: ignore[arg-type]
    assert [c.name for c in three.components] == ["study"] and "confounded" in codes(three)
    assert_close([three.beta[0], three.se[0]], [two.beta[0], two.se[0]], CONVERGED)
    assert_close(three.component("study").estimate, two.component("tau2").estimate, CONVERGED)
    assert_close(three.loglik, two.loglik, CONVERGED)
    assert three.heterogeneity is not None and two.heterogeneity is not None
    assert_close(
        [three.heterogeneity.Q, three.heterogeneity.I2, three.heterogeneity.H2],
        [two.heterogeneity.Q, two.heterogeneity.I2, two.heterogeneity.H2],
        CONVERGED,
    )
    assert_close(robust(three).se, robust(two).se, CONVERGED)


def test_clusters_without_a_level_of_rows_average_within_clusters() -> None:
    """One variance per study and equal errors: the two-level model of study means."""
    fit = fit_multilevel(Y, np.full(8, 0.04), {"study": STUDY}, rows=None)
    means = fit_random_effects(Y.reshape(4, 2).mean(1), np.full(4, 0.02), test="z")
    assert_close([fit.beta[0], fit.se[0]], [means.beta[0], means.se[0]], CONVERGED)
    assert_close(fit.component("study").estimate, means.component("tau2").estimate, CONVERGED)


def test_zero_correlation_is_a_diagonal() -> None:
    a = fit_multilevel(Y, BlockV.constant_correlation(V, STUDY, 0.0), {"study": STUDY})
    b = fit_multilevel(Y, V, {"study": STUDY})
    assert_close([*a.beta, *a.se, a.loglik], [*b.beta, *b.se, b.loglik], SAME)


def test_unique_labels_cross_as_they_nest() -> None:
    sample = np.array([f"{s}{i // 4}" for i, s in enumerate(STUDY)])
    country = np.array(["x"] * 4 + ["y"] * 4)
    factors = {"country": country, "sample": sample}
    nested, crossed = fit_multilevel(Y, V, factors), fit_multilevel(Y, V, factors, structure="crossed")
    assert_close([*nested.beta, nested.loglik], [*crossed.beta, crossed.loglik], SAME)


def test_nested_labels_count_within_their_parents() -> None:
    again = np.tile([1, 1, 2, 2], 2)
    country = np.array(["x"] * 4 + ["y"] * 4)
    fit = fit_multilevel(Y, V, {"country": country, "study": again})
    assert_close(fit.loglik, fit_multilevel(Y, V, {"country": country, "study": STUDY}).loglik, SAME)
    assert cluster_effects(fit, "study").labels == ("x/1", "x/2", "y/1", "y/2")


def test_independent_error_che_with_equal_studies_is_the_t_test_of_means() -> None:
    fit = fit_che(Y, np.full(8, 0.02), {"study": STUDY}, rho=0.6)
    means = Y.reshape(4, 2).mean(1)
    assert_close([fit.beta[0], fit.se[0], fit.df[0]], [means.mean(), means.std(ddof=1) / 2, 3.0], CONVERGED)
    assert fit.method["vcov"] == "CR2" and (fit.method["V"], fit.method["rho"]) == ("constant_correlation", "0.6")


def test_che_reads_samples_within_their_countries() -> None:
    country, again = np.array(["x"] * 4 + ["y"] * 4), np.tile([1, 1, 2, 2], 2).astype(object)
    unique = fit_che(Y, V, {"country": country, "study": STUDY}, rho=0.4)
    assert_close(fit_che(Y, V, {"country": country, "study": again}, rho=0.4).se, unique.se, SAME)
    again[0] = None
    assert fit_che(Y, V, {"country": country, "study": again}, rho=0.4).k == 7


# -- few effects ----------------------------------------------------------------------------------------------------


def test_a_single_effect_is_itself() -> None:
    fit = fit_multilevel([0.4], [0.04], {"study": ["a"]}, test="t")
    assert_close([fit.beta[0], fit.se[0]], [0.4, 0.2], SAME)
    assert np.isnan(fit.components[0].estimate) and "not-identified" in codes(fit)
    assert fit.method["test"] == "z" and np.isinf(fit.df[0])
    assert fit.heterogeneity is not None and np.isnan(fit.heterogeneity.p) and fit.heterogeneity.df == 0
    assert np.isnan(predict(fit, [[1.0]]).prediction_interval).all()
    interval = profile_intervals(fit).components[0].interval
    assert interval is not None and np.isnan(interval.high) and interval.reason


def test_two_effects_of_one_study_leave_the_study_level_undefined() -> None:
    fit = fit_multilevel([0.1, 0.9], [0.01, 0.01], {"study": ["a", "a"]})
    assert np.isnan(fit.component("study").estimate) and "not-identified" in codes(fit)
    assert_close(fit.component("effect").estimate, 0.8**2 / 2 - 0.01, CONVERGED)
    with pytest.raises(ModelError, match="one cluster"):
        robust(fit)


def test_two_effects_of_two_studies() -> None:
    fit = fit_multilevel([0.1, 0.9], [0.01, 0.01], {"study": ["a", "b"]})
    assert_close(fit.component("study").estimate, 0.8**2 / 2 - 0.01, CONVERGED)


def test_a_study_in_every_column_takes_its_level() -> None:
    x = np.equal.outer(STUDY, np.unique(STUDY)).astype(float)
    fit = fit_multilevel(Y, V, {"study": STUDY}, x, names=["a", "b", "c", "d"])
    assert np.isnan(fit.component("study").estimate) and fit.component("effect").estimate > 0
    cr2 = robust(fit)
    assert np.isnan(cr2.se).all() and "single-cluster" in codes(cr2)
    assert np.isnan(wald_test(cr2).p) and wald_test(cr2).reason


def test_a_coefficient_that_one_study_determines_in_part_gets_a_note() -> None:
    x = np.column_stack([np.ones(8), STUDY == "c"])
    note = next(n for n in robust(fit_multilevel(Y, V, {"study": STUDY}, x)).notes if n.code == "single-cluster")
    assert note.message.startswith("x1:") and "28 %" in note.message


def test_equal_effects_put_both_variances_on_the_edge() -> None:
    fit = fit_multilevel(np.full(8, 0.3), V, {"study": STUDY})
    assert [c.estimate for c in fit.components] == [0.0, 0.0] and all(c.at_boundary for c in fit.components)
    assert "boundary" in codes(fit)
    assert_close([fit.beta[0], fit.se[0]], [0.3, (1 / V).sum() ** -0.5], SAME)
    intervals = [c.interval for c in profile_intervals(fit).components]
    assert all(i is not None and i.low == 0.0 and np.isfinite(i.high) and i.high > 0 for i in intervals)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_huge_heterogeneity_is_the_plain_analysis_of_variance(scale: float) -> None:
    """With negligible sampling errors and equal studies, REML is the method of moments of the means' variances."""
    rng = np.random.default_rng(3)
    y = scale * (5.0 * rng.normal(size=(10, 1)) + rng.normal(size=(10, 4)))
    fit = fit_multilevel(y.ravel(), np.full(40, 1e-9 * scale**2), {"study": np.repeat(np.arange(10), 4)})
    within, means = y.var(axis=1, ddof=1).mean(), y.mean(1).var(ddof=1)
    assert_close(fit.component("effect").estimate / scale**2, within / scale**2 - 1e-9, CONVERGED)
    assert_close(fit.component("study").estimate / scale**2, (means - within / 4) / scale**2, CONVERGED)


# -- results --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_row_sum_weights_make_the_estimate(rho: float) -> None:
    fit = fit_multilevel(Y, BlockV.constant_correlation(V, STUDY, rho), {"study": STUDY})
    weights = row_sum_weights(fit)
    assert_close([weights.sum(), weights @ Y / 100], [100.0, fit.beta[0]], SAME)
    dense = fit_multilevel(Y, BlockV.constant_correlation(V, STUDY, rho).dense(), {"study": STUDY})
    assert_close(row_sum_weights(dense), weights, SAME)


def test_shares_add_up() -> None:
    shares = variance_shares(fit_multilevel(Y, V, {"study": STUDY}))
    assert_close(shares.percent.sum() + shares.sampling, 100.0, SAME)
    assert_close(shares.percent.sum(), shares.total, SAME)


def test_predicted_effects_by_the_textbook_formula() -> None:
    fit = fit_multilevel(Y, V, {"study": STUDY})
    between, within = (c.estimate for c in fit.components)
    Z = np.equal.outer(STUDY, np.unique(STUDY)).astype(float)
    X, W = np.ones((8, 1)), np.linalg.inv(between * Z @ Z.T + np.diag(V + within))
    P = W - W @ X @ np.linalg.inv(X.T @ W @ X) @ X.T @ W
    found = cluster_effects(fit)
    assert found.labels == ("a", "b", "c", "d")
    assert_close(found.estimate, between * Z.T @ P @ Y, SAME)
    assert_close(found.se**2, between - between**2 * np.diag(Z.T @ P @ Z), SAME)


def test_leaving_a_study_out_is_fitting_the_others() -> None:
    fit = robust(fit_multilevel(Y, BlockV.constant_correlation(V, STUDY, 0.4), {"study": STUDY}), "CR1")
    left = leave_one_cluster_out(fit)
    assert [one.label for one in left] == ["a", "b", "c", "d"]
    rest = STUDY != "b"
    V_rest = BlockV.constant_correlation(V[rest], STUDY[rest], 0.4)
    alone = robust(fit_multilevel(Y[rest], V_rest, {"study": STUDY[rest]}), "CR1")
    found = left[1].fit
    assert found is not None
    assert_close([*found.beta, *found.se, *found.df], [*alone.beta, *alone.se, *alone.df], SAME)


@pytest.mark.parametrize("seed", range(12))
def test_a_refit_near_the_whole_fit_finds_the_peak_of_a_fresh_search(seed: int) -> None:
    """Three to thirty clusters, small and huge heterogeneity, variances on the edge among them."""
    rng = np.random.default_rng(seed)
    study = np.sort(rng.integers(0, int(rng.integers(3, 30)), size=60))
    v = rng.uniform(0.005, 0.1, size=60)
    between, within = rng.choice([0.0, 0.003, 0.1, 10.0], size=2)
    y = rng.normal(0, between, 60)[study] + rng.normal(0, within, 60) + rng.normal(0, np.sqrt(v))
    fit = fit_multilevel(y, v, {"study": study})
    for one in leave_one_cluster_out(fit):
        rest = study != study[0] if one.label == str(study[0]) else study != int(one.label)
        fresh = fit_multilevel(y[rest], v[rest], {"study": study[rest]})
        assert one.fit is not None
        assert_close(one.fit.loglik, fresh.loglik, SAME)
        assert_close(one.fit.beta, fresh.beta, SAME)


@pytest.mark.parametrize("together", [1, robust_module.TOGETHER])
def test_refits_made_robust_together_are_each_robust_alone(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusters of one to five rows, so that the sizes left differ from refit to refit; one by one and all at once."""
    monkeypatch.setattr(robust_module, "TOGETHER", together)
    rng = np.random.default_rng(5)
    country = np.repeat([4, 0, 2, 1, 3, 5], [5, 1, 3, 3, 2, 1])
    sample = np.arange(15) // 2 + 100 * country
    v = rng.uniform(0.01, 0.05, size=15)
    y = rng.normal(0.3, 0.3, size=6)[country] + rng.normal(0, np.sqrt(v))
    whole = robust(fit_multilevel(y, v, {"country": country, "sample": sample}), "CR2")
    for one in leave_one_cluster_out(whole, sample):
        rest = sample != int(one.label)
        alone = fit_multilevel(y[rest], v[rest], {"country": country[rest], "sample": sample[rest]})
        expected, found = robust(alone, "CR2"), one.fit
        assert found is not None and found.clusters == expected.clusters
        assert_close([*found.beta, *found.se, *found.df], [*expected.beta, *expected.se, *expected.df], CONVERGED)


@pytest.mark.parametrize("design", ["intercept", "moderator", "of one country"])
@pytest.mark.parametrize("errors", ["apart", "correlated", "negative", "given"])
def test_large_clusters_have_the_moments_of_matrices(errors: str, design: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that correlate negatively and coefficients that take up a whole cluster go by matrices as before."""
    rng, k = np.random.default_rng(8), 90
    sample = np.sort(rng.integers(0, 24, k))
    country = sample // 6
    v, z = rng.uniform(0.0005, 0.03, k), rng.normal(size=k)
    y = rng.normal(0.0, 0.2, 4)[country] + rng.normal(0.0, 0.2, 24)[sample] + rng.normal(0.0, np.sqrt(v))
    correlated = BlockV.constant_correlation(v, sample, -0.05 if errors == "negative" else 0.6)
    V = {"apart": BlockV.diagonal(v), "given": BlockV.from_matrix(correlated.dense())}.get(errors, correlated)
    columns = {"intercept": [], "moderator": [z], "of one country": [z, country == 2]}[design]
    x = np.column_stack([np.ones(k), *columns])
    fit = fit_multilevel(y, V, {"country": country, "sample": sample}, x)
    expected = robust(fit, "CR2")
    used: list[float] = []
    monkeypatch.setattr(moments_module, "LARGE", 10)
    monkeypatch.setattr(moments_module, "adjusted", lambda *parts: used.append(parts[-1]) or adjusted(*parts))
    found = robust(fit, "CR2")
    assert len(used) == (0 if errors == "negative" else 3 if design == "of one country" else 4)
    assert_close([*found.beta, *found.se, *found.df], [*expected.beta, *expected.se, *expected.df], SAME)


@pytest.mark.parametrize("structure", ["nested", "crossed"])
@pytest.mark.parametrize("errors", ["apart", "correlated", "given"])
def test_the_pull_of_a_cluster_is_generalised_least_squares_without_it(
    structure: LevelStructure, errors: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a moderator, at the variances of the whole fit, and rows of a block asked for a few at a time."""
    monkeypatch.setattr(influence_module, "COLUMNS", 7)
    rng, k = np.random.default_rng(3), 48
    sample = rng.integers(0, 15, k)
    country, other = sample // 4, rng.integers(0, 4, k)
    v, x = rng.uniform(0.005, 0.03, k), np.column_stack([np.ones(k), rng.normal(size=k)])
    y = rng.normal(0.0, 0.5, 4)[country] + rng.normal(0.0, 0.3, 15)[sample] + rng.normal(0.0, np.sqrt(v))
    given = BlockV.constant_correlation(v, sample, 0.6)
    V = {"apart": BlockV.diagonal(v), "correlated": given, "given": BlockV.from_matrix(given.dense())}[errors]
    inner = sample if structure == "nested" else other
    fit = fit_multilevel(y, V, {"country": country, "inner": inner}, x, structure=structure)
    assert fit.components[0].estimate > 0.0 and fit.components[1].estimate >= 0.0
    M = V.dense() + sum(
        c.estimate * np.equal.outer(a, a) for c, a in zip(fit.components, (country, inner, np.arange(k)), strict=True)
    )
    pull = cluster_pull(fit, sample)
    for label, change in zip(pull.labels, pull.change, strict=True):
        rest = sample != int(label)
        weighed = np.linalg.solve(M[np.ix_(rest, rest)], x[rest]).T
        assert_close(fit.beta - change, np.linalg.solve(weighed @ x[rest], weighed @ y[rest]), SAME)


def test_clusters_that_are_not_left_out_are_counted_apart() -> None:
    fit = fit_multilevel(Y, V, {"study": STUDY})
    some, every = leave_one_cluster_out(fit, only={"b", "d"}), cluster_influence(fit)
    assert [one.label for one in some] == ["b", "d"]
    found = cluster_influence(fit, left_out=some)
    assert found.reasons == ("not refitted", "", "not refitted", "")
    assert_close(found.cook[[1, 3]], every.cook[[1, 3]], SAME)
    assert np.isnan(found.cook[[0, 2]]).all() and not found.influential[[0, 2]].any()


def test_leaving_a_study_out_keeps_given_weights() -> None:
    weights = 1.0 + np.arange(8.0)
    fit = fit_multilevel(Y, V, {"study": STUDY})
    left = leave_one_cluster_out(robust(fit, weights=weights))[0].fit
    assert left is not None and left.method["weights"] == "as given"
    assert_close(left.beta[0], (weights * Y)[2:].sum() / weights[2:].sum(), SAME)


def test_leaving_out_the_only_study_with_a_moderator_says_why_not() -> None:
    x = np.column_stack([np.ones(8), STUDY == "c"])
    left = leave_one_cluster_out(fit_multilevel(Y, V, {"study": STUDY}, x, names=["intercept", "c"]))
    assert left[2].fit is None and "'c'" in left[2].reason
    assert left[0].fit is not None


def test_profile_ends_drop_the_likelihood_by_the_chi_square_quantile() -> None:
    fit = profile_intervals(fit_multilevel(Y, V, {"study": STUDY}))
    for component in fit.components:
        assert component.interval is not None
        top, high = profile_log_likelihood(fit, component.name, [component.estimate, component.interval.high])
        assert_close(top, fit.loglik, CONVERGED)
        assert_close(2 * (top - high), 3.841458820694124, CONVERGED)


def test_predictions_of_a_robust_fit_have_their_own_degrees_of_freedom() -> None:
    x = np.column_stack([np.ones(8), Y**2])
    fit = robust(fit_multilevel(Y, V, {"study": STUDY}, x))
    at = predict(fit, [[1.0, 0.0], [1.0, 0.3]])
    assert_close(at.df[0], fit.df[0], SAME)
    assert abs(at.df[1] - fit.df[0]) > 0.01
    assert_close(at.interval[0], fit.interval()[0], SAME)


@pytest.mark.parametrize("seed", range(40))
def test_small_data_of_any_kind_give_numbers_or_a_reason(seed: int) -> None:
    """One to eight effects, any scale, any grouping: finite results or a `ModelError`; what is undefined has a note."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, 9))
    y = rng.normal(size=k) * 10.0 ** rng.integers(-5, 6)
    v = 10.0 ** (rng.uniform(-6, 3, k) if seed % 3 else np.full(k, rng.integers(-6, 4)))
    study = rng.integers(0, rng.integers(1, 6), k)
    errors = BlockV.constant_correlation(v, study, float(rng.uniform(0, 0.99)))
    x = np.column_stack([np.ones(k), rng.integers(0, 3, k)]) if seed % 4 == 0 else None
    factors = {"study": study, "lab": rng.integers(0, 3, k)}
    structure = ("nested", "crossed")[seed % 2]
    try:
        fit = fit_multilevel(y, errors, factors, x, structure=structure)  # type: ignore[arg-type]
    except ModelError:
        return
    assert np.isfinite([*fit.beta, *fit.se, fit.loglik]).all() and (fit.se > 0).all()
    undefined = [c for c in fit.components if np.isnan(c.estimate)]
    assert bool(undefined) == ("not-identified" in codes(fit))
    for component in profile_intervals(fit).components:
        interval = component.interval
        assert interval is not None
        assert interval.reason or interval.low <= component.estimate <= interval.high


# -- input ----------------------------------------------------------------------------------------------------------


def test_rows_with_a_gap_are_left_out_and_named() -> None:
    y, v, study = Y.copy(), V.copy(), STUDY.astype(object)
    y[1], v[3], study[6] = np.nan, np.nan, None
    fit = fit_multilevel(y, v, {"study": study})
    note = next(note for note in fit.notes if note.code == "excluded-rows")
    assert note.rows == (1, 3, 6) and fit.k == 5
    kept = [0, 2, 4, 5, 7]
    assert_close(fit.loglik, fit_multilevel(Y[kept], V[kept], {"study": STUDY[kept]}).loglik, SAME)
    assert_close(robust(fit, clusters=STUDY).se, robust(fit, clusters=STUDY[kept]).se, SAME)


def test_repeated_rows_are_rows() -> None:
    twice = np.repeat(np.arange(8), 2)
    fit = fit_multilevel(Y[twice], BlockV.constant_correlation(V[twice], STUDY[twice], 0.5), {"study": STUDY[twice]})
    assert fit.k == 16 and np.isfinite(fit.loglik)


def test_labels_of_any_kind() -> None:
    expected = fit_multilevel(Y, V, {"study": STUDY}).loglik
    for labels in (
        STUDY.tolist(),
        np.repeat([7, 3, 5, 1], 2),
        np.repeat([0.5, 1.5, 2.5, 3.5], 2),
        STUDY.astype(object),
    ):
        assert_close(fit_multilevel(Y, V, {"study": labels}).loglik, expected, SAME)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_multilevel(Y, V[:7], {"study": STUDY}), "7 effects but y has 8"),
        (lambda: fit_multilevel(Y, V, {"study": STUDY[:7]}), "study has shape"),
        (lambda: fit_multilevel(Y, np.where(Y > 0.8, 0.0, V), {"study": STUDY}), "row 3 with sampling variance 0"),
        (lambda: fit_multilevel(Y, -V, {"study": STUDY}), "negative"),
        (lambda: fit_multilevel(Y, V, {"study": STUDY}, method="reml"), "'REML', 'ML'"),
        (lambda: fit_multilevel(Y, V, {"study": STUDY}, structure="tree"), "'nested', 'crossed'"),
        (lambda: fit_multilevel(Y, V, {}, rows=None), "no level"),
        (lambda: fit_multilevel(Y, V, {"study": STUDY}, np.ones((8, 2)), names=["a", "b"]), "'b'"),
        (lambda: fit_multilevel(Y, np.ones((8, 8)), {"study": STUDY}), "no covariance matrix"),
        (lambda: robust(fit_multilevel(Y, V, {"study": STUDY}), "HC3"), "'CR0'"),
        (lambda: robust(fit_multilevel(Y, V, {"study": STUDY}), clusters=np.arange(8)), "share study"),
        (lambda: robust(fit_multilevel(Y, V, {"study": STUDY}), clusters=["a"] * 3), "one label for each"),
        (lambda: robust(fit_multilevel(Y, V, {"a": STUDY, "b": np.tile([1, 2], 4)}, structure="crossed")), "cross"),
        (lambda: robust(robust(fit_multilevel(Y, V, {"study": STUDY}))), "already made robust"),
        (lambda: wald_test(fit_multilevel(Y, V, {"study": STUDY}), ["slope"]), "no coefficient 'slope'"),
        (lambda: cluster_effects(fit_multilevel(Y, V, {"study": STUDY}), "school"), "study, effect"),
        (lambda: row_sum_weights(fit_random_effects(Y, V)), "fit_multilevel"),
    ],
)
def test_what_is_refused_says_what_to_do(call: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        call()  # type: ignore[operator]


def test_many_tied_levels_give_the_same_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Average information from a start by moments ends where the exact search ends; a long fit is announced."""
    rng = np.random.default_rng(5)
    a, b = rng.integers(0, 60, 400), rng.integers(0, 25, 400)
    v = rng.uniform(0.01, 0.1, 400)
    y = 0.2 + rng.normal(0, 0.2, 60)[a] + rng.normal(0, 0.15, 25)[b] + rng.normal(size=400) * np.sqrt(v + 0.01)
    x = np.column_stack([np.ones(400), rng.normal(size=400)])
    factors = {"a": a, "b": b}
    exact = fit_multilevel(y, v, factors, x, structure="crossed")
    monkeypatch.setattr(crossed_core, "LARGE", 10)
    with pytest.warns(UserWarning, match="25 crossed levels are tied"):
        monkeypatch.setattr(crossed_core, "LONG", 0.0)
        tied = fit_multilevel(y, v, factors, x, structure="crossed")
    assert "average-information" in {note.code for note in tied.notes}
    assert_close([*tied.beta, *tied.se, tied.loglik], [*exact.beta, *exact.se, exact.loglik], COSTLY)
    variances = [[c.estimate for c in fit.components] for fit in (tied, exact)]
    assert_close(*variances, COSTLY)
    errors = [[c.se for c in fit.components] for fit in (tied, exact)]
    assert np.allclose(*errors, rtol=0.15)  # average for observed information: alike, not the same
    monkeypatch.setattr(crossed_core, "MOST_BYTES", 1000.0)
    with pytest.raises(ModelError, match="25 levels tied to each other"):
        fit_multilevel(y, v, factors, x, structure="crossed")
