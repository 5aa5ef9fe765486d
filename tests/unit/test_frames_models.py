"""The layer of data frames and formulas: names, intercepts, missing rows and labels survive to every result."""

from __future__ import annotations

from types import SimpleNamespace
from typing import get_args

import numpy as np
import pandas as pd
import pytest

import replication as tsr
from replication.errors import ModelError
from replication.frames import design
from replication.frames.fitted import _averaged_table
from replication.models.bayes.averaging.averaging import AveragedEstimate, AveragedSummary, Inclusion
from replication.models.fit import Interval
from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.multilevel.results import profile_intervals
from replication.models.multilevel.structure import BlockV
from replication.models.options import Tau2Method
from replication.models.two_level.random_effects import fit_random_effects


@pytest.fixture
def studies() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    k = 24
    return pd.DataFrame(
        {
            "yi": rng.normal(0.3, 0.2, k),
            "vi": rng.uniform(0.01, 0.05, k),
            "age": rng.uniform(6, 16, k),
            "country": ["no", "se", "tr"] * 8,
            "lab": np.repeat(np.arange(12), 2),
            "author": [f"Author {i}" for i in range(k)],
        }
    )


def test_a_formula_is_the_same_model_as_its_design(studies: pd.DataFrame) -> None:
    found = tsr.random_effects("yi ~ age + C(country)", studies, labels="author")
    dummies = [(studies.country == name).to_numpy(dtype=float) for name in ("se", "tr")]
    x = np.column_stack([np.ones(24), studies.age, *dummies])
    direct = fit_random_effects(studies.yi, studies.vi, x)
    np.testing.assert_array_equal(found.fit.beta, direct.beta)
    np.testing.assert_array_equal(found.fit.vcov, direct.vcov)
    assert found.fit.names == ("intercept", "age", "C(country)[T.se]", "C(country)[T.tr]")
    assert found.labels == tuple(studies.author)


