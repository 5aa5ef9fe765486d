"""What rounding dust and few effects cannot carry is NaN with a note, or an estimate with a word of warning."""

from __future__ import annotations

import numpy as np
import pytest

from replication.errors import ModelError
from replication.models.bayes.averaging.averaging import average_models
from replication.models.bayes.averaging.bias_models import bias_priors, psma_models
from replication.models.bias import (
    egger_of_fit,
    egger_test,
    fit_multilevel_funnel,
    fit_step_selection,
    multilevel_pet_peese,
    p_curve,
    p_curve_shares,
    pet_peese,
    waap_wls,
)
from replication.models.multilevel.cluster_influence import cluster_influence
from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.two_level.influence import baujat, influence, leave_one_out
from replication.models.two_level.random_effects import fit_random_effects

V = [0.01, 0.02, 0.03, 0.05, 0.04]


@pytest.mark.parametrize("value", [0.3, 1 / 3, -2.2, 1e-5, 123.4])
@pytest.mark.parametrize("clusters", [None, [1, 1, 2, 3, 4]])
def test_equal_effects_have_no_p_value(value: float, clusters: list[int] | None) -> None:
    y = [value] * 5
    tests = [
        egger_test(y, V, model="wls", clusters=clusters),
        egger_test(y, V, clusters=clusters),
        pet_peese(y, V, clusters=clusters),
        waap_wls(y, V, clusters=clusters),
        egger_of_fit(fit_multilevel_funnel(y, V, clusters or [1, 2, 3, 4, 5])),
    ]
    for test in tests:
        assert np.isnan(test.p) and np.isnan(test.se), type(test).__name__
        assert "perfect-fit" in {note.code for note in test.notes}


def test_effects_on_a_line_through_their_standard_errors_have_none_either() -> None:
    test = egger_test((0.1 + 2.0 * np.sqrt(V)).tolist(), V, model="wls")
    assert test.slope == pytest.approx(2.0) and np.isnan(test.p)


def test_effects_that_nearly_agree_keep_their_p_value() -> None:
    assert np.isfinite(egger_test([0.3, 0.3, 0.3, 0.3, 0.3 + 1e-9], V, model="wls").p)


def test_the_normal_test_needs_no_residuals() -> None:
    assert egger_test([0.3] * 5, V, test="z").p == pytest.approx(1.0)


def test_a_mean_outside_the_data_is_said() -> None:
    """All results just significant: the likelihood puts the mean far below every one of them."""
    y, v = [0.41, 0.30, 0.62, 0.52, 0.21, 0.35], [0.04, 0.02, 0.09, 0.06, 0.01, 0.03]
    outside = fit_step_selection(y, v, weights=[1.0, 0.02])
    assert outside.fit.beta[0] < min(y) and "outside-data" in {n.code for n in outside.fit.notes}
    inside = fit_step_selection(y, v, weights=[1.0, 1.0])
    assert "outside-data" not in {n.code for n in inside.fit.notes}
    turned = fit_step_selection([-e for e in y], v, weights=[1.0, 0.02], direction="negative")
    assert "outside-data" in {n.code for n in turned.fit.notes}


@pytest.mark.parametrize(("k", "said"), [(1, True), (2, True), (3, False)])
def test_with_one_or_two_effects_the_average_says_that_priors_decide(k: int, said: bool) -> None:
    few = tuple(model for model in psma_models() if model.bias is None)
    found = average_models([0.4, 0.3, 0.5][:k], [0.02, 0.01, 0.03][:k], priors=bias_priors("z"), models=few)
    assert ("priors-decide" in {note.code for note in found.notes}) == said


def test_multilevel_funnel_with_one_effect_a_sample_is_the_mixed_regression() -> None:
    """Collapse: the same coefficients as the two-level REML regression with CR2 by effect."""
    y, v = [0.5, 0.4, 0.2, 0.25, 0.6, 0.1], [0.09, 0.08, 0.01, 0.02, 0.08, 0.03]
    one = fit_multilevel_funnel(y, v, range(6))
    other = egger_test(y, v, clusters=list(range(6))).fit
    assert one.beta == pytest.approx(other.beta, rel=1e-5)
    assert one.se == pytest.approx(other.se, rel=1e-5) and one.df == pytest.approx(other.df, rel=1e-4)


