"""Results read as lines: the estimate is there, what is large is counted, and nothing prints its insides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import replication as tsr
from replication.frames.plots import forest_plot
from replication.models.two_level.influence import influence

N = 30
EFFECTS = pd.DataFrame(
    {
        "yi": np.random.default_rng(3).normal(0.3, 0.2, N),
        "vi": np.linspace(0.01, 0.05, N),
        "study": np.repeat(np.arange(N // 2), 2),
        "outcome": ["a", "b"] * (N // 2),
    }
)
PATHS = pd.DataFrame(
    [
        (study, one, two, r, 90 + study)
        for study, shift in enumerate((0.0, 0.05, -0.04, 0.1))
        for one, two, r in (("x", "m", 0.3 + shift), ("x", "y", 0.2 + shift), ("m", "y", 0.4 - shift))
    ],
    columns=["study", "var1", "var2", "r", "n"],
)

RESULTS: dict[str, tuple[Callable[[], object], str]] = {
    "fit": (lambda: tsr.random_effects("yi", EFFECTS).fit, "intercept"),
    "multivariate": (lambda: _two_outcomes().fit, "rho[a, b]"),
    "step": (lambda: tsr.step_selection(EFFECTS), "p in (0.025, 1]"),
    "beta": (lambda: tsr.beta_selection(EFFECTS), "delta2"),
    "trim": (lambda: tsr.trim_fill(EFFECTS), "k0"),
    "pet": (lambda: tsr.pet_peese(EFFECTS), "chosen"),
    "curve": (lambda: tsr.p_curve(EFFECTS), "right_skew"),
    "waap": (lambda: tsr.waap(EFFECTS), "powered"),
    "excess": (lambda: tsr.excess_significance(EFFECTS), f"{N} values"),
    "influence": (lambda: influence(tsr.random_effects("yi", EFFECTS).fit), f"{N} values"),
    "posterior": (lambda: tsr.posterior("yi", EFFECTS).exact, "names"),
    "average": (lambda: tsr.average_over_bias(EFFECTS[:8]), "publication_weights"),
    "path": (lambda: tsr.masem("m ~ a*x; y ~ b*m; indirect := a*b", PATHS).fitted, "indirect"),
    "pool": (lambda: tsr.masem("m ~ x; y ~ m", PATHS).pool, "variance of x~~m"),
}


def _two_outcomes() -> tsr.FittedModel:
    return tsr.multivariate("yi ~ 0 + outcome", EFFECTS, outcome="outcome", study="study")


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_prints_its_numbers_and_not_its_insides(name: str) -> None:
    make, expected = RESULTS[name]
    text = repr(make())
    assert expected in text and "array(" not in text and "object at" not in text
    assert len(text.splitlines()) <= 60 and max(map(len, text.splitlines())) <= 400


def test_a_correlation_of_outcomes_is_no_variance() -> None:
    model = _two_outcomes()
    table = model.components().set_index("component")
    rho = model.fit.component("rho[a, b]")
    assert table.correlation["rho[a, b]"] == rho.estimate and np.isnan(table.variance["rho[a, b]"])
    assert np.isnan(table.sd["rho[a, b]"]) and table.variance.drop("rho[a, b]").notna().all()
    assert (
        "Correlation of true effects" in str(model.summary())
        and "correlation" not in tsr.random_effects("yi", EFFECTS).components()
    )


def test_figures_weigh_effects_by_the_variance_of_their_own_row() -> None:
    varied = tsr.location_scale("yi ~ 1", "~ vi", EFFECTS)
    weights = np.array(forest_plot(varied.mean).data.columns["weight"])
    expected = 1.0 / (EFFECTS.vi + varied.tau2).to_numpy()
    np.testing.assert_allclose(weights, 100.0 * expected / expected.sum(), rtol=1e-12)


def test_a_path_model_counts_studies_and_not_correlations() -> None:
    for stages in (1, 2):
        model = tsr.masem("m ~ x; y ~ m", PATHS, stages=stages)
        assert model.studies == model.glance().k[0] == 4 and "Path model of 4 studies" in repr(model)


def test_a_slope_of_fishers_z_has_no_tanh() -> None:
    model = tsr.random_effects("yi ~ vi", EFFECTS)
    after = str(model.summary(np.tanh)).partition("after tanh")[2].partition("Choices")[0]
    assert "intercept" in after and "vi" not in after
    assert str(model.summary(np.exp)).partition("after exp")[2].count("vi") == 1
    groups = tsr.random_effects("yi ~ 0 + outcome", EFFECTS)
    assert str(groups.summary(np.tanh)).partition("after tanh")[2].count("outcome") == 2
    assert r"vi &" in model.to_latex(np.tanh)


def test_a_result_with_an_estimate_is_one_row_whatever_it_lists() -> None:
    filled = tsr.trim_fill(EFFECTS)
    row = tsr.tidy(filled).iloc[0]
    assert row.k0 == filled.k0 and row.estimate == filled.fit.beta[0] and row.ci_high == filled.fit.interval()[0, 1]
    powered = tsr.waap(EFFECTS)
    assert tsr.tidy(powered).estimate.tolist() == [powered.estimate]
    curve = tsr.p_curve(EFFECTS)
    assert tsr.tidy(curve).right_skew_half_z.tolist() == [curve.right_skew.half_z]
    assert tsr.tidy(tsr.excess_significance(EFFECTS)).observed.tolist() == [tsr.excess_significance(EFFECTS).observed]
    assert len(tsr.tidy(influence(tsr.random_effects("yi", EFFECTS).fit))) == N


def test_a_variance_that_is_not_defined_keeps_its_line() -> None:
    model = tsr.multilevel("yi ~ 0 + C(study)", EFFECTS[:8], clusters="study")
    assert np.isnan(model.fit.component("study").estimate)
    variances = str(model.summary()).partition("Variance between true effects")[2].partition("Heterogeneity")[0]
    assert [line.split()[:4] for line in variances.splitlines()[2:3]] == [["study", "-", "-", "-"]]