@pytest.mark.parametrize(
    "rhs", ["1", "age", "0 + lab", "age * lab", "lab:age - 1", "age + `at school`", "sure", "age + sure"]
)
def test_plain_numbers_are_designed_as_formulaic_codes_them(
    rhs: str, studies: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = studies.assign(**{"at school": np.arange(24), "sure": studies.lab > 5})
    data.loc[3, "age"] = np.nan
    quick = design.make_design(f"yi ~ {rhs}", data)
    monkeypatch.setattr(design, "_plain_numbers", lambda rhs, data: None)
    coded = design.make_design(f"yi ~ {rhs}", data)
    np.testing.assert_array_equal(quick.x, coded.x)
    assert (quick.names, quick.terms, quick.dropped) == (coded.names, coded.terms, coded.dropped)
    np.testing.assert_array_equal(design.new_rows(quick, data[4:9]), design.new_rows(coded, data[4:9]))


def test_the_intercept_is_what_the_formula_says(studies: pd.DataFrame) -> None:
    assert tsr.random_effects("yi ~ age", studies).fit.names == ("intercept", "age")
    without = tsr.random_effects("yi ~ 0 + age", studies)
    assert without.fit.names == ("age",)
    assert "without an intercept, as the formula says" in str(without.summary())
    assert without.has_moderators and not tsr.random_effects("yi", studies).has_moderators


def test_rows_without_a_value_are_listed_with_what_they_lack(studies: pd.DataFrame) -> None:
    studies.loc[3, "age"] = np.nan
    studies.loc[7, ["age", "vi"]] = np.nan
    studies.loc[9, "country"] = None
    found = tsr.random_effects("yi ~ age + country", studies, labels="author")
    assert found.dropped().to_numpy().tolist() == [
        [3, "Author 3", "age"],
        [7, "Author 7", "age, vi"],
        [9, "Author 9", "country"],
    ]
    assert found.rows == tuple(i for i in range(24) if i not in (3, 7, 9))
    assert "Author 7 (row 7): no age, vi" in str(found.summary())
    assert "rows 3, 7 and 9" in found.methods_text()
    whole = tsr.random_effects("yi ~ age + country", studies.dropna())
    np.testing.assert_array_equal(found.fit.beta, whole.fit.beta)


def test_a_number_the_formula_cannot_give_is_a_dropped_row(studies: pd.DataFrame) -> None:
    studies.loc[2, "age"] = -1.0
    found = tsr.random_effects("yi ~ np.log(age)", studies)
    assert found.dropped().to_numpy().tolist() == [[2, "row 2", "a number for np.log(age)"]]
    assert found.fit.k == 23


def test_multilevel_reads_columns_and_assumes_rho_within_the_innermost_cluster(studies: pd.DataFrame) -> None:
    studies.loc[5, "vi"] = np.nan
    found = tsr.multilevel("yi ~ age", studies, clusters="lab", rho=0.6)
    kept = studies.drop(index=5)
    V = BlockV.constant_correlation(kept.vi, kept.lab, 0.6)
    x = np.column_stack([np.ones(23), kept.age])
    direct = fit_multilevel(kept.yi, V, {"lab": kept.lab}, x)
    np.testing.assert_allclose(found.fit.beta, direct.beta, rtol=1e-12)
    robust = tsr.robust(found)
    assert robust.fit.method["vcov"] == "CR2" and robust.fit.clusters == 12
    assert "cluster-robust (CR2" in robust.methods_text()
    assert "12 clusters" in str(robust.summary())
    assert tsr.leave_one_out(robust).without.nunique() == 12


def test_predict_codes_new_rows_like_the_data(studies: pd.DataFrame) -> None:
    model = tsr.random_effects("yi ~ poly(age, 2) + country", studies)
    at_rows = tsr.predict(model)
    again = tsr.predict(model, studies)
    np.testing.assert_allclose(at_rows.fit, again.fit, rtol=1e-12)
    few = tsr.predict(model, studies.iloc[[4, 2]], transform=np.tanh)
    np.testing.assert_allclose(np.arctanh(few.fit), again.fit.iloc[[4, 2]], rtol=1e-12)
    with pytest.raises(ModelError, match="country 'xx' is not in the data of the fit, which have no, se, tr"):
        tsr.predict(model, pd.DataFrame({"age": [10.0], "country": ["xx"]}))
    with pytest.raises(ModelError, match="newdata: no column 'country'"):
        tsr.predict(model, pd.DataFrame({"age": [10.0]}))


def test_without_moderators_there_is_one_mean_to_predict(studies: pd.DataFrame) -> None:
    model = tsr.random_effects("yi ~ 1", studies)
    (row,) = tsr.predict(model).to_dict("records")
    low, high = model.fit.interval()[0]
    assert [row["fit"], row["ci_low"], row["ci_high"]] == pytest.approx([model.fit.beta[0], low, high], rel=1e-12)
    # who passes rows gets as many
    assert tsr.predict(model, studies.iloc[:3]).shape == (3, 7)


def test_marginal_means_are_means_of_predictions(studies: pd.DataFrame) -> None:
    studies["grade"] = ["low", "high"] * 12
    model = tsr.random_effects("yi ~ age + country + grade", studies)
    found = tsr.marginal_means(model, "country")
    for row in found.to_dict("records"):
        cells = pd.DataFrame({"age": studies.age.mean(), "country": row["country"], "grade": ["low", "high"]})
        assert row["estimate"] == pytest.approx(tsr.predict(model, cells).fit.mean(), rel=1e-12)
    pairs = tsr.pairwise(model, "country")
    assert pairs.contrast.tolist() == ["se - no", "tr - no", "tr - se"]
    direct = model.tidy().set_index("term")
    assert pairs.loc[0, "estimate"] == pytest.approx(direct.loc["country[T.se]", "estimate"], rel=1e-10)
    assert pairs.loc[0, "p"] == pytest.approx(direct.loc["country[T.se]", "p"], rel=1e-9)
    assert (pairs.p_adjusted >= pairs.p).all()
    both = tsr.joint_test(model, "country")
    assert both.df1.item() == 2
    assert both.statistic.item() == pytest.approx(
        tsr.joint_test(model, ["country[T.se]", "country[T.tr]"]).statistic.item(), rel=1e-12
    )


def test_proportional_weights_count_the_levels_of_the_data(studies: pd.DataFrame) -> None:
    studies["grade"] = ["low"] * 18 + ["high"] * 6
    model = tsr.random_effects("yi ~ country + grade", studies)
    share = tsr.marginal_means(model, "country", weights="proportional")
    cells = pd.DataFrame({"country": "no", "grade": ["low", "high"]})
    low, high = tsr.predict(model, cells).fit
    assert share.loc[0, "estimate"] == pytest.approx(0.75 * low + 0.25 * high, rel=1e-12)


def test_comparison_refuses_what_reml_cannot_compare(studies: pd.DataFrame) -> None:
    mean, age = (tsr.random_effects(f, studies) for f in ("yi ~ 1", "yi ~ age"))
    for call in (lambda: tsr.compare(mean=mean, age=age), lambda: tsr.likelihood_ratio_test(mean, age)):
        with pytest.raises(ModelError, match="restricted likelihoods of different designs cannot be compared"):
            call()
    small, large = (tsr.random_effects(f, studies, method="ML") for f in ("yi ~ 1", "yi ~ age"))
    table = tsr.compare(mean=small, age=large)
    test = tsr.likelihood_ratio_test(small, large)
    assert test.statistic.item() == pytest.approx(2 * (table.loglik[1] - table.loglik[0]), rel=1e-12)
    assert table.weight.sum() == pytest.approx(1.0)
    assert tsr.compare(small, large, large).model.tolist() == ["yi ~ 1", "yi ~ age", "yi ~ age (2)"]
    with pytest.raises(ModelError, match="a Fit is no fitted model"):
        tsr.compare(small, large.fit)
    with pytest.raises(ModelError, match="not part of the second"):
        tsr.likelihood_ratio_test(large, small)


def test_averaged_coefficients_shrink_towards_absence(studies: pd.DataFrame) -> None:
    models = {f: tsr.random_effects(f, studies, method="ML") for f in ("yi ~ 1", "yi ~ age")}
    averaged = tsr.average_models(mean=models["yi ~ 1"], age=models["yi ~ age"]).set_index("term")
    weight = tsr.compare(mean=models["yi ~ 1"], age=models["yi ~ age"]).weight[1]
    assert averaged.loc["age", "estimate"] == pytest.approx(weight * models["yi ~ age"].fit.beta[1])
    assert averaged.loc["age", "importance"] == pytest.approx(weight)
    assert averaged.loc["intercept", "importance"] == pytest.approx(1.0)


BAD = {
    "yi ~ agee": "no column 'agee'; did you mean 'age'",
    "y ~ age": "no column 'y'; did you mean 'yi'",
    "yi ~ age +": "cannot be read",
    "yi ~ age ~ 1": "has two ~",
    "yi ~ np.nothing(age)": "cannot be computed",
}


@pytest.mark.parametrize("formula", BAD)
def test_a_bad_formula_says_what_is_wrong_in_one_line(formula: str, studies: pd.DataFrame) -> None:
    with pytest.raises(ModelError, match=BAD[formula]) as caught:
        tsr.random_effects(formula, studies)
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)


