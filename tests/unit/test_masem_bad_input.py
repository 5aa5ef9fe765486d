"""What MASEM says when data or model cannot carry the answer: an error, or a note beside the partial answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from replication.errors import ModelError
from replication.models.masem import (
    CorrelationSet,
    LabelledMatrix,
    correlations_from_matrices,
    correlations_from_rows,
    equality_test,
    explained_heterogeneity,
    fit_groups,
    fit_one_stage,
    fit_stage1_fixed,
    fit_stage1_random,
    fit_stage2,
    likelihood_intervals,
    likelihood_ratio_test,
    one_stage_indices,
    pooled_correlations,
)
from tests.masem_data import FULL, SATURATED, roorda, simulated, standardized_ses


def codes(notes: Any) -> list[str]:
    return [note.code for note in notes]


def rows(*cells: tuple[str, int, str, str, float]) -> CorrelationSet:
    return correlations_from_rows(*(list(column) for column in zip(*cells, strict=True)))


def test_a_pair_no_study_holds_stops_stage_1_and_not_one_stage() -> None:
    data = rows(
        *((f"s{i}", 90 + i, *pair) for i in range(5) for pair in (("x", "m", 0.3 + i / 50), ("m", "y", 0.4 - i / 50)))
    )
    with pytest.raises(ModelError, match="no study holds x~~y") as caught:
        fit_stage1_random(data)
    assert caught.value.partial == {"x~~m": 5, "x~~y": 0, "m~~y": 5}
    with pytest.raises(ModelError, match="no study holds x~~y"):
        fit_stage1_fixed(data)
    one = fit_one_stage(data, "m ~ a*x; y ~ b*m; ind := a*b")
    assert "empty-pairs" in codes(one.fit.notes)
    assert [component.name for component in one.fit.components] == ["x~~m", "m~~y"]
    assert np.isnan(one.log_tau2[1])
    with pytest.raises(ModelError, match="not identified"):
        fit_one_stage(data, "m ~ x; y ~ m + x")
    with pytest.raises(ModelError, match="no saturated model"):
        one_stage_indices(one)


def test_too_few_studies_for_a_pair_is_said() -> None:
    data = roorda().select(["16", "1", "2", "6", "12", "10", "7"])
    pool = fit_stage1_random(data)
    note = next(note for note in pool.fit.notes if note.code == "few-studies")
    assert "neg~~enga (1)" in note.message
    assert "pos~~achiev" not in note.message
    assert "few-studies" not in codes(fit_stage1_random(data, tau2="zero").fit.notes)
    assert "few-studies" in codes(fit_one_stage(data, FULL).fit.notes)


def test_more_parameters_than_correlations_is_refused_with_the_way_out() -> None:
    data = roorda().select(["16", "21"])
    with pytest.raises(ModelError, match="tau2='diagonal' or 'zero'"):
        fit_stage1_random(data, tau2="symmetric")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"tau2": "diag"}, "'diagonal', 'symmetric', 'zero'"),
        ({"sampling": "mean"}, "'weighted'"),
        ({"level": 95}, "0.95"),
    ],
)
def test_an_unknown_option_lists_the_known_ones(option: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        fit_stage1_random(roorda(), **option)


def test_a_variance_on_its_bound_is_a_note_that_gives_both_standard_errors() -> None:
    pool = fit_stage1_random(simulated("bounds"))
    held = fit_stage1_random(simulated("bounds"), at_bound="held")
    note = next(n for n in pool.fit.notes if n.code == "boundary")
    on_bound = [c.name for c in pool.fit.components if c.at_boundary]
    assert on_bound
    for name in on_bound:
        assert name in note.message
        assert pool.fit.component(name).estimate == 1e-10
        assert np.isnan(held.fit.component(name).se)
    assert np.isfinite(held.fit.se).all()
    one = fit_one_stage(simulated("bounds"), "knowledge ~ ability; sample ~ knowledge; rating ~ sample")
    assert "boundary" in codes(one.fit.notes)


def test_standard_errors_with_variances_on_their_bound_are_those_of_the_model_without_them() -> None:
    """Held at 1e-10 or left out of the model altogether: the same."""
    data = rows(*((f"s{i}", 100, "x", "y", 0.3) for i in range(6)))
    held, without = fit_stage1_random(data, at_bound="held"), fit_stage1_random(data, tau2="zero")
    assert held.fit.components[0].at_boundary
    assert held.fit.se[0] == pytest.approx(without.fit.se[0], rel=1e-6)


def test_an_unrestricted_tau2_stays_a_covariance_matrix_and_says_when_it_is_singular() -> None:
    pool = fit_stage1_random(roorda(), tau2="symmetric")
    assert np.linalg.eigvalsh(pool.tau2)[0] > -1e-12
    note = next(n for n in pool.fit.notes if n.code == "boundary")
    assert "singular" in note.message
    assert pool.minus2loglik < fit_stage1_random(roorda()).minus2loglik - 10


def test_a_negative_residual_variance_is_noted_beside_the_estimates() -> None:
    pooled = pooled_correlations(["x", "y", "z"], [0.9, 0.8, 0.3], np.full(3, 0.001), 500)
    paths = fit_stage2(pooled, "f =~ x + y + z")
    note = next(n for n in paths.fit.notes if n.code == "improper")
    assert "x (" in note.message
    assert paths.effect("x~~x").estimate < 0


def test_pooled_correlations_without_a_proper_covariance_are_refused() -> None:
    singular = pooled_correlations(["x", "y", "z"], [0.3, 0.2, 0.1], np.ones((3, 3)), 100)
    with pytest.raises(ModelError, match="not positive definite"):
        fit_stage2(singular, "y ~ x + z")
    with pytest.raises(ModelError, match="need 3 correlations"):
        pooled_correlations(["x", "y", "z"], [0.3, 0.2], np.ones(2), 100)
    with pytest.raises(ModelError, match="x~~z"):
        pooled_correlations(["x", "y", "z"], [0.3, np.nan, 0.1], np.ones(3), 100)


def test_an_interval_end_that_does_not_exist_is_nan_with_a_reason() -> None:
    """A loading of a factor with two weak indicators can grow without end while the other shrinks."""
    pooled = pooled_correlations(["x", "y", "z", "w"], [0.05, 0.04, 0.03, 0.05, 0.04, 0.05], np.full(6, 0.01), 100)
    interval = likelihood_intervals(fit_stage2(pooled, "f =~ x + y + z + w"), ["f=~x"])["f=~x"]
    assert np.isnan(interval.high) or np.isnan(interval.low)
    assert interval.reason


def test_studies_without_a_moderator_are_left_out_by_name() -> None:
    ses = standardized_ses().moderators["ses"].copy()
    ses[[2, 7]] = np.nan
    data = roorda().with_moderators({"ses": ses})
    fit = fit_one_stage(data, FULL, moderators={"ses": "paths"})
    note = next(n for n in fit.fit.notes if n.code == "excluded-rows")
    assert "2 studies lack a moderator and are left out: 3, 8" in note.message
    assert fit.fit.clusters == 43
    with pytest.raises(ModelError, match="different correlations"):
        likelihood_ratio_test(fit_one_stage(data, FULL), fit)
    with pytest.raises(ModelError, match="no study has a value"):
        fit_one_stage(roorda().with_moderators({"ses": np.full(45, np.nan)}), FULL, moderators={"ses": "paths"})


@pytest.mark.parametrize(
    ("moderators", "words"),
    [
        ({"age": "paths"}, "moderators: 'age' not known; known are 'ses'"),
        ({"ses": "b99"}, "'b99'"),
        ({"ses": ["b31", "enga~pos"]}, "'enga~pos'"),
    ],
)
def test_an_unknown_moderator_or_path_is_named(moderators: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        fit_one_stage(standardized_ses(), FULL, moderators=moderators)


def test_a_moderator_that_does_not_vary_is_not_identified() -> None:
    with pytest.raises(ModelError, match="b31:ses"):
        fit_one_stage(roorda().with_moderators({"ses": np.ones(45)}), FULL, moderators={"ses": ["b31"]})


def test_comparisons_of_the_wrong_things_are_refused() -> None:
    data = standardized_ses()
    plain, larger = fit_one_stage(data, FULL), fit_one_stage(data, SATURATED)
    moderated = fit_one_stage(data, FULL, moderators={"ses": "paths"})
    with pytest.raises(ModelError, match="pass the smaller one first"):
        likelihood_ratio_test(larger, plain)
    with pytest.raises(ModelError, match="without moderators"):
        one_stage_indices(moderated)
    with pytest.raises(ModelError, match="different variables"):
        explained_heterogeneity(fit_one_stage(data, "enga ~ pos + neg"), moderated)


def test_groups_need_two_names_known_parameters_and_an_order() -> None:
    pool = fit_stage1_random(roorda())
    with pytest.raises(ModelError, match="at least two"):
        fit_groups({"all": pool}, FULL)
    with pytest.raises(ModelError, match="'b13' \\(do you mean 'b"):
        fit_groups({"a": pool, "b": pool}, FULL, equal=["b13"])
    free, equal = fit_groups({"a": pool, "b": pool}, FULL), fit_groups({"a": pool, "b": pool}, FULL, equal="paths")
    with pytest.raises(ModelError, match="free one first"):
        equality_test(equal, free)
    one = fit_groups({"a": pool, "b": pool}, FULL, equal="b31")
    assert one.equal == ("b31",)


def test_one_study_alone_is_its_own_pool() -> None:
    data = roorda().select(["25"])
    pool = fit_stage1_random(data, tau2="zero", sampling="individual")
    np.testing.assert_allclose(pool.fit.beta, data.given[0], atol=1e-12)
    assert pool.fit.heterogeneity is not None
    assert pool.fit.heterogeneity.df == 0
    assert np.isnan(pool.fit.heterogeneity.p)
    fixed = fit_stage1_fixed(data)
    np.testing.assert_allclose(fixed.fit.beta, data.given[0], atol=1e-10)
    assert fixed.indices.df == 0


def matrix(**cells: object) -> pd.DataFrame:
    table = pd.DataFrame(np.eye(2), index=["x", "y"], columns=["x", "y"]).astype(object)
    for place, value in cells.items():
        table.loc[place[0], place[1]] = value
    return table


TEXT_CELLS: dict[str, tuple[Callable[[], object], str]] = {
    "r in rows": (
        lambda: correlations_from_rows(["a"], [50], ["x"], ["y"], ["n.s."]),
        "row 0: r of x with y .study a.",
    ),
    "n in rows": (lambda: correlations_from_rows(["a"], ["1,000"], ["x"], ["y"], [0.3]), "row 0: n .study a.*'1,000'"),
    "moderator in rows": (
        lambda: correlations_from_rows(["a"], [50], ["x"], ["y"], [0.3], moderators={"ses": ["high"]}),
        "row 0: ses .study a. holds 'high'",
    ),
    "cell of a matrix": (
        lambda: correlations_from_matrices({"a": matrix(xy="0,3", yx="0,3")}, [50]),
        "study a: x with y holds '0,3', which is no number; write 0.3",
    ),
    "cell of a labelled matrix": (
        lambda: correlations_from_matrices(
            {"a": LabelledMatrix(("x", "y"), np.array([[1, "n.s."], ["n.s.", 1]], dtype=object))}, [50]
        ),
        "study a: x with y holds 'n.s.'",
    ),
    "n of matrices in order": (
        lambda: correlations_from_matrices({"a": matrix(xy=0.3, yx=0.3)}, ["1,000"]),
        "study a: n holds '1,000', which is no number; write a number with a decimal point",
    ),
    "n of matrices by name": (
        lambda: correlations_from_matrices({"a": matrix(xy=0.3, yx=0.3)}, {"a": "many"}),
        "study a: n holds 'many'",
    ),
    "moderator of matrices": (
        lambda: correlations_from_matrices({"a": matrix(xy=0.3, yx=0.3)}, [50], moderators={"ses": ["low"]}),
        "moderator 'ses', study 0 .from 0. holds 'low'",
    ),
    "pooled r": (
        lambda: pooled_correlations(["x", "y"], ["0,3"], [0.01], 100),
        "pooled correlation 0 .from 0. holds '0,3'",
    ),
    "pooled covariance": (lambda: pooled_correlations(["x", "y"], [0.3], ["?"], 100), "vcov at 0 .from 0. holds"),
    "pooled n": (lambda: pooled_correlations(["x", "y"], [0.3], [0.01], "1,000"), "n holds '1,000'"),
}


@pytest.mark.parametrize("way", TEXT_CELLS)
def test_text_in_a_cell_is_named_with_its_study_and_cell(way: str) -> None:
    call, message = TEXT_CELLS[way]
    with pytest.raises(ModelError, match=message):
        call()


def test_an_empty_cell_is_a_correlation_that_is_not_given() -> None:
    data = correlations_from_matrices({"a": matrix(xy=None, yx=None), "b": matrix(xy=0.2, yx=0.2)}, [50, 60])
    assert data.studies_per_pair.tolist() == [1]
