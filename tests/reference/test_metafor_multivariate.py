"""Several outcomes at once against converged metafor: Berkey's two outcomes, repeated occasions, a phylogeny."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replication.models.criteria import information_criteria, likelihood_ratio
from replication.models.fit import Fit
from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.multilevel.multivariate import KnownCorrelation, fit_multivariate
from replication.models.multilevel.robust import robust
from tests.tolerances import OPTIMISED, SAME, Tolerance, assert_close

BERKEY = {f"{s} {m}" for s in ("UN", "CS", "HCS", "DIAG", "ID") for m in ("ML", "REML")}
OCCASIONS = {"AR", "HAR", "CAR", "CS", "UN"}
# Where the likelihood is flat, optim leaves half of the digits of variances and correlations (UN, ten of them).
FLAT = Tolerance(1e-5, 1e-5, "metafor's optimiser stops at a log-likelihood 1e-10 below ours", 6e-6)


@cache
def pinned() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "metafor" / "multivariate.json").read_text(encoding="utf-8"))


def berkey(structure: str = "UN", method: str = "REML", x: np.ndarray | None = None) -> Fit:
    b = pinned()["berkey"]
    means = np.array([[name == "AL", name == "PD"] for name in b["outcome"]], dtype=float)
    return fit_multivariate(
        b["y"], b["V"], b["outcome"], b["study"], means if x is None else x, structure=structure, method=method
    )


def compare(fit: Fit, pin: dict[str, Any], tolerance: Tolerance, order: tuple[str, ...] = ()) -> None:
    assert fit.notes == ()
    assert_close(fit.beta, np.ravel(pin["beta"]), tolerance)
    assert_close(fit.se, np.ravel(pin["se"]), tolerance)
    assert -1e-9 < fit.loglik - pin["loglik"] < 1e-9
    variances = {c.name: c.estimate for c in fit.components if c.name.startswith("tau2")}
    found = [variances[f"tau2[{name}]"] for name in order] if len(variances) > 1 else list(variances.values())
    assert_close(found, np.ravel(pin["tau2"]), FLAT)


def test_no_case_has_gone_missing() -> None:
    assert set(pinned()["berkey"]["fits"]) == BERKEY
    assert set(pinned()["occasions"]["fits"]) == OCCASIONS


@pytest.mark.parametrize("tag", sorted(BERKEY))
def test_two_outcomes_with_known_covariances(tag: str) -> None:
    pin, (structure, method) = pinned()["berkey"]["fits"][tag], tag.split()
    fit = berkey(structure, method)
    compare(fit, pin, OPTIMISED, ("AL", "PD"))
    assert fit.heterogeneity is not None
    assert_close([fit.heterogeneity.Q, fit.heterogeneity.p], [pin["Q"], pin["Qp"]], SAME)
    rho = [c.estimate for c in fit.components if c.name.startswith("rho")]
    if rho:
        assert_close(rho, np.ravel(pin["rho"]), FLAT)


def test_two_outcomes_with_a_moderator_of_each() -> None:
    b = pinned()["berkey"]
    means = np.array([[name == "AL", name == "PD"] for name in b["outcome"]], dtype=float)
    year = np.array(b["year"], dtype=float)[:, None] - 1983.0
    compare(berkey("UN", "ML", np.hstack([means, means * year])), b["slope"], OPTIMISED, ("AL", "PD"))


@pytest.mark.parametrize("structure", sorted(OCCASIONS))
def test_repeated_occasions(structure: str) -> None:
    o = pinned()["occasions"]
    occasion = o["time"] if structure == "CAR" else o["position"]
    fit = fit_multivariate(o["y"], o["v"], occasion, o["study"], structure=structure)
    compare(fit, o["fits"][structure], FLAT if structure == "UN" else OPTIMISED, ("1", "2", "3", "4"))


def test_known_correlations_of_species() -> None:
    s = pinned()["species"]
    R = KnownCorrelation(tuple("abcdefgh"), np.array(s["R"]))
    fit = fit_multivariate(
        s["y"], s["v"], ["one"] * 24, range(24), structure="ID", levels={"species": s["species"]}, known={"species": R}
    )
    assert_close(fit.beta, np.ravel(s["fit"]["beta"]), OPTIMISED)
    assert_close([c.estimate for c in fit.components], s["fit"]["sigma2"], FLAT)
    assert fit.loglik == pytest.approx(s["fit"]["loglik"], abs=1e-9)


def test_compound_symmetry_is_the_three_level_model() -> None:
    """tau2 rho is the variance between studies, tau2 (1 - rho) that within: another engine of our own."""
    o = pinned()["occasions"]
    fit = fit_multivariate(o["y"], o["v"], o["position"], o["study"], structure="CS")
    nested = fit_multilevel(o["y"], o["v"], {"study": o["study"]})
    tau2, rho = (c.estimate for c in fit.components)
    assert_close([tau2 * rho, tau2 * (1 - rho)], [c.estimate for c in nested.components], OPTIMISED)
    assert fit.loglik == pytest.approx(nested.loglik, abs=1e-10)
    assert_close(robust(fit).se, robust(nested).se, OPTIMISED)
    assert_close(robust(fit).df, robust(nested).df, OPTIMISED)


def test_structures_within_each_other_have_a_likelihood_ratio() -> None:
    test = likelihood_ratio(berkey("CS"), berkey("UN"))
    assert test.df == 1 and test.statistic == pytest.approx(2 * (berkey("UN").loglik - berkey("CS").loglik))
    assert information_criteria(berkey("UN")).parameters == 5