def test_text_in_a_column_of_effects_is_named_with_its_row(studies: pd.DataFrame) -> None:
    text = studies.assign(yi=studies.yi.astype(object))
    text.loc[4, "yi"] = "n.s."
    with pytest.raises(ModelError, match=r"column 'yi', row 4: 'n.s.' is not a number"):
        tsr.random_effects("yi ~ 1", text)


def test_moderators_that_are_numbers_held_as_text_are_no_categories(studies: pd.DataFrame) -> None:
    text = studies.age.round(1).astype(str)
    with pytest.raises(ModelError, match=r"column 'age', numbers held as text.*write C\(age\)"):
        tsr.random_effects("yi ~ age", studies.assign(age=text))
    with pytest.raises(ModelError, match=r"column 'age', row 3: 'n/a' is not a number"):
        tsr.random_effects("yi ~ age + C(country)", studies.assign(age=text.where(studies.index != 3, "n/a")))
    grades = studies.assign(grade=["1", "2", "3"] * 8)
    meant = tsr.random_effects("yi ~ C(grade)", grades)
    assert meant.fit.names == ("intercept", "C(grade)[T.2]", "C(grade)[T.3]")
    as_category = tsr.random_effects("yi ~ grade", grades.astype({"grade": "category"}))
    np.testing.assert_array_equal(as_category.fit.beta, meant.fit.beta)
    # Names of which a few happen to be numbers stay names.
    assert len(tsr.random_effects("yi ~ site", grades.assign(site=["1", "north", "south"] * 8)).fit.names) == 3


