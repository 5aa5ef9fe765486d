"""User weights in multilevel models against metafor's rma.mv(W=) and against dense matrices."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import replication as tsr
from replication.errors import ModelError
from replication.frames.fitted import FittedModel
from replication.models import leave_one_cluster_out, reweight, robust, row_sum_weights
from replication.models.multilevel.working_model import working_model


@cache
def pinned() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "metafor" / "multilevel_weights.json").read_text(encoding="utf-8"))


def frame(name: str) -> pd.DataFrame:
    return pd.DataFrame(pinned()["data"][name])


def matrix(kind: str) -> np.ndarray:
    """Weights with correlated rows: of a district alike, or the nearer in the table the more."""
    k = frame("konstantopoulos")
    pairs, place = np.sqrt(np.outer(k.w, k.w)), np.arange(len(k))
    if kind == "full":
        return np.asarray(pairs * 0.9 ** np.abs(np.subtract.outer(place, place)))
    district = k.district.to_numpy()
    return np.asarray(np.where(np.eye(len(k)) == 1, pairs, 0.4 * pairs * (district[:, None] == district)))


def fitted(case: str, weights: str | None = "w") -> FittedModel:
    if case == "outcomes":
        b = frame("berkey")
        V = b[[name for name in b if name.startswith("V.")]].to_numpy()
        return tsr.multivariate("yi ~ 0 + outcome", b, outcome="outcome", study="trial", V=V, weights=weights)
    if case == "moderator":
        return tsr.multilevel("yi ~ deltype", frame("assink"), clusters="study", rho=0.6, weights=weights)
    k = frame("konstantopoulos")
    if case in ("block", "full"):
        given = None if weights is None else matrix(case)
        formula = "yi ~ 1" if case == "block" else "yi ~ year"
        return tsr.multilevel(formula, k, clusters=["district", "school"], rows=None, weights=given)
    if case == "crossed":
        groups = ["district", "year"]
        return tsr.multilevel("yi ~ 1", k, clusters=groups, structure="crossed", rows=None, weights=weights)
    return tsr.multilevel("yi ~ 1", k, clusters=["district", "school"], rows=None, weights=weights)


# The peer's search of the unstructured model stops 1e-8 below the peak, its variances five digits from it.
@pytest.mark.parametrize(
    ("case", "digits"),
    [("nested", 1e-7), ("moderator", 1e-6), ("crossed", 1e-6), ("outcomes", 1e-4), ("block", 1e-7), ("full", 1e-7)],
)
def test_coefficients_and_their_covariance(case: str, digits: float) -> None:
    pin, fit = pinned()["fits"][case], fitted(case).fit
    np.testing.assert_allclose(fit.beta, pin["beta"], rtol=digits)
    np.testing.assert_allclose(fit.vcov, pin["vcov"], rtol=digits)
    assert fit.loglik == pytest.approx(pin["loglik"][0], abs=digits)


@pytest.mark.parametrize(("case", "tag"), [("nested", "robust"), ("block", "robust_block")])
def test_robust_inference_keeps_the_weights(case: str, tag: str) -> None:
    pin = pinned()["fits"][tag]
    robust = tsr.robust(fitted(case), "district", kind="CR1p").fit
    np.testing.assert_allclose(robust.beta, pin["beta"], rtol=1e-8)
    np.testing.assert_allclose(robust.vcov, pin["vcov"], rtol=1e-7)


@pytest.mark.parametrize("case", ["nested", "moderator", "crossed", "outcomes", "block", "full"])
def test_dense_matrices_say_the_same(case: str) -> None:
    plain, fit = fitted(case, weights=None).fit, fitted(case).fit
    model = working_model(fit)
    M = model.covariance(np.arange(fit.k)[None])[0]
    W = np.asarray(model.weights)
    WX = (W if W.ndim == 2 else np.diag(W)) @ model.x
    bread = np.linalg.inv(model.x.T @ WX)
    np.testing.assert_allclose(fit.beta, bread @ WX.T @ model.y, rtol=1e-9)
    np.testing.assert_allclose(fit.vcov, bread @ WX.T @ M @ WX @ bread, rtol=1e-9)
    residuals, best = model.y - model.x @ fit.beta, model.y - model.x @ plain.beta
    worse = 0.5 * (residuals @ np.linalg.solve(M, residuals) - best @ np.linalg.solve(M, best))
    assert plain.loglik - fit.loglik == pytest.approx(worse, rel=1e-6)


def test_the_weights_show_wherever_weights_are_told() -> None:
    model = fitted("nested")
    w = frame("konstantopoulos")["w"].to_numpy()
    np.testing.assert_allclose(row_sum_weights(model.fit), 100 * w / w.sum())
    assert "user-defined weights" in model.methods_text() and "weights as given" in str(model.summary())
    assert "hat" not in model.augment().columns


def test_leaving_out_a_cluster_keeps_the_weights() -> None:
    model = fitted("nested")
    k = frame("konstantopoulos")
    left = leave_one_cluster_out(model.fit)[0].fit
    other = tsr.multilevel(
        "yi ~ 1", k[k.district != k.district.iloc[0]], clusters=["district", "school"], rows=None, weights="w"
    )
    assert left is not None and left.beta[0] == pytest.approx(other.fit.beta[0], rel=1e-9)


def test_rows_without_weight_leave_and_wrong_weights_are_refused() -> None:
    k = frame("konstantopoulos").astype({"w": float})
    k.loc[3, "w"] = np.nan
    model = tsr.multilevel("yi ~ 1", k, clusters=["district", "school"], rows=None, weights="w")
    assert model.dropped()[["row", "missing"]].to_numpy().tolist() == [[3, "w"]]
    with pytest.raises(tsr.ModelError, match="0 or more"):
        tsr.multilevel("yi ~ 1", k.assign(w=-1.0), clusters="district", weights="w")
    with pytest.raises(tsr.ModelError, match="fit_multilevel or fit_multivariate"):
        reweight(tsr.random_effects("yi ~ 1", k).fit, np.ones(len(k)))


def test_a_matrix_of_weights_is_a_vector_where_it_is_diagonal_and_survives_a_left_out_cluster() -> None:
    k, nested = frame("konstantopoulos"), fitted("nested")
    kept = (k.district != k.district.iloc[0]).to_numpy()
    plain = tsr.multilevel("yi ~ 1", k, clusters=["district", "school"], rows=None)
    diagonal, cr2 = reweight(plain.fit, np.diag(k.w)), tsr.robust(nested, "district").fit
    np.testing.assert_allclose(diagonal.beta, nested.fit.beta, rtol=1e-12)
    np.testing.assert_allclose(robust(diagonal, "CR2").vcov, cr2.vcov, rtol=1e-10)
    np.testing.assert_allclose(row_sum_weights(fitted("block").fit).sum(), 100.0)
    left = leave_one_cluster_out(fitted("block").fit)[0].fit
    rest = tsr.multilevel(
        "yi ~ 1", k[kept], clusters=["district", "school"], rows=None, weights=matrix("block")[np.ix_(kept, kept)]
    )
    assert left is not None and left.beta[0] == pytest.approx(rest.fit.beta[0], rel=1e-9)


def test_a_row_without_an_effect_takes_its_row_and_column_of_the_matrix_along() -> None:
    k, W = frame("konstantopoulos"), matrix("full")
    gone = k.assign(yi=k.yi.where(k.index != 3))
    found = tsr.multilevel("yi ~ 1", gone, clusters=["district", "school"], rows=None, weights=W)
    kept = np.delete(np.arange(len(k)), 3)
    known = tsr.multilevel(
        "yi ~ 1", k.iloc[kept], clusters=["district", "school"], rows=None, weights=W[np.ix_(kept, kept)]
    )
    assert found.fit.beta[0] == pytest.approx(known.fit.beta[0], rel=1e-12)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda W: W[:5, :5], "pass a row for each"),
        (np.triu, "symmetric"),
        (lambda W: W - 3.0 * np.eye(len(W)), "eigenvalue"),
        (lambda W: W * np.nan, "symmetric and finite"),
    ],
)
def test_matrices_that_are_no_weights_are_refused(change: Any, said: str) -> None:
    k = frame("konstantopoulos")
    with pytest.raises(ModelError, match=said):
        tsr.multilevel("yi ~ 1", k, clusters=["district", "school"], rows=None, weights=change(matrix("full")))


def test_clusters_cannot_cut_a_matrix_of_weights() -> None:
    with pytest.raises(ModelError, match="block of the matrix of weights"):
        tsr.robust(fitted("full"), "district")
