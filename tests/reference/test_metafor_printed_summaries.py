"""Means from medians and effects from intervals: against metafor's conv.fivenum and conv.wald, and by simulation."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import replication as tsr
from replication.effects import from_interval, log_odds_ratio, mean_from_quantiles
from replication.effects.printed_summaries import MeanFromQuantiles


@cache
def pinned() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "metafor" / "printed_summaries.json").read_text(encoding="utf-8"))


def columns(name: str) -> dict[str, np.ndarray]:
    return {key: np.array(values, dtype=float) for key, values in pinned()[name].items()}


def summarised(skewed: str) -> MeanFromQuantiles:
    f = columns("five")
    return mean_from_quantiles(
        f["n"],
        median=f["median"],
        q1=f["q1"],
        q3=f["q3"],
        minimum=f["min"],
        maximum=f["max"],
        skewed=skewed,  # type: ignore[arg-type]
    )


def test_means_and_sds_of_every_kind_of_row() -> None:
    found = summarised("keep")
    for name, key in (("mean", "mean"), ("sd", "sd"), ("skewness", "tval"), ("critical", "crit")):
        expected = np.array(pinned()[key], dtype=float)
        # Without a median neither mean nor skewness can be told; the peer gives the critical value all the same.
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-12, err_msg=name)


def test_quantiles_of_a_log_normal_distribution() -> None:
    """Mean and sd as metafor's; the variance of the mean, which it has none of, over samples of the distribution."""
    pin = json.loads((Path(__file__).parent / "metafor" / "lognormal_quantiles.json").read_text(encoding="utf-8"))
    f = {name: np.array(values, dtype=float) for name, values in pin["five"].items()}
    given = {"median": f["median"], "q1": f["q1"], "q3": f["q3"], "minimum": f["min"], "maximum": f["max"]}
    found = mean_from_quantiles(f["n"], **given, distribution="log-normal")
    np.testing.assert_allclose(found.mean, np.array(pin["mean"]), rtol=1e-12)
    np.testing.assert_allclose(found.sd, np.array(pin["sd"]), rtol=1e-12)
    x = np.exp(np.random.default_rng(4).normal(1.0, 0.8, (4000, 150)))
    low, q1, median, q3, high = np.quantile(x, [0.0, 0.25, 0.5, 0.75, 1.0], axis=1)
    for printed in ({"q1": q1, "q3": q3}, {"minimum": low, "maximum": high}):
        many = mean_from_quantiles(150, median=median, **printed, skewed="keep", distribution="log-normal")
        assert many.mean.mean() == pytest.approx(np.exp(1.0 + 0.32), rel=0.01)
        assert np.sqrt(many.variance.mean()) == pytest.approx(many.mean.std(), rel=0.06)
    with pytest.raises(tsr.UserError, match="not above 0"):
        mean_from_quantiles(50, median=2.0, q1=0.0, q3=3.0, distribution="log-normal")
    with pytest.raises(tsr.UserError, match="choose one of 'normal', 'log-normal'"):
        mean_from_quantiles(50, median=2.0, q1=1.0, q3=3.0, distribution="lnorm")  # type: ignore[arg-type]


def test_skewed_rows_are_left_empty_and_said() -> None:
    found = summarised("exclude")
    assert np.isnan(found.mean[2:5]).all() and np.isnan(found.sd[2:5]).all() and np.isfinite(found.mean[:2]).all()
    (skewed,) = [flag for flag in found.flags if flag.code == "skewed"]
    assert skewed.rows == (2, 3, 4)
    few = mean_from_quantiles(4, median=2.0, q1=1.0, q3=3.0)
    assert np.isnan(few.mean) and few.flags[0].code == "few"


@pytest.mark.parametrize("shown", ["range", "quartiles", "both"])
@pytest.mark.parametrize("n", [21, 101])
def test_the_variance_is_that_of_the_mean_over_samples(n: int, shown: str) -> None:
    """20,000 samples know a variance to 1 %; the expansion of the variance leaves up to 3 %."""
    samples = np.random.default_rng(5).normal(10.0, 2.0, (20_000, n))
    low, q1, middle, q3, high = np.quantile(samples, [0.0, 0.25, 0.5, 0.75, 1.0], axis=1)
    quartiles = {"q1": q1, "q3": q3} if shown != "range" else {}
    ends = {"minimum": low, "maximum": high} if shown != "quartiles" else {}
    found = mean_from_quantiles(n, median=middle, **quartiles, **ends, skewed="keep")
    assert found.mean.mean() == pytest.approx(10.0, abs=0.02)
    assert found.sd.mean() == pytest.approx(2.0, rel=0.02)
    # The expected square of an estimated sd is above sigma^2; compared is what stands beside it.
    share = float(np.median(found.variance / found.sd**2))
    assert share * 4.0 == pytest.approx(found.mean.var(), rel=0.04)
    assert share > 1.02 / n