def test_effect_sizes_names_columns_and_measures(studies: pd.DataFrame) -> None:
    data = pd.DataFrame({"r": [0.3, np.nan], "n": [50, 80], "note": ["x", "y"]})
    found = tsr.effect_sizes(data, "ZCOR", r="r", n="n")
    assert found.columns.tolist() == ["r", "n", "note", "yi", "vi"]
    assert found.vi[0] == 1 / 47 and np.isnan(found.yi[1])
    assert tsr.effect_sizes(data, "r", r="r", n="n").equals(found)
    with pytest.raises(ModelError, match="measure='ZCORR' is not known; did you mean 'ZCOR'"):
        tsr.effect_sizes(data, "ZCORR", r="r", n="n")
    with pytest.raises(ModelError, match=r"ZCOR .* needs r, n; pass n"):
        tsr.effect_sizes(data, "ZCOR", r="r")
    with pytest.raises(ModelError, match="does not use t"):
        tsr.effect_sizes(data, "ZCOR", r="r", n="n", t="r")
    zero = pd.DataFrame({"a": [0, 5], "b": [20, 15], "c": [3, 4], "d": [17, 16]})
    flagged = tsr.effect_sizes(zero, "OR", a="a", b="b", c="c", d="d")
    assert "row 0" in flagged.loc[0, "remarks"] and flagged.loc[1, "remarks"] == ""
    assert tsr.measures().measure.is_unique


def test_tables_and_texts_hold_the_numbers_of_the_fit(studies: pd.DataFrame) -> None:
    model = tsr.random_effects("yi ~ age", studies, labels="author")
    tidy = model.tidy()
    np.testing.assert_array_equal(tidy.estimate, model.fit.beta)
    glance = model.glance().iloc[0]
    assert glance.tau2 == model.fit.component("tau2").estimate and glance.k == 24
    assert model.augment().label.tolist() == list(studies.author)
    np.testing.assert_allclose(model.augment().residual, studies.yi - model.augment().fitted, rtol=1e-12)
    text = str(model.summary(np.tanh))
    for number in (f"{model.fit.beta[1]:.4f}", f"{model.fit.se[0]:.4f}", "after tanh", "F(1, 22)"):
        assert number in text
    assert model.to_latex().count(r"\\") == 2 + 1 + 5 and r"\toprule" in model.to_latex()
    assert "<table>" in model._repr_html_() and repr(model) == str(model.summary())
    assert "restricted maximum likelihood" in model.methods_text() and "Knapp and Hartung" in model.methods_text()


@pytest.mark.parametrize("method", [method for method in get_args(Tau2Method) if method != "EE"])
def test_every_estimator_of_tau2_has_its_name_in_the_methods_paragraph(studies: pd.DataFrame, method: str) -> None:
    model = tsr.random_effects("yi ~ 1", studies, method=method, weights="vi" if method == "GENQ" else None)
    assert f"was estimated by {method}" not in model.methods_text()


def test_html_and_latex_escape_what_a_column_is_called(studies: pd.DataFrame) -> None:
    data = studies.rename(columns={"age": "a_b"})
    model = tsr.random_effects("yi ~ a_b", data)
    assert r"a\_b" in model.to_latex()
    odd = tsr.random_effects("yi ~ Q('<b>')", studies.rename(columns={"age": "<b>"}))
    assert "<b>" not in odd._repr_html_().replace("<body>", "")


def test_bias_methods_take_models_and_frames_alike(studies: pd.DataFrame) -> None:
    model = tsr.random_effects("yi ~ 1", studies)
    assert tsr.egger_test(model).p == tsr.egger_test(studies).p
    table = tsr.bias_table(model)
    assert table.method.is_unique and table.estimate.notna().all()
    nested = tsr.multilevel("yi ~ 1", studies, clusters="lab")
    with pytest.raises(ModelError, match="rank_test takes rows for independent studies"):
        tsr.rank_test(nested)
    assert tsr.egger_test(nested).p != tsr.egger_test(model).p
    with pytest.raises(ModelError, match=r"has moderators .intercept, age."):
        tsr.pet_peese(tsr.random_effects("yi ~ age", studies))
    with pytest.raises(ModelError, match="kind='Cohen' is not known"):
        tsr.fail_safe_n(model, "Cohen")