def test_multilevel_pet_peese_follows_the_rule() -> None:
    y, v = np.array([0.5, 0.45, 0.4, 0.42, 0.38, 0.41]), np.array([0.09, 0.08, 0.01, 0.02, 0.03, 0.004])
    chosen = multilevel_pet_peese(y, v, range(6), direction="positive")
    assert chosen.chosen == "PEESE" and chosen.estimate == chosen.peese.beta[0]
    against = multilevel_pet_peese(y, v, range(6), direction="negative")
    assert against.chosen == "PET" and against.estimate == against.pet.beta[0]


def test_the_shares_of_the_p_curve_add_up_and_count_what_the_test_counts() -> None:
    y, v = [0.5, 0.42, 0.62, 0.1, -0.5], [0.04, 0.01, 0.04, 0.04, 0.04]
    shares = p_curve_shares(y, v, direction="positive")
    assert [s.sum() for s in (shares.observed, shares.flat, shares.low_power)] == pytest.approx([1.0, 1.0, 1.0])
    assert shares.observed[0] == pytest.approx(2 / p_curve(y, v, direction="positive").significant)
    assert (np.diff(shares.low_power) < 0).all()
    assert np.isnan(p_curve_shares([0.01], [0.04]).observed).all()


def test_cluster_influence_is_baujat_and_cook_with_one_effect_a_cluster() -> None:
    y, v = [0.1, 0.3, 0.5, 0.2, 0.8, 0.4], [0.01, 0.02, 0.03, 0.01, 0.02, 0.05]
    ours = cluster_influence(fit_multilevel(y, v, {"sample": list("abcdef")}, rows=None))
    fit = fit_random_effects(y, v, test="z")
    assert ours.heterogeneity == pytest.approx(baujat(fit).heterogeneity, rel=1e-5)
    assert ours.influence == pytest.approx(baujat(fit).influence, rel=1e-4)
    assert ours.cook == pytest.approx(influence(fit).cook, rel=1e-4)
    assert ours.influential.tolist() == influence(fit).influential.tolist()


def test_the_heterogeneity_of_clusters_by_the_whole_covariance() -> None:
    """Brute force: r' M^-1 r over the rows of each cluster, M written out."""
    clusters = np.array(["A", "A", "B", "C", "C"])
    y, v = np.array([0.1, 0.3, 0.5, 0.9, 0.2]), np.array([0.01, 0.02, 0.03, 0.01, 0.02])
    fit = fit_multilevel(y, v, clusters)
    between, within = (component.estimate for component in fit.components)
    M = np.diag(v + within) + between * (clusters[:, None] == clusters)
    residuals = y - fit.beta[0]
    parts = residuals * np.linalg.solve(M, residuals)
    expected = [parts[clusters == name].sum() for name in "ABC"]
    assert cluster_influence(fit).heterogeneity == pytest.approx(expected, rel=1e-8)


def test_a_two_level_diagnostic_names_the_one_for_clusters() -> None:
    fit = fit_multilevel([0.1, 0.3, 0.5, 0.9], [0.01, 0.02, 0.03, 0.01], ["A", "B", "C", "C"])
    for diagnose in (leave_one_out, baujat, influence):
        with pytest.raises(ModelError, match="leave_one_cluster_out or cluster_influence"):
            diagnose(fit)
    assert cluster_influence(fit).labels == ("A", "B", "C")


def test_a_tau2_outside_its_own_interval_is_said() -> None:
    """HE weighs a study of enormous variance like the others; the Q-profile weighs it by its precision."""
    y, v = [0.0, 0.1, -0.1, 0.05, 0.0, 0.1, -0.1, 0.05, 40.0, -35.0], [0.01] * 8 + [1200.0, 1200.0]
    component = fit_random_effects(y, v, method="HE").components[0]
    assert component.interval is not None and component.estimate > component.interval.high
    codes = {method: {n.code for n in fit_random_effects(y, v, method=method).notes} for method in ("HE", "REML")}
    assert "tau2-outside-interval" in codes["HE"] and "tau2-outside-interval" not in codes["REML"]
