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
from replication.frames.fitted import FittedModel
from replication.models import leave_one_cluster_out, reweight, row_sum_weights
from replication.models.multilevel.working_model import working_model


@cache
def pinned() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "metafor" / "multilevel_weights.json").read_text(encoding="utf-8"))


def frame(name: str) -> pd.DataFrame:
    return pd.DataFrame(pinned()["data"][name])


def fitted(case: str, weights: str | None = "w") -> FittedModel:
    if case == "outcomes":
        b = frame("berkey")
        V = b[[name for name in b if name.startswith("V.")]].to_numpy()
        return tsr.multivariate("yi ~ 0 + outcome", b, outcome="outcome", study="trial", V=V, weights=weights)
    if case == "moderator":
        return tsr.multilevel("yi ~ deltype", frame("assink"), clusters="study", rho=0.6, weights=weights)
    k = frame("konstantopoulos")
    if case == "crossed":
        groups = ["district", "year"]
        return tsr.multilevel("yi ~ 1", k, clusters=groups, structure="crossed", rows=None, weights=weights)
    return tsr.multilevel("yi ~ 1", k, clusters=["district", "school"], rows=None, weights=weights)


# The peer's search of the unstructured model stops 1e-8 below the peak, its variances five digits from it.
@pytest.mark.parametrize(
    ("case", "digits"), [("nested", 1e-7), ("moderator", 1e-6), ("crossed", 1e-6), ("outcomes", 1e-4)]
)
def test_coefficients_and_their_covariance(case: str, digits: float) -> None:
    pin, fit = pinned()["fits"][case], fitted(case).fit
    np.testing.assert_allclose(fit.beta, pin["beta"], rtol=digits)
    np.testing.assert_allclose(fit.vcov, pin["vcov"], rtol=digits)
    assert fit.loglik == pytest.approx(pin["loglik"][0], abs=digits)


def test_robust_inference_keeps_the_weights() -> None:
    pin = pinned()["fits"]["robust"]
    robust = tsr.robust(fitted("nested"), "district", kind="CR1p").fit
    np.testing.assert_allclose(robust.beta, pin["beta"], rtol=1e-8)
    np.testing.assert_allclose(robust.vcov, pin["vcov"], rtol=1e-7)


@pytest.mark.parametrize("case", ["nested", "moderator", "crossed", "outcomes"])
def test_dense_matrices_say_the_same(case: str) -> None:
    plain, fit = fitted(case, weights=None).fit, fitted(case).fit
    model = working_model(fit)
    M = model.covariance(np.arange(fit.k)[None])[0]
    WX = np.asarray(model.weights)[:, None] * model.x
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