def test_exact_posteriors_by_formula(studies: pd.DataFrame) -> None:
    found = tsr.posterior("yi ~ 1", studies, labels="author")
    table = found.tidy().set_index("term")
    assert table.index.tolist() == ["tau", "intercept", "prediction"]
    assert found.predict()["mean"].item() == pytest.approx(table.loc["intercept", "mean"], rel=1e-6)
    assert found.effects().label.tolist() == list(studies.author)
    assert set(found.priors().quantity) == {"tau", "intercept"}
    three = tsr.posterior("yi ~ age", studies, clusters="lab", rho=0.6)
    assert three.tidy().term.tolist() == ["between", "within", "intercept", "age"]
    with pytest.raises(ModelError, match="pass between and within instead of tau"):
        from replication.models.bayes.priors import HalfNormal

        tsr.posterior("yi ~ 1", studies, clusters="lab", tau=HalfNormal(0.2))


def test_an_average_over_models_of_bias_is_a_table() -> None:
    """On a summary made up here: an average takes seconds, and the page on bias shows a real one."""
    interval = Interval(0.0, 0.2, 0.95, "central")
    shown = AveragedSummary(
        5, 5, "positive", {}, (), (Inclusion("effect", 0.5, 0.64, 0.25),),
        (AveragedEstimate("effect", 0.07, 0.06, 0.08, interval, 0.36),), 1e-4, (),
    )  # fmt: skip
    table = _averaged_table(SimpleNamespace(summary=lambda: shown))  # type: ignore[arg-type]
    average, component = table.to_dict("records")
    assert [average[n] for n in ("part", "term", "mean", "median", "ci_high")] == ["average", "effect", 0.07, 0.08, 0.2]
    assert [component[n] for n in ("part", "prior", "posterior", "log10_bf")] == ["inclusion", 0.5, 0.64, 0.25]


def test_path_models_from_a_long_table() -> None:
    rows = [
        (s, 80 + 10 * s, a, b, r + 0.02 * s)
        for s in range(4)
        for a, b, r in (("x", "m", 0.3), ("m", "y", 0.4), ("x", "y", 0.2))
    ]
    table = pd.DataFrame(rows, columns=["study", "n", "var1", "var2", "r"])
    model = tsr.masem("y ~ b*m + c*x; m ~ a*x; ind := a*b", table, effects="fixed")
    tidy = model.tidy().set_index("term")
    assert tidy.loc["ind", "estimate"] == pytest.approx(tidy.loc["a", "estimate"] * tidy.loc["b", "estimate"])
    assert model.pooled().pair.tolist() == ["x~~m", "x~~y", "m~~y"]
    assert {"rmsea", "srmr"} <= set(model.glance())
    with pytest.raises(ModelError, match="moderators of paths need the one-stage model"):
        tsr.masem("y ~ x", table, moderators={"ses": "all"})


def test_the_dataset_opens_and_an_unknown_folder_is_said(tmp_path: object) -> None:
    assert len(tsr.load_dataset().tables["effects.csv"]) > 500
    with pytest.raises(tsr.UserError, match="there is no folder"):
        tsr.load_dataset(f"{tmp_path}/none")


def test_a_data_frame_given_to_the_array_functions_keeps_its_names_and_says_what_it_lacks(
    studies: pd.DataFrame,
) -> None:
    """Once it lost its column names and got no intercept without a word: p was .0005 where it should be .30."""
    alone = fit_random_effects(studies.yi, studies.vi, studies[["age"]])
    assert alone.names == ("age",)
    note = next(note for note in alone.notes if note.code == "no-intercept")
    assert "no intercept: only age" in note.message
    whole = fit_random_effects(studies.yi, studies.vi, studies[["age"]].assign(one=1.0))
    assert whole.names == ("age", "one") and "no-intercept" not in [n.code for n in whole.notes]
    dummies = pd.get_dummies(studies.country, dtype=float)
    assert "no-intercept" not in [n.code for n in fit_random_effects(studies.yi, studies.vi, dummies).notes]
    nested = fit_multilevel(studies.yi, studies.vi, {"lab": studies.lab}, studies[["age"]])
    assert nested.names == ("age",) and "no-intercept" in [n.code for n in nested.notes]


