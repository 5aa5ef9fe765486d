"""Where rows become effect sizes: what is refused, and what a pool must carry."""

import numpy as np
import pandas as pd
import pytest

from replication.dataset import Dataset, Selection, select
from replication.errors import DataError
from replication.evidence.pooling import effect_sizes, estimate_r, forest, pool
from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.prediction import prediction_interval


def rows(**columns: list) -> Selection:
    size = len(next(iter(columns.values())))
    base = {
        "effect_id": [f"e{i}" for i in range(size)],
        "sample_id": [f"s{i}" for i in range(size)],
        "unit": ["student"] * size,
        "value": [0.3] * size,
        "n": [103.0] * size,
        "n_effective": [np.nan] * size,
    }
    return Selection(pd.DataFrame({**base, **columns}))


def test_fisher_z_and_its_variance() -> None:
    y, v = effect_sizes(rows(value=[0.5, -0.5], n=[103, 28]))
    assert y == pytest.approx([0.5493061443, -0.5493061443])
    assert v == pytest.approx([1 / 100, 1 / 25])


def test_the_effective_n_is_used_where_a_row_has_one() -> None:
    _, v = effect_sizes(rows(n=[1003, 1003], n_effective=[np.nan, 103]))
    assert v == pytest.approx([1 / 1000, 1 / 100])


def test_units_are_never_pooled() -> None:
    with pytest.raises(DataError, match="different units"):
        effect_sizes(rows(unit=["student", "school"]))


@pytest.mark.parametrize(("column", "bad"), [("value", [0.2, 1.0]), ("n", [100, 3])])
def test_what_has_no_fisher_z_is_named(column: str, bad: list[float]) -> None:
    with pytest.raises(DataError, match="e1"):
        effect_sizes(rows(**{column: bad}))


def test_of_several_rows_without_a_fisher_z_the_first_is_named() -> None:
    """They are mended from the top; a small n is told before a correlation of 1, whichever stands first."""
    with pytest.raises(DataError, match=r"^e1 has an n below 4"):
        effect_sizes(rows(value=[1.0, 0.1, 0.2, 0.3], n=[100, 3, 100, 2]))
    with pytest.raises(DataError, match=r"^e1 is a correlation of 1 or beyond"):
        effect_sizes(rows(value=[0.1, -1.0, 0.2, 1.0]))


def test_two_rows_of_a_sample_need_a_multilevel_model() -> None:
    with pytest.raises(DataError, match="sample a has several rows"):
        pool(rows(sample_id=["a", "a"]), id="x", label="x")


def test_a_selection_writes_down_what_it_left_out(dataset: Dataset) -> None:
    everything = select(dataset, pair=("positive", "engagement"), works=["roorda2011"])
    kept = everything.keep(lambda r: r["n"] > 500, "n of 500 or less")
    assert len(kept) + len(kept.excluded) == len(everything)
    assert {e.reason for e in kept.excluded} == {"n of 500 or less"}


def test_no_selection_mixes_students_and_schools(dataset: Dataset) -> None:
    assert set(select(dataset).rows["unit"]) == {"student"}
    assert set(select(dataset, unit="school").rows["unit"]) == {"school"}


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ({"pair": ("positiv", "engagement")}, 'did you mean "positive"'),
        ({"works": ["marengo"]}, 'did you mean "marengo2021"'),
        ({"unit": "pupil"}, "use one of"),
    ],
)
def test_a_wrong_word_is_met_with_the_nearest_one(dataset: Dataset, asked: dict, hint: str) -> None:
    with pytest.raises(DataError, match=hint):
        select(dataset, **asked)


def test_four_persons_and_a_correlation_short_of_one_have_a_fisher_z() -> None:
    y, v = effect_sizes(rows(value=[0.999, -0.999], n=[4, 4], n_effective=[np.nan, 5.0]))
    assert np.isfinite(y).all() and v == pytest.approx([1.0, 0.5])
    for bad in ({"n": [3.9, 100.0]}, {"n_effective": [3.9, np.nan]}, {"value": [-1.0, 0.1]}):
        with pytest.raises(DataError, match="e0"):
            effect_sizes(rows(**{"value": [0.1, 0.2], **bad}))


