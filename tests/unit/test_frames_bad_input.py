"""Public functions on data frames, given what people pass by mistake: one line that names argument, row, remedy."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import replication as tsr
from replication.errors import UserError

RNG = np.random.default_rng(1)
EFFECTS = pd.DataFrame(
    {
        "yi": RNG.normal(0.3, 0.2, 12),
        "vi": RNG.uniform(0.01, 0.05, 12),
        "age": RNG.normal(12, 2, 12),
        "country": ["NO", "SE", "DK"] * 4,
        "study": np.repeat(list("abcdef"), 2),
        "outcome": ["x", "y"] * 6,
        "r": RNG.uniform(0.1, 0.5, 12),
        "n": RNG.integers(40, 90, 12),
    }
)
TRIALS = pd.DataFrame({name: RNG.integers(3, 30, 8) for name in "abcd"})
PAIRS = [(f"s{i}", *pair.split(), 0.2 + i / 50, 100 + i) for i in range(6) for pair in ("p e", "p m", "e m")]
CORRELATIONS = pd.DataFrame(PAIRS, columns=["study", "var1", "var2", "r", "n"])
QUANTILES = pd.DataFrame({"n": [40, 50], "median": [9.0, 8.0], "q1": [5.0, 4.0], "q3": [13.0, 12.0]})
PRINTED = pd.DataFrame({"odds": [1.3, 0.7], "low": [1.1, 0.5], "high": [1.6, 0.98]})
Call = Callable[[pd.DataFrame], Any]


def mean(data: pd.DataFrame, **choices: Any) -> Any:
    return tsr.random_effects("yi ~ 1", data, **choices)


def on_age(data: pd.DataFrame) -> Any:
    return tsr.random_effects("yi ~ age", data, method="ML")


def by_country(data: pd.DataFrame) -> Any:
    return tsr.random_effects("yi ~ country", data)


# Function by name: the call, good data, a column of numbers in it, and the column of variances or sizes.
CALLS: dict[str, tuple[Call, pd.DataFrame, str, str]] = {
    "effect_sizes": (lambda d: tsr.effect_sizes(d, "ZCOR", r="r", n="n"), EFFECTS, "r", "n"),
    "random_effects": (on_age, EFFECTS, "age", "vi"),
    "weights": (lambda d: mean(d, weights="n"), EFFECTS, "n", "vi"),
    "multilevel": (lambda d: tsr.multilevel("yi ~ age", d, clusters="study", rho=0.5), EFFECTS, "yi", "vi"),
    "multivariate": (
        lambda d: tsr.multivariate("yi ~ 0 + outcome", d, outcome="outcome", study="study", rho=0.4),
        EFFECTS, "yi", "vi",
    ),
    "location_scale": (lambda d: tsr.location_scale("yi ~ 1", "~ age", d), EFFECTS, "yi", "vi"),
    "glmm": (lambda d: tsr.glmm("OR", d, a="a", b="b", c="c", d="d"), TRIALS, "a", "b"),
    "posterior": (lambda d: tsr.posterior("yi ~ 1", d, clusters="study", rho=0.5), EFFECTS, "yi", "vi"),
    "average_over_bias": (tsr.average_over_bias, EFFECTS, "yi", "vi"),
    "aggregate": (lambda d: tsr.aggregate(d, "study", rho=0.5), EFFECTS, "yi", "vi"),
    "covariance": (lambda d: tsr.covariance(d, "study", rho=0.5), EFFECTS, "vi", "vi"),
    "masem": (lambda d: tsr.masem("m ~ e + p\ne ~ p", d), CORRELATIONS, "r", "n"),
    "correlation_matrices": (tsr.correlation_matrices, CORRELATIONS, "r", "n"),
    "means_from_quantiles": (
        lambda d: tsr.means_from_quantiles(d, n="n", median="median", q1="q1", q3="q3"), QUANTILES, "q1", "n",
    ),
    "effects_from_intervals": (
        lambda d: tsr.effects_from_intervals(d, "OR", estimate="odds", low="low", high="high"), PRINTED, "odds", "low",
    ),
    "predict": (lambda d: tsr.predict(on_age(EFFECTS), d), EFFECTS, "age", "age"),
    "pairwise": (lambda d: tsr.pairwise(by_country(d), "country"), EFFECTS, "yi", "vi"),
    "permutation_test": (lambda d: tsr.permutation_test(on_age(d)), EFFECTS, "yi", "vi"),
    "cumulative": (lambda d: tsr.cumulative(mean(d), "age"), EFFECTS, "yi", "vi"),
    "forest_plot": (lambda d: tsr.forest_plot(mean(d)), EFFECTS, "yi", "vi"),
    "bubble_plot": (lambda d: tsr.bubble_plot(on_age(d), "age"), EFFECTS, "age", "vi"),
    **{
        name: (getattr(tsr, name), EFFECTS, "yi", "vi")
        for name in (
            *("egger_test", "rank_test", "trim_fill", "pet_peese", "waap", "henmi_copas", "p_curve", "bias_table"),
            *("step_selection", "beta_selection", "truncated_selection", "excess_significance", "fail_safe_n"),
        )
    },
    "smooth_selection": (lambda d: tsr.smooth_selection(d, "power", imprecision="se"), EFFECTS, "yi", "vi"),
}  # fmt: skip


def changed(data: pd.DataFrame, name: str, value: object) -> pd.DataFrame:
    """The data with a value in row 1 of a column."""
    cells = data[name].astype(object)
    cells.iloc[1] = value
    return data.assign(**{name: cells if not isinstance(value, float) else cells.astype(float)})


# What is done to the data, and what the message must say besides: patterns with the column's names filled in.
FAULTS: dict[str, tuple[Callable[[pd.DataFrame, str, str], Any], str]] = {
    "missing column": (lambda d, c, v: d.drop(columns=c), r"no column '{c}'"),
    "text": (lambda d, c, v: changed(d, c, "n/a"), r"row 1: 'n/a' is not a number"),
    "endless integer": (lambda d, c, v: changed(d, v, 10**400), r"'{v}', row 1: a number of 401 digits"),
    "two columns of a name": (lambda d, c, v: pd.concat([d, d[[c]]], axis=1), r"2 columns are called '{c}'; rename"),
    "dict": (lambda d, c, v: d.to_dict("list"), r"is a dict; pass a pandas data frame"),
    "polars": (lambda d, c, v: pytest.importorskip("polars").from_pandas(d), r"polars DataFrame; pass its to_pandas"),
    "infinite": (lambda d, c, v: changed(d, v, np.inf), r"row 1"),
    "negative variance": (lambda d, c, v: changed(d, v, -1.0), r"row 1"),
    "no row": (lambda d, c, v: d.iloc[:0], r"no row|none|[0-9] "),
}
# Where a fault is none: an age may be negative, an empty table of printed numbers is an empty table.
FINE = {
    "negative variance": {"predict", "means_from_quantiles"},
    "no row": {"effect_sizes", "aggregate", "means_from_quantiles", "effects_from_intervals", "predict"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_mistake_is_answered_in_one_line(fault: str) -> None:
    spoil, pattern = FAULTS[fault]
    wrong = []
    for name, (call, data, numbers, variances) in CALLS.items():
        if name in FINE.get(fault, ()):
            call(spoil(data, numbers, variances))
            continue
        try:
            call(spoil(data, numbers, variances))
            said = "nothing"
        except UserError as error:
            said = str(error)
        expected = pattern.format(c=numbers, v=variances)
        if "\n" in said or len(said) > 330 or not re.search(expected, said):
            wrong.append(f"{name}: {said}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("name", "value"), [("yi", -1e300), ("vi", 1e300), ("vi", 1e-300), ("age", 1e200)])
def test_numbers_without_squares_are_refused_by_their_row(name: str, value: float) -> None:
    with pytest.raises(UserError, match=r"row 1 with a number beyond .* whose squares are no numbers; correct it"):
        on_age(changed(EFFECTS, name, value))


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_columns_of_other_kinds_give_the_same(backend: str) -> None:
    """Nullable and Arrow columns, labels that repeat, a level no row has: the numbers of plain columns."""
    other = EFFECTS.convert_dtypes(dtype_backend=backend)  # type: ignore[call-overload]
    levels = EFFECTS.assign(country=pd.Categorical(EFFECTS.country, ["DK", "NO", "SE", "XX"]))
    levels.index = pd.Index(["same"] * 12)
    for call in (by_country, CALLS["multivariate"][0], CALLS["multilevel"][0]):
        expected = call(EFFECTS).tidy().estimate.to_numpy()
        for data in (other, levels):
            np.testing.assert_allclose(call(data).tidy().estimate.to_numpy(), expected, rtol=1e-12)
    assert len(tsr.pairwise(by_country(levels), "country")) == 3


def test_a_column_to_sort_by_must_have_an_order() -> None:
    mixed = EFFECTS.assign(label=["a", 1] * 6)
    with pytest.raises(UserError, match="mixes numbers and text"):
        tsr.cumulative(mean(mixed), "label")
    with pytest.raises(UserError, match="two or more"):
        tsr.bootstrap(mean(EFFECTS.iloc[:1]), draws=20)