def test_an_analysis_runs_from_python(monkeypatch: pytest.MonkeyPatch) -> None:
    from replication import paths

    outcome = tsr.run_analyses("roorda2017")["roorda2017"]
    assert outcome.checks and outcome.estimates
    with pytest.raises(tsr.UserError, match='no analysis "roorda2071": did you mean'):
        tsr.run_analyses("roorda2071")
    monkeypatch.setattr(paths, "analyses_dir", lambda: paths.project_root() / "no-such-folder")
    with pytest.raises(tsr.UserError, match="pass data= with a project"):
        tsr.run_analyses("roorda2017")


def test_models_with_levels_have_diagnostics_of_rows_and_of_clusters(studies: pd.DataFrame) -> None:
    model = tsr.robust(tsr.multilevel("yi ~ age", studies, clusters="lab", rho=0.6))
    rows = model.augment()
    assert rows.hat.sum() == pytest.approx(2.0) and rows.standardised.std() == pytest.approx(1.0, abs=0.4)
    clusters = tsr.influence(model)
    assert len(clusters) == 12 and {"cook", "influential", "change age"} <= set(clusters)


def test_variances_have_intervals_where_asked_robust_or_not(studies: pd.DataFrame) -> None:
    model = tsr.multilevel("yi ~ 1", studies, clusters="lab")
    expected = [part.interval for part in profile_intervals(model.fit).components]
    for shown in (model, tsr.robust(model)):
        table = shown.components(intervals=True)
        assert table.ci_high.tolist() == [interval.high for interval in expected if interval]
        assert (table.ci_low <= table.variance).all() and (table.variance < table.ci_high).all()
        assert shown.components().ci_high.isna().all()
    two = tsr.random_effects("yi ~ 1", studies)
    assert tsr.robust(two, "lab").components(intervals=True).equals(two.components(intervals=True))


def test_location_scale_and_resampling_by_formula(studies: pd.DataFrame) -> None:
    found = tsr.location_scale("yi ~ age", "~ age", studies)
    assert found.tidy().part.tolist() == ["mean", "mean", "log tau2", "log tau2"]
    assert len(found.tau2) == 24 and "scale: yi ~ age" in repr(found)
    model = tsr.random_effects("yi ~ age", studies)
    test = tsr.permutation_test(model, draws=500)
    assert test.term.tolist() == ["intercept", "age", "omnibus"] and not test.exact.any()
    assert test.p[1] == test.p[2]
    interval = tsr.bootstrap(model, clusters="lab", draws=500).set_index("term")
    assert (interval.ci_low < interval.ci_high).all() and "tau2" in interval.index


def test_wrong_words_and_columns_are_answered_with_the_nearest(studies: pd.DataFrame) -> None:
    model = tsr.random_effects("yi ~ age", studies)
    said = {
        "method='REMl' is not known; did you mean 'REML'": lambda: tsr.random_effects("yi ~ 1", studies, method="REMl"),
        "clusters: no column 'labb'; did you mean 'lab'": lambda: tsr.multilevel("yi ~ 1", studies, clusters="labb"),
        "outcome: no column 'scale'": lambda: tsr.multivariate("yi ~ 1", studies, outcome="scale", study="lab"),
        "v: no column 'v'": lambda: tsr.random_effects("yi ~ 1", studies, v="v"),
        "v has 3 values but the data 24 rows": lambda: tsr.random_effects("yi ~ 1", studies, v=[0.1, 0.2, 0.3]),
        "data is a numpy ndarray": lambda: tsr.random_effects("yi ~ 1", studies.to_numpy()),
        "formula is a Series": lambda: tsr.random_effects(studies.yi, studies),
        "'ag' is no term": lambda: tsr.joint_test(model, "ag"),
        "a str is no fitted model": lambda: tsr.forest_plot("model"),
        "compare needs two models": lambda: tsr.compare(model),
    }
    for message, call in said.items():
        with pytest.raises(tsr.UserError, match=message):
            call()