Z4 = [0.1, 0.3, 0.5, 0.2]


def pooled_rows() -> Selection:
    return rows(value=np.tanh(Z4).tolist(), n=[103.0, 53.0, 203.0, 78.0], label=["A", "", "C", "D"])


def test_an_estimate_is_its_fit_in_r_with_the_variance_on_z() -> None:
    pooled = pool(pooled_rows(), id="x", label="y")
    fit, e, further = pooled.fit, pooled.estimate, prediction_interval(pooled.fit)
    tau2, heterogeneity = fit.component("tau2"), fit.heterogeneity
    assert pooled.y == pytest.approx(Z4) and pooled.v == pytest.approx([1 / 100, 1 / 50, 1 / 200, 1 / 75])
    assert (e.value, e.low, e.high) == pytest.approx(np.tanh([fit.beta[0], *fit.interval()[0]]).tolist())
    assert (e.prediction_low, e.prediction_high) == pytest.approx(np.tanh([further.low, further.high]).tolist())
    assert tau2.interval is not None and heterogeneity is not None
    assert (e.tau2, e.tau2_low, e.tau2_high) == (tau2.estimate, tau2.interval.low, tau2.interval.high)
    assert (e.se, e.p, e.I2) == (fit.se[0], fit.p[0], heterogeneity.I2)
    assert (e.k, e.samples, e.n, e.level, e.rows) == (4, 4, 437.0, 0.95, ("e0", "e1", "e2", "e3"))


def test_variances_of_several_levels_are_added_without_an_interval() -> None:
    selection = rows(value=np.tanh([*Z4, 0.4, 0.0]).tolist(), n=[103.0] * 6, sample_id=["a", "a", "b", "b", "c", "c"])
    y, v = effect_sizes(selection)
    fit = fit_multilevel(y, v, {"sample": np.array(list("aabbcc"))})
    e = estimate_r(fit, selection, id="x", label="y", extra={"more": "said"})
    both = [component.estimate for component in fit.components]
    assert len(both) == 2 and e.tau2 == pytest.approx(sum(both)) and np.isnan([e.tau2_low, e.tau2_high]).all()
    assert (e.k, e.samples, e.n) == (6, 3, 309.0) and e.method["more"] == "said"
    alone = estimate_r(pool(rows(value=[0.3]), id="x", label="y").fit, rows(value=[0.3]), id="x", label="y")
    assert np.isnan(alone.tau2), "one sample says nothing of a variance between samples"


def test_a_forest_shows_each_row_with_its_own_interval_and_its_weight() -> None:
    pooled = pool(pooled_rows(), id="x", label="y")
    figure = forest(pooled, id="f", title="t")
    half = 1.959964 / np.sqrt([100, 50, 200, 75])
    assert figure.columns["low"] == pytest.approx(np.tanh(Z4 - half).tolist(), abs=1e-6)
    assert figure.columns["high"] == pytest.approx(np.tanh(Z4 + half).tolist(), abs=1e-6)
    assert figure.columns["value"] == pytest.approx(np.tanh(Z4).tolist())
    weights = 1 / (pooled.v + pooled.estimate.tau2)
    assert figure.columns["weight"] == pytest.approx((100 * weights / weights.sum()).tolist())
    assert figure.columns["label"] == ["A", "s1", "C", "D"] and figure.columns["n"] == [103.0, 53.0, 203.0, 78.0]
    assert forest(pool(rows(value=[0.3], label=["A"]), id="x", label="y"), id="f", title="t").columns["weight"] == [
        100.0
    ]
    e = pooled.estimate
    shown = {name: figure.settings[name] for name in ("summary", "summary_low", "summary_high", "prediction_low", "k")}
    assert shown == {"summary": e.value, "summary_low": e.low, "summary_high": e.high,
                     "prediction_low": e.prediction_low, "k": 4}  # fmt: skip