def test_units_do_not_matter() -> None:
    plain = mean_from_quantiles(30, median=9.0, q1=5.0, q3=14.0)
    moved = mean_from_quantiles(30, median=90.0 + 7, q1=50.0 + 7, q3=140.0 + 7)
    assert moved.mean == pytest.approx(10 * plain.mean + 7) and moved.variance == pytest.approx(100 * plain.variance)


def test_effects_from_intervals_and_tests() -> None:
    w = columns("wald")
    found = from_interval(w["out"], "log odds ratio", low=w["lower"], high=w["upper"], p=w["p"])
    np.testing.assert_allclose(found.estimate, pinned()["yi"], rtol=1e-12)
    np.testing.assert_allclose(found.variance, pinned()["vi"], rtol=1e-12)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_there_and_back(level: float) -> None:
    made = log_odds_ratio(12.0, 30.0, 25.0, 20.0)
    half = {0.8: 1.2815515655446004, 0.95: 1.959963984540054, 0.99: 2.5758293035489004}[level] * float(made.se)
    y = float(made.estimate)
    for given in ({"low": np.exp(y - half), "high": np.exp(y + half)}, {"low": np.exp(y - half)}, {"z": y / made.se}):
        back = from_interval(np.exp(y), "log odds ratio", **given, level=level)
        assert float(back.variance) == pytest.approx(float(made.variance), rel=1e-10)


def test_an_interval_on_another_scale_is_said() -> None:
    flags = from_interval([0.3, 0.3], "r", low=[0.1, 0.2], high=[0.5, 0.6]).flags
    assert [(flag.code, flag.rows) for flag in flags] == [("from-interval", (0, 1)), ("not-centred", (1,))]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"low": 2.0, "high": 3.0}, "outside its interval"),
        ({"p": 0.0}, "exact p above 0"),
        ({"z": 0.0}, "leaves no standard error"),
        ({"low": -0.2, "high": 3.0}, "no log"),
        ({"low": 1.0, "high": 3.0, "level": 95}, "level outside 0 to 1"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, float], said: str) -> None:
    with pytest.raises(tsr.UserError, match=f"row 0.*{said}"):
        from_interval([1.5], "log odds ratio", **given)


def test_quantiles_out_of_order_are_refused_over_what_is_missing_between_them() -> None:
    with pytest.raises(tsr.UserError, match=r"row 1.*order"):
        mean_from_quantiles([30, 30], q1=[1.0, 5.0], median=[2.0, np.nan], q3=[3.0, 4.0])


def test_a_data_frame_is_filled_where_it_is_empty() -> None:
    groups = pd.DataFrame(
        {
            "n": [45, 30, 10],
            "median": [9.0, None, 4.0],
            "q1": [5.0, None, 3.0],
            "q3": [14.0, None, 5.0],
            "mean": [None, 7.0, None],
            "sd": [None, 2.0, 2.2],
        }
    )
    found = tsr.means_from_quantiles(groups, n="n", median="median", q1="q1", q3="q3")
    assert found["mean"].round(3).tolist() == [9.354, 7.0, 4.0] and found["sd"].round(3).tolist() == [6.892, 2.0, 2.2]
    assert found["remarks"].astype(bool).tolist() == [True, False, True] and np.isnan(found.mean_variance[1])
    effects = tsr.effect_sizes(pd.DataFrame({"a": [5, None], "b": [15, None], "c": [8, None], "d": [12, None]}), "OR",
                               a="a", b="b", c="c", d="d")  # fmt: skip
    both = tsr.effects_from_intervals(
        effects.assign(odds=1.5, lo=1.0, hi=2.25), "OR", estimate="odds", low="lo", high="hi"
    )
    assert both.yi[0] == effects.yi[0] and both.yi[1] == pytest.approx(np.log(1.5)) and both.remarks[0] == ""
    with pytest.raises(tsr.ModelError, match="q1 and q3, or minimum and maximum"):
        tsr.means_from_quantiles(groups, n="n", median="median")
    with pytest.raises(tsr.ModelError, match="an estimate alone"):
        tsr.effects_from_intervals(groups, "MD", estimate="mean")
