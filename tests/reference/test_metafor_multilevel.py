"""Multilevel models, crossed factors, CHE and cluster-robust tests against metafor and clubSandwich.

Data: schools in districts (z), delinquency effects in studies (d; dependent errors), two outcomes a trial (given
covariances), class attendance (z; samples in studies, crossed classes), planning tasks (d; crossed), and our own:
Roorda's 85 correlations and 221 school samples. The made-by scripts and versions lie beside the numbers in `metafor/`.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replication.models.fit import Fit
from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.multilevel.results import cluster_effects, profile_intervals, row_sum_weights, variance_shares
from replication.models.multilevel.robust import fit_che, robust, wald_test
from replication.models.multilevel.structure import BlockV
from replication.models.prediction import predict
from replication.models.two_level.random_effects import fit_random_effects
from tests.tolerances import CONVERGED, OPTIMISED, PROFILE, SAME, assert_close

KINDS = ("CR0", "CR1", "CR1p", "CR1S", "CR2")

# label -> data set, clusters (outermost first), moderators, options of fit_multilevel
CASES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...], dict[str, Any]]] = {
    "konstantopoulos_reml": ("konstantopoulos", ("district", "school"), (), {}),
    "konstantopoulos_ml": ("konstantopoulos", ("district", "school"), (), {"method": "ML"}),
    "konstantopoulos_year": ("konstantopoulos", ("district", "school"), ("year",), {}),
    "konstantopoulos_crossed": ("konstantopoulos", ("district", "year"), (), {"structure": "crossed"}),
    "assink_diagonal": ("assink", ("study",), (), {}),
    "assink_che": ("assink", ("study",), (), {}),
    "assink_che_moderators": ("assink", ("study",), ("overt", "covert", "year"), {}),
    "assink_che_ml": ("assink", ("study",), ("pubstatus",), {"method": "ML"}),
    "assink_study_only": ("assink", ("study",), (), {"rows": None}),
    "berkey_trial": ("berkey", ("trial",), ("pd",), {"rows": None}),
    "berkey_nested": ("berkey", ("trial",), ("pd",), {}),
    "crede_four": ("crede", ("study", "sample"), (), {}),
    "crede_crossed": ("crede_class", ("study", "class"), (), {"structure": "crossed"}),
    "crede_crossed_che": ("crede_class", ("study", "class"), ("year",), {"structure": "crossed"}),
    "knapp_crossed": ("knapp", ("study", "task"), (), {"structure": "crossed"}),
    "knapp_difficulty": ("knapp", ("study",), ("difficulty",), {}),
}
RHO = {"assink_che": 0.6, "assink_che_moderators": 0.6, "assink_che_ml": 0.6, "crede_crossed_che": 0.5}
CENTRE = {"konstantopoulos_year": 1990, "crede_crossed_che": 1990}


@cache
def pinned() -> dict[str, Any]:
    path = Path(__file__).parent / "metafor" / "multilevel.json"
    return json.loads(path.read_text(encoding="utf-8"))


@cache
def older() -> dict[str, Any]:
    path = Path(__file__).parent / "metafor" / "multilevel_5_1.json"
    return json.loads(path.read_text(encoding="utf-8"))


def columns(name: str) -> dict[str, np.ndarray]:
    return {key: np.array(values, dtype=float) for key, values in pinned()["sets"][name].items()}


def covariance(label: str, data: dict[str, np.ndarray]) -> BlockV:
    if label in RHO:
        return BlockV.constant_correlation(data["vi"], data["study"], RHO[label])
    if label.startswith("berkey"):
        pairs = np.stack([data["v1"], data["v2"]], axis=1).reshape(-1, 2, 2)
        return BlockV.from_blocks(list(pairs))
    return BlockV.diagonal(data["vi"])


@cache
def fitted(label: str) -> tuple[Fit, dict[str, Any]]:
    name, clusters, moderators, options = CASES[label]
    data = columns(name)
    shift = CENTRE.get(label, 0)
    x = np.column_stack([np.ones(len(data["yi"])), *(data[m] - shift for m in moderators)]) if moderators else None
    factors = {c: data[c] for c in clusters}
    return fit_multilevel(data["yi"], covariance(label, data), factors, x, **options), pinned()["fits"][label]


def having(key: str) -> list[str]:
    return [label for label in CASES if key in pinned()["fits"].get(label, {})]


def test_no_case_has_gone_missing() -> None:
    assert set(pinned()["fits"]) == {*CASES, "assink_two_level"}


@pytest.mark.parametrize("label", CASES)
def test_estimates(label: str) -> None:
    fit, pin = fitted(label)
    q, omnibus = fit.heterogeneity, wald_test(fit)
    assert q is not None
    assert_close([c.estimate for c in fit.components], np.ravel(pin["sigma2"]), OPTIMISED)
    assert_close(fit.beta, np.ravel(pin["beta"]), OPTIMISED)
    assert_close(fit.se, np.ravel(pin["se"]), OPTIMISED)
    assert_close([q.Q, q.p], [pin["QE"], pin["QE_p"]], CONVERGED)
    assert_close([omnibus.statistic, omnibus.p], [pin["QM"], pin["QM_p"]], OPTIMISED)
    assert_close(fit.loglik, pin["loglik"], CONVERGED)
    assert fit.loglik > pin["loglik"] - 1e-10


@pytest.mark.parametrize("label", having("robust"))
@pytest.mark.parametrize("kind", KINDS)
def test_cluster_robust(label: str, kind: str) -> None:
    fit, pin = fitted(label)
    found, expected = robust(fit, kind), pin["robust"][kind]
    assert_close(found.se, np.ravel(expected["se"]), OPTIMISED)
    assert_close(found.df, np.ravel(expected["df"]), OPTIMISED)
    assert_close(found.p, np.ravel(expected["p"]), OPTIMISED)


@pytest.mark.parametrize("label", having("wald"))
def test_hotelling_t2(label: str) -> None:
    fit, pin = fitted(label)
    every = np.eye(len(fit.names))
    for constraints, kind, key in ((every[1:], "CR2", "moderators"), (every, "CR2", "all"), (every, "CR1", "all_CR1")):
        found, expected = wald_test(robust(fit, kind), constraints), pin["wald"][key]
        if expected:
            assert_close(
                [found.statistic, found.df_den, found.p], [expected["F"], expected["df"], expected["p"]], OPTIMISED
            )
        else:
            assert np.isnan(found.statistic) and "rank" in found.reason


@pytest.mark.parametrize("label", having("profile"))
def test_profile_intervals(label: str) -> None:
    fit, pin = fitted(label)
    for component, expected in zip(profile_intervals(fit).components, pin["profile"], strict=True):
        assert component.interval is not None
        for end, pinned_end in zip((component.interval.low, component.interval.high), expected[1:], strict=True):
            if pinned_end is not None:
                assert_close(end, pinned_end, PROFILE, component.name)


@pytest.mark.parametrize("label", having("I2"))
def test_shares_weights_and_predictions(label: str) -> None:
    fit, pin = fitted(label)
    assert_close(variance_shares(fit).percent, np.ravel(pin["I2"]), OPTIMISED)
    if "rowsum" in pin:
        assert_close(row_sum_weights(fit), pin["rowsum"], OPTIMISED)
        at = predict(fit, [[1.0]])
        found = [at.fit[0], at.se[0], *at.interval[0], *at.prediction_interval[0]]
        assert_close(found, pin["prediction"], OPTIMISED)


@pytest.mark.parametrize("label", having("ranef"))
def test_predicted_cluster_effects(label: str) -> None:
    fit, pin = fitted(label)
    for component, expected in zip(fit.components, pin["ranef"], strict=True):
        found = cluster_effects(fit, component.name)
        if not component.at_boundary:  # metafor orders groups as sorted text, we by appearance
            assert_close(np.sort(found.estimate), np.sort(expected["estimate"]), OPTIMISED, component.name)
            assert_close(np.sort(found.se), np.sort(expected["se"]), OPTIMISED, component.name)
        else:
            assert not found.estimate.any()


@pytest.mark.parametrize("kind", KINDS)
def test_two_level_fit_made_robust(kind: str) -> None:
    data, pin = columns("assink"), pinned()["fits"]["assink_two_level"]
    x = np.column_stack([np.ones(len(data["yi"])), data["overt"]])
    fit = robust(fit_random_effects(data["yi"], data["vi"], x, test="z"), kind, data["study"])
    assert_close(fit.se, pin["robust"][kind]["se"], CONVERGED)
    assert_close(fit.df, pin["robust"][kind]["df"], CONVERGED)
    if kind == "CR2":
        found, expected = wald_test(fit, np.eye(2)), pin["wald"]["all"]
        assert_close([found.statistic, found.df_den], [expected["F"], expected["df"]], CONVERGED)


def roorda(rows: np.ndarray | None = None) -> dict[str, np.ndarray]:
    data = {key: np.array(values) for key, values in older()["roorda"]["data"].items()}
    return data if rows is None else {key: values[rows] for key, values in data.items()}


def check_older(fit: Fit, pin: dict[str, Any]) -> None:
    cr2, test = robust(fit), wald_test(robust(fit))
    assert fit.heterogeneity is not None
    assert_close([c.estimate for c in fit.components], np.ravel(pin["sigma2"]), OPTIMISED)
    assert_close(fit.beta, np.ravel(pin["beta"]), OPTIMISED)
    assert_close(fit.se, np.ravel(pin["se"]), OPTIMISED)
    assert_close(cr2.se, np.ravel(pin["cr2_se"]), OPTIMISED)
    assert_close(cr2.df, np.ravel(pin["cr2_df"]), OPTIMISED)
    assert_close([test.statistic, test.df_den], [pin["cr2_F"], pin["cr2_Fdf"][1]], OPTIMISED)
    assert_close(wald_test(fit).statistic, pin["QM"], OPTIMISED)


def check_roorda(fit: Fit, pin: dict[str, Any]) -> None:
    check_older(fit, pin)
    q, cr2 = fit.heterogeneity, robust(fit)
    assert q is not None
    assert_close(q.Q, pin["QE"], CONVERGED)
    assert_close(fit.loglik, pin["ll"], CONVERGED)
    assert_close(cr2.interval(), np.column_stack([np.ravel(pin["cr2_lb"]), np.ravel(pin["cr2_ub"])]), OPTIMISED)
    assert_close(cr2.p, np.ravel(pin["cr2_p"]), OPTIMISED)
    assert_close(robust(fit, "CR1p", df="clusters").se, np.ravel(pin["cr1_se"]), OPTIMISED)


def test_roorda_interaction() -> None:
    d = roorda()
    positive, engagement = d["relationship"] == "pos", d["outcome"] == "enga"
    x = np.column_stack([np.ones(len(d["yi"])), positive, engagement, positive & engagement])
    check_roorda(fit_multilevel(d["yi"], d["vi"], {"sample": d["sample"]}, x), older()["roorda"]["three_level"])


def test_roorda_positive_relationship() -> None:
    d = roorda(np.array(older()["roorda"]["data"]["relationship"]) == "pos")
    fit, pin = fit_multilevel(d["yi"], d["vi"], {"sample": d["sample"]}), older()["roorda"]["pos_only"]
    check_roorda(fit, pin)
    for component, key in zip(profile_intervals(fit).components, ("1", "2"), strict=True):
        assert component.interval is not None
        low, high = pin["profile_ci"][key][1:]
        # metafor's root search stops at an absolute error of 1.2e-4 in the variance
        np.testing.assert_allclose([component.interval.low, component.interval.high], [low, high], atol=1.2e-4)
    x = np.column_stack([np.ones(len(d["yi"])), d["outcome"] == "enga"])
    check_roorda(fit_multilevel(d["yi"], d["vi"], {"sample": d["sample"]}, x), older()["roorda"]["pos_outcome"])


@pytest.mark.parametrize("rho", [0.4, 0.6, 0.8])
def test_roorda_correlated_errors(rho: float) -> None:
    d = roorda(np.array(older()["roorda"]["data"]["relationship"]) == "pos")
    pin = older()["roorda"][f"pos_CHE_rho{rho}"]
    V = BlockV.constant_correlation(d["vi"], d["sample"], rho)
    check_roorda(fit_multilevel(d["yi"], V, {"sample": d["sample"]}), pin)
    thin = fit_che(d["yi"], d["vi"], {"sample": d["sample"]}, rho)
    assert_close([thin.beta[0], thin.se[0]], [pin["beta"], pin["cr2_se"]], OPTIMISED)


def test_school_samples() -> None:
    data, pins = {k: np.array(v) for k, v in older()["pisa"]["data"].items()}, older()["pisa"]
    y, v = np.arctanh(data["r"]), 1.0 / (data["n"] - 3.0)
    fit, pin = fit_multilevel(y, v, {"country": data["country"]}), pins["three_level"]
    cr2, at = robust(fit), predict(fit, [[1.0]])
    assert fit.heterogeneity is not None
    assert_close([c.estimate for c in fit.components], pin["sigma2"], OPTIMISED)
    assert_close([fit.beta[0], fit.se[0], fit.heterogeneity.Q], [pin["mu"], pin["se"], pin["QE"]], OPTIMISED)
    assert_close(fit.loglik, pin["ll"], CONVERGED)
    assert_close(at.prediction_interval[0], [pin["pi_lb"], pin["pi_ub"]], OPTIMISED)
    found = [cr2.se[0], cr2.df[0], *cr2.interval()[0]]
    assert_close(found, [pin["cr2_se"], pin["cr2_df"], pin["cr2_lb"], pin["cr2_ub"]], OPTIMISED)
    x = np.column_stack([np.ones(len(y)), *(data["cycle"] == c for c in (2003, 2009, 2012))])
    check_older(fit_multilevel(y, v, {"country": data["country"]}, x), pins["by_cycle"])


def test_given_blocks_are_the_same_as_an_assumed_correlation() -> None:
    d = roorda()
    V = BlockV.constant_correlation(d["vi"], d["sample"], 0.6)
    implicit = fit_multilevel(d["yi"], V, {"sample": d["sample"]})
    dense = fit_multilevel(d["yi"], V.dense(), {"sample": d["sample"]})
    assert_close(dense.beta, implicit.beta, SAME)
    assert_close(dense.se, implicit.se, SAME)
    assert_close([c.estimate for c in dense.components], [c.estimate for c in implicit.components], SAME)
