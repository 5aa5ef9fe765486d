"""Covariances of dependent effects and their aggregates against metafor's vcalc and aggregate."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import replication as tsr
from replication.effects import ComparedGroups, aggregate, dependent_blocks
from replication.errors import UserError
from tests.tolerances import CLOSED, assert_close


@cache
def pinned() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "metafor" / "dependence.json").read_text(encoding="utf-8"))


def blocks(name: str) -> Any:
    d, g = pinned()["data"], pinned()["compared"]
    compared = ComparedGroups(g["first"], g["second"], g["n1"], g["n2"])
    calls = {
        "rho": lambda: dependent_blocks(d["v"], d["cluster"], rho=0.6),
        "kinds": lambda: dependent_blocks(d["v"], d["cluster"], rho=0.6, kind=d["kind"], rho_other=0.4),
        "time": lambda: dependent_blocks(d["v"], d["cluster"], rho=0.7, time=d["time"], phi=0.8),
        "groups": lambda: dependent_blocks(g["v"], g["cluster"], groups=compared),
    }
    return calls[name]()


@pytest.mark.parametrize("name", ["rho", "kinds", "time", "groups"])
def test_covariances(name: str) -> None:
    assert_close(blocks(name).dense(), pinned()["V"][name], CLOSED)


@pytest.mark.parametrize("name", ["best", "plain"])
def test_aggregates(name: str) -> None:
    d, pin = pinned()["data"], pinned()[name]
    found = aggregate(d["y"], blocks("rho"), d["cluster"], weighted=name == "best")
    assert_close(found.estimate, pin["y"], CLOSED)
    assert_close(found.variance, pin["v"], CLOSED)
    assert found.count.tolist() == [4, 3] and found.labels == (1, 2)


def test_the_front_door_reads_columns_and_keeps_what_is_constant() -> None:
    import pandas as pd

    data = pd.DataFrame(pinned()["data"]).rename(columns={"y": "yi", "v": "vi"}).assign(country=["no"] * 4 + ["se"] * 3)
    V = tsr.covariance(data, "cluster", rho=0.6, kind="kind", rho_other=0.4)
    assert_close(V.dense(), pinned()["V"]["kinds"], CLOSED)
    table = tsr.aggregate(data, "cluster", rho=0.6)
    assert_close(table.yi, pinned()["best"]["y"], CLOSED)
    assert table.columns.tolist() == ["cluster", "yi", "vi", "effects", "country"]
    model = tsr.multilevel("yi ~ 1", data, clusters="cluster", V=V)
    assert model.fit.k == 7


def test_parts_that_make_no_covariance_matrix_are_refused() -> None:
    with pytest.raises(UserError, match="cluster 's': these correlations are no covariance matrix"):
        dependent_blocks([0.1] * 4, ["s"] * 4, rho=0.0, kind=["a", "a", "b", "b"], rho_other=0.9)
    with pytest.raises(UserError, match="phi=None: give the correlation"):
        dependent_blocks([0.1] * 2, ["s"] * 2, time=[1, 2])
    with pytest.raises(UserError, match="correlated by 1"):
        aggregate([0.1, 0.2], dependent_blocks([0.1, 0.1], ["s", "s"]), ["s", "s"])
    assert np.allclose(
        aggregate([0.1, 0.3], dependent_blocks([0.1] * 2, ["s"] * 2), ["s"] * 2, weighted=False).estimate, 0.2
    )
